"""Writing one's own records: analysed, signed, sealed for their audience, stored, announced."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pkn_protocol.control.errors import ErrorCode
from pkn_protocol.records.bodies import NONCE_BYTES
from pkn_protocol.records.cbor import BadEncoding
from pkn_protocol.records.circles import EpochKey, seal_record
from pkn_protocol.records.codec import sign_record
from pkn_protocol.records.fields import RecordError
from pkn_protocol.records.ids import Cid
from pkn_protocol.records.model import Body, Item, Record
from pkn_protocol.text.sketch import Sketch
from pknd.capture.captured import Captured
from pknd.environment import Environment
from pknd.errors import DomainError
from pknd.items.drafts import Analysed, analyse_captured, item_body
from pknd.items.payloads import PlannedPayload, plan_payload
from pknd.people.circles import PRIVATE, PUBLIC, TRUSTED, current_epoch, known_epoch
from pknd.people.view import PeopleView
from pknd.store.batch import Arrival, ingest_many
from pknd.store.blocks import IN_ROW_BYTES, OwnFile, put_blocks, put_own_file
from pknd.store.ingest import Outcome, Status, ingest
from pknd.store.sources import Source, put_sources

AUDIENCES = (TRUSTED, PUBLIC, PRIVATE)
# From narrow to wide: front matter may narrow what was asked for, never widen it.
_WIDTH = {PRIVATE: 0, TRUSTED: 1, PUBLIC: 2}


@dataclass(frozen=True, slots=True)
class Draft:
    """An item to be written: `item` and `replaces` are set for a later version."""

    captured: Captured
    audience: str
    item: Cid | None = None
    replaces: tuple[Cid, ...] = ()
    links: tuple[Cid, ...] = ()
    source: tuple[Path, bytes] | None = None
    """Path and digest of where an import found it."""


@dataclass(frozen=True, slots=True)
class Made:
    """`record` is what people cite; `wire` what travels (the same, or the sealed record around it)."""

    record: Record
    wire: Record
    plan: PlannedPayload | None
    draft: Draft
    sketch: Sketch | None


def audience_of(asked: str | None, in_text: str | None, default: str) -> str:
    """Who gets an item: what was asked for, or the default, unless the text itself is for fewer.

    Raises:
        DomainError: an audience that does not exist.
    """
    for name, code in ((asked, ErrorCode.BAD_REQUEST), (in_text, ErrorCode.NOT_CAPTURED)):
        if name is not None and name not in AUDIENCES:
            raise DomainError(
                code,
                f"there is no audience {name!r}",
                "use trusted, public or private",
            )
    wished = asked or in_text or default
    if in_text is not None and _WIDTH[in_text] < _WIDTH[wished]:
        return in_text
    return wished


class Publisher:
    """`announce` gets the records that travel, after they are on disk; `check_room` raises DomainError where
    so many bytes would not fit; it is called in threads."""

    def __init__(
        self,
        env: Environment,
        *,
        view: Callable[[], PeopleView],
        default_lang: Callable[[], str],
        announce: Callable[[Sequence[Record]], None],
        check_room: Callable[[int], None],
    ) -> None:
        self._env = env
        self._view = view
        self._default_lang = default_lang
        self._announce = announce
        self._check_room = check_room

    async def publish(self, drafts: Sequence[Draft]) -> list[Made]:
        """Write items; returns when all are on disk.

        Raises:
            CaptureError: a file cannot be read. DomainError: a record would be invalid, or no room.
        """
        epochs = {name: await self.epoch(name) for name in {d.audience for d in drafts} - {PUBLIC}}
        made = await asyncio.to_thread(self.make_all, drafts, epochs)
        await self.write(made)
        return made

    def check_room(self, made: Sequence[Made]) -> None:
        """Before `write`; blocking, for a thread of the caller.

        Raises:
            DomainError: the volume has no room for it.
        """
        self._check_room(sum(_bytes_needed(one) for one in made))

    @property
    def default_lang(self) -> str:
        return self._default_lang()

    def analyse(self, captured: Sequence[Captured]) -> list[Analysed]:
        """Read titles and texts; blocking, for a thread of the caller."""
        return analyse_captured(captured, default_lang=self._default_lang())

    def make_all(self, drafts: Sequence[Draft], epochs: Mapping[str, EpochKey]) -> list[Made]:
        """What `write` takes; blocking, for a thread of the caller. `epochs`: of the audiences that are not
        public.

        Raises:
            CaptureError, DomainError: as `make` and `check_room` do.
        """
        analysed = self.analyse([draft.captured for draft in drafts])
        made = [
            self.make(draft, one, epochs.get(draft.audience))
            for draft, one in zip(drafts, analysed, strict=True)
        ]
        self.check_room(made)
        return made

    def make(self, draft: Draft, analysed: Analysed, epoch: EpochKey | None) -> Made:
        """Sign and seal; blocking, for a thread of the caller. `epoch`: of an audience that is not public.

        Raises:
            CaptureError: the file cannot be read. DomainError: the record would be invalid.
        """
        captured = draft.captured
        plan = plan_payload(captured, sealed=epoch is not None, random_bytes=self._env.random_bytes)
        body: Item = item_body(
            captured, analysed, payload=None if plan is None else plan.payload, links=draft.links
        )
        audience = None if epoch is None else draft.audience
        record, wire = self._sign(
            captured.kind.value, body, audience, epoch, draft.item, draft.replaces, captured.dated
        )
        return Made(record, wire, plan, draft, analysed.sketch)

    async def write(self, made: Sequence[Made]) -> None:
        """Store what was made and has room, in one transaction, and announce it."""
        now, near, files = self._env.now(), self._view().near, self._env.store.files
        large = [
            (cid, block)
            for one in made
            if one.plan is not None
            for cid, block in one.plan.blocks
            if len(block) > IN_ROW_BYTES
        ]
        for cid, block in large:
            # Synced in a thread of their own: the writer's is for everybody.
            await asyncio.to_thread(files.write, cid, block)

        arrivals = [_arrival(one) for one in made]

        def work(db: sqlite3.Connection) -> None:
            outcomes = ingest_many(db, arrivals, now=now, near=near)
            blocks: list[tuple[Cid, bytes, int]] = []
            for one, outcome in zip(made, outcomes, strict=True):
                _expect_added(outcome, one.record)
                if one.plan is not None:
                    blocks += [(cid, block, outcome.rowid) for cid, block in one.plan.blocks]
                    if (own := one.plan.reference) is not None:
                        reference = OwnFile(own.path, own.size, own.mtime_ns, own.key, own.chunks)
                        put_own_file(db, reference, record=outcome.rowid)
            put_blocks(db, files, blocks)
            put_sources(db, [source for one in made if (source := _source(one)) is not None])

        await self._env.store.write(work)
        self._announce([one.wire for one in made])

    async def write_record(
        self,
        kind: str,
        body: Body,
        *,
        audience: str | None = None,
        item: Cid | None = None,
        replaces: tuple[Cid, ...] = (),
        along: Callable[[sqlite3.Connection], object] | None = None,
    ) -> tuple[Record, Outcome]:
        """Write a record that has no payload: a profile, a vouch, a retraction.

        `along` is done in the same transaction, so that neither is there without the other.
        """
        epoch = None if audience in (None, PUBLIC) else await self.epoch(audience or TRUSTED)
        record, wire = await asyncio.to_thread(self._sign, kind, body, audience, epoch, item, replaces, None)
        now, near = self._env.now(), self._view().near
        inner = None if wire is record else record

        def work(db: sqlite3.Connection) -> Outcome:
            outcome = ingest(db, wire, now=now, inner=inner, near=near)
            if along is not None:
                _expect_added(outcome, record)
                along(db)
            return outcome

        outcome = await self._env.store.write(work)
        _expect_added(outcome, record)
        self._announce([wire])
        return record, outcome

    def announce_wire(self, records: Sequence[Record]) -> None:
        """Announce records that were stored by somebody else."""
        self._announce(records)

    async def epoch(self, audience: str) -> EpochKey:
        """The key that an audience's records are sealed under now; begun, with its grants, where need be."""
        # Mostly there is one, and reading need not wait for what is being written.
        known = await self._env.store.read(lambda db: known_epoch(db, self._env.keys.author, audience))
        if known is not None:
            return known
        members = self._view().trusted if audience == TRUSTED else frozenset()
        epoch, grants = await self._env.store.write(
            lambda db: current_epoch(db, self._env, audience, members)
        )
        if grants and audience != PRIVATE:
            self._announce(grants)
        return epoch

    def _sign(
        self,
        kind: str,
        body: Body,
        audience: str | None,
        epoch: EpochKey | None,
        item: Cid | None,
        replaces: tuple[Cid, ...],
        dated: int | None,
    ) -> tuple[Record, Record]:
        keys = self._env.keys
        try:
            record = sign_record(
                author=keys.author,
                key=keys.device_key,
                time=self._env.now(),
                kind=kind,
                body=body,
                audience=None if epoch is None else audience,
                item=item,
                replaces=replaces,
                dated=dated,
            )
            if epoch is None:
                return record, record
            nonce = self._env.random_bytes(NONCE_BYTES)
            return record, seal_record(record, epoch=epoch, key=keys.device_key, nonce=nonce)
        except (RecordError, BadEncoding) as error:
            raise DomainError(
                ErrorCode.NOT_CAPTURED, f"this cannot become a record: {error}", "shorten or change it"
            ) from error


def _arrival(made: Made) -> Arrival:
    inner = None if made.wire is made.record else made.record
    return Arrival(made.wire, inner, made.sketch, complete=made.plan is not None)


def _source(made: Made) -> Source | None:
    if made.draft.source is None:
        return None
    path, digest = made.draft.source
    return Source(path, digest, made.record.item_id, made.record.id)


def _bytes_needed(made: Made) -> int:
    # The record, its index entries and its pages in the log of the database take about twice its bytes again.
    blocks = () if made.plan is None else made.plan.blocks
    return 3 * len(made.wire.block) + sum(len(block) for _, block in blocks)


def _expect_added(outcome: Outcome, record: Record) -> None:
    if outcome.status is Status.RETRACTED:
        raise DomainError(ErrorCode.RETRACTED, "the item was retracted", "publish it as a new item")
    if outcome.status not in (Status.ADDED, Status.KNOWN):
        raise DomainError(
            ErrorCode.CONFLICT,
            f"the store refused the own {record.kind}: {outcome.reason or outcome.status}",
            "check this machine's clock",
        )
