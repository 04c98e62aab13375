"""Keeping in step with one peer: wants, proofs, comparisons, fetching, pushes (SPEC, Sync)."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from typing import Protocol

from pkn_protocol.channel import messages as m
from pkn_protocol.channel.errors import ChannelError, CloseCode
from pkn_protocol.channel.handshake import CLIENT, SERVER
from pkn_protocol.control.status import LogLevel
from pkn_protocol.records.circles import EpochKey, membership_proof
from pkn_protocol.records.ids import CID_BYTES, AuthorId, Cid, ShortId
from pkn_protocol.records.model import Grant, Record, Sealed
from pkn_protocol.sync.compare import (
    Effects,
    Ended,
    Initiator,
    Lacking,
    LackingRow,
    NeedIds,
    NeedRows,
    Responder,
)
from pkn_protocol.sync.rows import Key, SumTable, root_of
from pkn_protocol.sync.sums import HOUR_MS, comparison_instant
from pkn_protocol.sync.wants import Floor, PairKey, PeerWant, changed_by, common, want_changes, whole_want
from pknd import log
from pknd.environment import Environment
from pknd.store.records import get, ids_of_short
from pknd.store.retract import retraction_of
from pknd.store.sums import Row, ids_of_row, sums_at
from pknd.sync.intake import Intake, Taken
from pknd.sync.link import LinkClosed, PeerLink

COMPARE_EVERY_S = 60.0
"""In step or not, it is checked this often: a message may have been lost with a connection."""
FETCH_TIMEOUT_S = 30.0
_INBOX = 256
_MOST_AT_DISTANCE_MS = 2 * HOUR_MS


class Hub(Protocol):
    """What a peer's synchronisation asks of the service that holds all of them."""

    def wanted_from(self, link: PeerLink) -> Mapping[AuthorId, Floor | None]: ...

    def epochs(self) -> Mapping[bytes, tuple[EpochKey, AuthorId]]:
        """The epochs that are shared with members, by tag, with the circle's owner."""
        ...

    async def grants_for(self, link: PeerLink) -> Sequence[bytes]: ...

    async def take_grants(self, blocks: Sequence[bytes], link: PeerLink) -> bool:
        """Whether a new key was learned."""
        ...

    async def taken(self, taken: Taken, link: PeerLink) -> None: ...


