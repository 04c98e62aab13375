"""Records that came from a peer: decoded, checked, opened, stored in one transaction a batch."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from pkn_protocol.channel.errors import ChannelError, CloseCode
from pkn_protocol.records.cbor import BadEncoding
from pkn_protocol.records.circles import CannotOpen, EpochKey, open_sealed
from pkn_protocol.records.codec import RecordError, TooNew, check_signatures, decode_record, signatures_of
from pkn_protocol.records.ids import AuthorId, Cid, dag_cbor_cid
from pkn_protocol.records.model import Record, Sealed
from pkn_protocol.trust.quotas import Entry, Quota, floor_of
from pknd.environment import Environment
from pknd.store.batch import Arrival, ingest_many
from pknd.store.floors import Floor, forget_below
from pknd.store.ingest import Status
from pknd.store.records import get
from pknd.store.rows import select_in
from pknd.store.sums import held_of
from pknd.sync.signatures import Signatures

_PEOPLE_KINDS = frozenset({"profile", "vouch", "device"})


@dataclass(slots=True)
class Taken:
    """What became of a batch: `added` are records that travel, standing ones first; `known` were held
    already; `unknown` are blocks by devices that are not known (yet). `fault`: a block is no valid record;
    the others were stored."""

    added: list[Record] = field(default_factory=list)
    known: list[Cid] = field(default_factory=list)
    refused: dict[str, list[Cid]] = field(default_factory=dict)
    retractions: list[bytes] = field(default_factory=list)
    unknown: list[bytes] = field(default_factory=list)
    people_changed: bool = False
    fault: ChannelError | None = None


class Intake:
    """`epochs`: keys by circle tag; `near`: authors within trust; `quota`: how much is kept of an author."""

    def __init__(
        self,
        env: Environment,
        *,
        epochs: Callable[[], Mapping[bytes, EpochKey]],
        near: Callable[[], frozenset[AuthorId]],
        quota: Callable[[AuthorId], Quota | None],
    ) -> None:
        self._env = env
        self._epochs = epochs
        self._near = near
        self._quota = quota
        self._signatures = Signatures()

    def close(self) -> None:
        self._signatures.close()

    async def take(self, blocks: Sequence[bytes], wanted: Callable[[AuthorId], bool]) -> Taken:
        """Store what is wanted and valid, in one transaction."""
        taken = Taken()
        checked = await asyncio.to_thread(self._sift, blocks, wanted, taken)
        if checked:
            await self._store(checked, taken)
        return taken

    def _sift(
        self, blocks: Sequence[bytes], wanted: Callable[[AuthorId], bool], taken: Taken
    ) -> list[Arrival]:
        """One thread for both: a single new record would mostly wait for its turn."""
        new = self._env.store.read_now(lambda db: _new(db, blocks, taken))
        return self._check(new, wanted, taken)

    def _check(
        self, blocks: Sequence[bytes], wanted: Callable[[AuthorId], bool], taken: Taken
    ) -> list[Arrival]:
        epochs = self._epochs()
        checked: list[Arrival] = []
        for record, valid in self._verified(self._decoded(blocks, wanted, taken)):
            try:
                check_signatures(record, valid)
                inner = None
                if isinstance(record.body, Sealed):
                    epoch = epochs.get(record.body.tag)
                    if epoch is None:
                        taken.refused.setdefault("sealed for others", []).append(record.id)
                        continue
                    inner = open_sealed(record, epoch)
                checked.append(Arrival(record, inner))
            except (RecordError, BadEncoding, CannotOpen) as error:
                taken.fault = _fault(error)
        checked.sort(
            key=lambda one: (one.record.kind != "device", not one.record.is_standing, one.record.time)
        )
        return checked

    def _decoded(
        self, blocks: Sequence[bytes], wanted: Callable[[AuthorId], bool], taken: Taken
    ) -> Iterator[Record]:
        for block in blocks:
            try:
                record = decode_record(block)
            except TooNew:
                taken.refused.setdefault("too new", []).append(dag_cbor_cid(block))
            except (RecordError, BadEncoding) as error:
                taken.fault = _fault(error)
            else:
                if wanted(record.author):
                    yield record
                else:
                    taken.refused.setdefault("not wanted", []).append(record.id)

    def _verified(self, records: Iterable[Record]) -> Iterator[tuple[Record, Sequence[bool]]]:
        """Each with what became of its signatures."""
        signed = [(record, signatures_of(record)) for record in records]
        valid = iter(self._signatures.verify([one for _, some in signed for one in some]))
        for record, some in signed:
            yield record, [next(valid) for _ in some]

    async def _store(self, checked: Sequence[Arrival], taken: Taken) -> None:
        now, near = self._env.now(), self._near()

        def work(db: sqlite3.Connection) -> None:
            outcomes = ingest_many(db, checked, now=now, near=near)
            for one, outcome in zip(checked, outcomes, strict=True):
                if outcome.status is Status.ADDED:
                    taken.added.append(one.record)
                    taken.people_changed |= one.record.kind in _PEOPLE_KINDS
                elif outcome.status is Status.REFUSED:
                    taken.refused.setdefault(outcome.reason, []).append(one.record.id)
                elif outcome.status is Status.UNKNOWN_DEVICE:
                    taken.unknown.append(one.record.block)
                elif outcome.status is Status.KNOWN:
                    taken.known.append(one.record.id)
                elif outcome.status is Status.RETRACTED and outcome.by is not None:
                    retraction = get(db, outcome.by)
                    if retraction is not None and retraction.scope == b"":
                        taken.retractions.append(retraction.record.block)
            for author in {one.record.author for one in checked}:
                self._keep_quota(db, author)

        await self._env.store.write(work)

    def _keep_quota(self, db: sqlite3.Connection, author: AuthorId) -> None:
        quota = self._quota(author)
        if quota is None:
            return
        held = held_of(db, author)
        if held.bytes <= quota.bytes and (quota.records is None or held.records <= quota.records):
            return
        entries = (
            Entry(time, Cid(cid), length)
            for time, cid, length in db.execute(
                "SELECT time, id, length(block) FROM record WHERE author = ? AND wire AND period <> 0"
                " ORDER BY time DESC, id DESC",
                (author,),
            )
        )
        floor = floor_of(entries, quota)
        if floor is not None:
            forget_below(db, author, Floor(*floor))


def _fault(error: Exception) -> ChannelError:
    """The sender pays for this one; the others may be anybody's, and are kept."""
    return ChannelError(CloseCode.BAD_RECORD, f"a record that is not valid: {error}")


def _new(db: sqlite3.Connection, blocks: Sequence[bytes], taken: Taken) -> list[bytes]:
    """Those that are not held; a few reads spare many signatures."""
    ids = [dag_cbor_cid(block) for block in blocks]
    held = {cid for (cid,) in select_in(db, "SELECT id FROM record WHERE id IN", ids)}
    taken.known += [cid for cid in ids if cid in held]
    return [block for block, cid in zip(blocks, ids, strict=True) if cid not in held]