class PeerSync:
    """One connection's state; `run` lives as long as the connection."""

    def __init__(self, env: Environment, link: PeerLink, hub: Hub, intake: Intake) -> None:
        self.link = link
        self.in_step = asyncio.Event()
        self.records_in = 0
        self.records_out = 0
        self._env = env
        self._hub = hub
        self._intake = intake
        self._key = PairKey.of(env.keys.device_key, link.peer.device)
        self._wanted: Mapping[AuthorId, Floor | None] = {}
        self._want_number = 0
        self._peer_want = PeerWant()
        self._proven: set[bytes] = set()
        self._refused: set[Cid] = set()
        # Odd numbers are the dialling side's comparisons, even ones the other's.
        self._next_number = 1 if link.outbound else 2
        self._own: Initiator | None = None
        self._other: Responder | None = None
        self._inbox: asyncio.Queue[m.Message] = asyncio.Queue(_INBOX)
        self._compare_due = asyncio.Event()
        self._compare_over = asyncio.Event()
        self._own_rows: SumTable = {}
        self._other_rows: SumTable = {}
        self._lacking: asyncio.Queue[Lacking] = asyncio.Queue(4)
        self._want_came = asyncio.Event()

    async def run(self) -> None:
        """Until the connection ends; a fault of the peer closes it with the reason."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._work_inbox())
                tasks.create_task(self._fetch_lacking())
                await self._introduce()
                if self.link.outbound:
                    self._compare_due.set()
                tasks.create_task(self._compare_when_due())
        except* ChannelError as group:
            error = _first(group)
            await self.link.close(error.code, error.reason)
        except* (LinkClosed, TimeoutError):
            await self.link.close(CloseCode.GOING_AWAY, "the connection was lost")

    async def receive(self, message: m.Message) -> None:
        """Take a message that is no request; waits while there is much to do."""
        await self._inbox.put(message)

    async def wants_changed(self) -> None:
        """Trust, blocks or floors are others than before: tell what is wanted now, and compare."""
        wanted = dict(self._hub.wanted_from(self.link))
        if wanted == self._wanted:
            return
        change = want_changes(self._want_number, self._wanted, wanted, self._key)
        before, self._wanted = self._wanted, wanted
        self._want_number += 1
        for message in [change] if change is not None else whole_want(self._want_number, wanted, self._key):
            await self.link.send(message)
        if wanted.keys() - before.keys():
            self._compare_due.set()

    async def prove_memberships(self) -> None:
        """Show that the circles' keys that are known here are; compare, since more may be had now."""
        role = CLIENT if self.link.outbound else SERVER
        transcript = self.link.peer.transcript
        proofs = [membership_proof(epoch, transcript, role) for epoch, _ in self._hub.epochs().values()]
        if proofs:
            # In the order of their bytes, which nobody can foresee.
            await self.link.send(m.Circles(tuple(sorted(proofs)[: m.MOST_PROOFS])))

    async def push(self, records: Iterable[Record]) -> None:
        """Offer new records, in full, where they are wanted."""
        by_author: dict[AuthorId, list[bytes]] = {}
        for record in records:
            if self.may_see(_scope(record)) and self._is_wanted_there(record):
                by_author.setdefault(record.author, []).append(record.block)
        for author, blocks in by_author.items():
            for part in _parts(blocks):
                self.records_out += len(part)
                await self.link.send(m.Push(self._key.hash(author), tuple(part)))

    async def give_grants(self) -> None:
        blocks = await self._hub.grants_for(self.link)
        if blocks:
            await self.link.send(m.Grants(tuple(blocks[: m.MOST_FETCHED])))

    def may_see(self, scope: bytes) -> bool:
        """Whether the peer may have records and blocks of a scope."""
        return scope == b"" or scope in self._proven

    async def give_records(
        self, fetch: m.Fetch, passed_on: Callable[[Cid], tuple[bytes, bytes] | None]
    ) -> AsyncIterator[m.Records]:
        """The replies to a request for records; what may not be seen is missing like what is not held.

        `passed_on` gives records that are not held but were answers to a forwarded query, each with the
        block of its author's device.
        """

        authors = {self._key.hash(author): author for author in self._wanted} if fetch.shorts else {}

        def work(db: sqlite3.Connection) -> tuple[list[bytes], list[Cid]]:
            blocks: dict[bytes, None] = {}
            missing: list[Cid] = []
            named = [
                cid
                for part in fetch.shorts
                if part.author in authors
                for short in part.shorts
                for cid in ids_of_short(db, authors[part.author], short)
            ]
            for cid in (*fetch.ids, *named):
                found = _givable(db, cid, self)
                if found is None:
                    others = passed_on(cid)
                    if others is None:
                        missing.append(cid)
                    else:
                        blocks.update(dict.fromkeys(reversed(others)))
                    continue
                if fetch.devices:
                    blocks.update(dict.fromkeys(_device_blocks(db, cid)))
                blocks[found] = None
            return list(blocks), missing

        blocks, missing = await self._env.store.read(work)
        parts = list(_parts(blocks)) or [[]]
        for number, part in enumerate(parts):
            last = number == len(parts) - 1
            self.records_out += len(part)
            yield m.Records(tuple(part), tuple(missing) if last else (), more=not last)

    async def _introduce(self) -> None:
        await self._take([self.link.peer.device_record.block])
        await self.give_grants()
        await self.prove_memberships()
        self._wanted = dict(self._hub.wanted_from(self.link))
        self._want_number = 1
        for message in whole_want(1, self._wanted, self._key):
            await self.link.send(message)

    async def _work_inbox(self) -> None:
        while True:
            await self._on_message(await self._inbox.get())

    async def _on_message(self, message: m.Message) -> None:
        match message:
            case m.Want():
                self._peer_want = changed_by(self._peer_want, message)
                self._want_came.set()
                if self._peer_want.number > 1 and not self._peer_want.partial:
                    self._compare_due.set()
            case m.Circles():
                self._on_circles(message)
            case m.Grants():
                if await self._hub.take_grants(message.blocks, self.link):
                    await self.prove_memberships()
            case m.Push():
                await self._on_push(message)
            case m.Refused():
                self._refused.update(message.ids)
            case m.Compare():
                await self._on_compare(message)
            case m.Same() | m.Stale() | m.Rows() | m.MoreIds() | m.Lacks():
                await self._on_own(message)
            case m.MoreRows() | m.Groups() | m.Parts():
                await self._on_other(message)
            case m.Unsupported():
                log.event("sync.unsupported", LogLevel.DEBUG, type=message.type)
            case _:
                raise ChannelError(CloseCode.BAD_MESSAGE, f"{type(message).__name__} is not expected here")

    def _on_circles(self, message: m.Circles) -> None:
        role = SERVER if self.link.outbound else CLIENT
        shown = set(message.proofs)
        transcript = self.link.peer.transcript
        proven = {
            tag
            for tag, (epoch, _) in self._hub.epochs().items()
            if membership_proof(epoch, transcript, role) in shown
        }
        if proven - self._proven:
            self._proven |= proven
            self._compare_due.set()

    async def _on_push(self, push: m.Push) -> None:
        # Known by its author's hash before anything is decoded: what is not wanted costs nothing.
        if push.author in {self._key.hash(author) for author in self._wanted}:
            self.records_in += len(push.blocks)
            await self._take(push.blocks)

    async def _take(self, blocks: Sequence[bytes]) -> Taken:
        wanted = self._wanted.keys() | {self.link.peer.author}
        taken = await self._intake.take(blocks, lambda author: author in wanted)
        for reason, ids in taken.refused.items():
            await self.link.send(m.Refused(tuple(ids[: m.MOST_FETCHED]), reason[:200]))
        if taken.retractions:
            author = self._key.hash(self.link.peer.author)
            await self.link.send(m.Push(author, tuple(taken.retractions[: m.MOST_FETCHED])))
        if taken.unknown_device:
            self._compare_due.set()
        await self._hub.taken(taken, self.link)
        return taken

    async def _compare_when_due(self) -> None:
        while True:
            try:
                async with asyncio.timeout(COMPARE_EVERY_S):
                    await self._compare_due.wait()
            except TimeoutError:
                if not self.link.outbound:
                    continue
            self._compare_due.clear()
            if self._peer_want.number == 0 or self._peer_want.partial:
                # The other side has not said what it wants; its want sets this going again.
                await self._want_is_known()
            at = comparison_instant(self._env.now())
            self._compare_over.clear()
            self._own_rows = await self._rows(at)
            self._own = Initiator(
                self._next_number,
                session=self.link.peer.transcript,
                at=at,
                mine=self._want_number,
                yours=self._peer_want.number,
                root=await asyncio.to_thread(root_of, self._own_rows, at),
            )
            self._next_number += 2
            await self.link.send(self._own.start())
            async with asyncio.timeout(FETCH_TIMEOUT_S):
                await self._compare_over.wait()

    async def _want_is_known(self) -> None:
        async with asyncio.timeout(FETCH_TIMEOUT_S):
            while self._peer_want.number == 0 or self._peer_want.partial:
                await self._want_came.wait()
                self._want_came.clear()

    async def _on_compare(self, compare: m.Compare) -> None:
        if abs(compare.at - comparison_instant(self._env.now())) > _MOST_AT_DISTANCE_MS:
            raise ChannelError(
                CloseCode.BAD_MESSAGE, "a comparison at an instant hours away: check the clocks"
            )
        if compare.mine != self._peer_want.number or compare.yours != self._want_number:
            await self.link.send(m.Stale(compare.number))
            return
        self._other_rows = await self._rows(compare.at)
        root = await asyncio.to_thread(root_of, self._other_rows, compare.at)
        self._other = Responder(compare, session=self.link.peer.transcript, root=root)
        await self._do(self._other, self._other.start())

    async def _on_own(self, message: m.Same | m.Stale | m.Rows | m.MoreIds | m.Lacks) -> None:
        if self._own is None or message.number != self._own.number:
            log.event("sync.stale_comparison", LogLevel.DEBUG, number=message.number)
            return
        await self._do(self._own, await asyncio.to_thread(self._own.receive, message))

    async def _on_other(self, message: m.MoreRows | m.Groups | m.Parts) -> None:
        if self._other is None or message.number != self._other.number:
            log.event("sync.stale_comparison", LogLevel.DEBUG, number=message.number)
            return
        await self._do(self._other, await asyncio.to_thread(self._other.receive, message))

    async def _do(self, machine: Initiator | Responder, effects: Effects) -> None:
        """Carry out what a comparison asks for, and what that leads to."""
        for effect in effects:
            match effect:
                case NeedRows():
                    rows = self._own_rows if machine is self._own else self._other_rows
                    await self._do(machine, await asyncio.to_thread(machine.own_rows, rows))
                case NeedIds(rows=wanted):
                    ids = await self._ids(wanted, machine.at)
                    await self._do(machine, await asyncio.to_thread(machine.own_ids, ids))
                case Lacking():
                    await self._lacking.put(effect)
                    self._end(machine)
                case Ended.SAME:
                    self.in_step.set()
                    self._end(machine)
                case Ended.STALE:
                    self._compare_due.set()
                    self._end(machine)
                case _:
                    await self.link.send(effect)

    def _end(self, machine: Initiator | Responder) -> None:
        if machine is self._own:
            self._own, self._own_rows = None, {}
            self._compare_over.set()
        elif machine is self._other:
            self._other, self._other_rows = None, {}

    async def _fetch_lacking(self) -> None:
        while True:
            lacking = await self._lacking.get()
            # Rows of authors that are not wanted, any more or ever, are not fetched.
            wanted = {self._key.hash(author) for author in self._wanted}
            for fetch in _fetches([row for row in lacking.rows if row.author in wanted]):
                await self._fetch(fetch)
            if lacking.partial:
                self._compare_due.set()
            self.in_step.set()

    async def _fetch(self, fetch: m.Fetch) -> None:
        blocks: list[bytes] = []
        async for reply in self.link.stream(fetch, timeout_s=FETCH_TIMEOUT_S):
            if isinstance(reply, m.Records):
                blocks += reply.blocks
        self.records_in += len(blocks)
        await self._take(blocks)

    async def _rows(self, at: int) -> SumTable:
        shared = common(self._wanted, self._peer_want, self._key)
        scopes = self._scopes()

        def work(db: sqlite3.Connection) -> SumTable:
            table: dict[Key, tuple[int, bytes]] = {}
            for author, floor in shared.items():
                totals = sums_at(db, author, scopes(author), at=at, floor=floor)
                for row, refused in self._refused_rows(db, author, at).items():
                    for cid in refused:
                        if row in totals:
                            totals[row] = totals[row].without_id(cid)
                hashed = self._key.hash(author)
                for row, total in totals.items():
                    if total.count:
                        table[(row.scope, hashed, row.period)] = (total.count, total.digest())
            return table

        return await self._env.store.read(work)

    async def _ids(self, rows: Sequence[Key], at: int) -> dict[Key, list[Cid]]:
        shared = common(self._wanted, self._peer_want, self._key)
        authors = {self._key.hash(author): author for author in shared}
        scopes = self._scopes()

        def work(db: sqlite3.Connection) -> dict[Key, list[Cid]]:
            found: dict[Key, list[Cid]] = {}
            for scope, hashed, period in rows:
                author = authors.get(hashed)
                if author is None or scope not in scopes(author):
                    continue
                ids = ids_of_row(db, Row(scope, author, period), at=at, floor=shared[author])
                found[(scope, hashed, period)] = [cid for cid in ids if cid not in self._refused]
            return found

        return await self._env.store.read(work)

    def _scopes(self) -> Scopes:
        epochs = self._hub.epochs()
        owned: dict[AuthorId, list[bytes]] = {}
        for tag in self._proven:
            if tag in epochs:
                owned.setdefault(epochs[tag][1], []).append(tag)
        return Scopes(owned)

    def _refused_rows(self, db: sqlite3.Connection, author: AuthorId, at: int) -> dict[Row, list[Cid]]:
        rows: dict[Row, list[Cid]] = {}
        for cid in self._refused:
            found = db.execute(
                "SELECT scope, period FROM record WHERE id = ?1 AND author = ?2 AND wire AND time <= ?3"
                " AND (expires IS NULL OR expires > ?3)",
                (cid, author, at),
            ).fetchone()
            if found is not None:
                rows.setdefault(Row(found[0], author, found[1]), []).append(cid)
        return rows

    def _is_wanted_there(self, record: Record) -> bool:
        return self._peer_want.covers(
            self._key.hash(record.author), record.time, record.id, standing=record.is_standing
        )


class Scopes:
    """The scopes of an author that are compared on a connection: public, and the circles proven on it."""

    def __init__(self, owned: Mapping[AuthorId, Sequence[bytes]]) -> None:
        self._owned = owned

    def __call__(self, author: AuthorId) -> tuple[bytes, ...]:
        return (b"", *self._owned.get(author, ()))


def _scope(record: Record) -> bytes:
    return record.body.tag if isinstance(record.body, Sealed | Grant) else b""


def _givable(db: sqlite3.Connection, cid: Cid, peer: PeerSync) -> bytes | None:
    held = get(db, cid)
    if held is None:
        by = retraction_of(db, cid)
        held = get(db, by) if by is not None else None
    if held is None or held.record.audience is not None or not peer.may_see(held.scope):
        return None
    return held.record.block


def _device_blocks(db: sqlite3.Connection, cid: Cid) -> list[bytes]:
    return [
        block
        for (block,) in db.execute(
            "SELECT other.block FROM record JOIN device ON device.author = record.author"
            " JOIN record AS other ON other.id = device.record WHERE record.id = ?",
            (cid,),
        )
    ]


def _parts(blocks: Sequence[bytes]) -> Iterable[list[bytes]]:
    """Blocks in messages of bounded size."""
    part: list[bytes] = []
    size = 0
    for block in blocks:
        if part and (size + len(block) > m.MOST_RECORD_BYTES or len(part) >= m.MOST_FETCHED):
            yield part
            part, size = [], 0
        part.append(block)
        size += len(block)
    if part:
        yield part


def _fetches(rows: Sequence[LackingRow]) -> Iterable[m.Fetch]:
    """Requests for all that is lacking, in its order."""
    ids: list[Cid] = []
    shorts: dict[bytes, list[ShortId]] = {}
    count = 0
    for row in rows:
        for name in row.ids:
            if len(name) == CID_BYTES:
                ids.append(Cid(name))
            else:
                shorts.setdefault(row.author, []).append(ShortId(name))
            count += 1
            if count == m.MOST_FETCHED:
                yield _fetch_of(ids, shorts)
                ids, shorts, count = [], {}, 0
    if count:
        yield _fetch_of(ids, shorts)


def _fetch_of(ids: Sequence[Cid], shorts: Mapping[bytes, Sequence[ShortId]]) -> m.Fetch:
    return m.Fetch(tuple(ids), shorts=tuple(m.ShortIds(a, tuple(found)) for a, found in shorts.items()))


def _first(group: BaseExceptionGroup[ChannelError]) -> ChannelError:
    error = group.exceptions[0]
    return error if isinstance(error, ChannelError) else _first(error)
