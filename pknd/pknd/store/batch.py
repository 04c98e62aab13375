"""Many records at once: what `ingest` does to each, in a fraction of the statements.

Nearly all records are first versions of items that nothing here refers to yet. What is true of those together
is asked together, and their rows are inserted together; every other record takes the way of `ingest`.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from pkn_protocol.records.ids import AuthorId, Cid
from pkn_protocol.records.model import Item, Record
from pkn_protocol.sync.sums import record_period
from pkn_protocol.text.sketch import Sketch
from pknd.search.index import NewDocument, add_documents
from pknd.store.arrivals import note_arrivals
from pknd.store.ingest import Facts, Outcome, Status, add_payload, ingest, refusal_of, scope_of
from pknd.store.rows import insert_rows, select_in
from pknd.store.sums import Row, add_many_to_sum
from pknd.store.versions import PUBLIC_SCOPE

_RECORD = (
    "INSERT INTO record (rowid, id, author, time, kind, scope, period, wire, inner, item, audience, expires,"
    " received, understood, head, shown, block)"
)
_RECORD_WIDTH = 17


@dataclass(frozen=True, slots=True)
class Arrival:
    """A verified record; of a sealed one `inner` is what was in it.

    `sketch` is the decoded sketch of the item, where it is at hand; `complete`: the blocks of its payload are
    stored in the same transaction.
    """

    record: Record
    inner: Record | None = None
    sketch: Sketch | None = None
    complete: bool = False

    @property
    def cited(self) -> Record:
        """The record that people cite."""
        return self.record if self.inner is None else self.inner


def ingest_many(
    db: sqlite3.Connection,
    arrivals: Sequence[Arrival],
    *,
    now: int,
    near: Collection[AuthorId] = (),
) -> list[Outcome]:
    """Take verified records in, in their order; see `ingest`, whose outcomes these are."""
    outcomes: list[Outcome] = []
    for new_items, group in groupby(arrivals, key=_is_new_item):
        run = list(group)
        if new_items and len(run) > 1:
            outcomes += _Run(db, run, now, near).outcomes()
        else:
            outcomes += [_one(db, arrival, now, near) for arrival in run]
    return outcomes


def _is_new_item(arrival: Arrival) -> bool:
    record, cited = arrival.record, arrival.cited
    return (
        isinstance(cited.body, Item)
        and cited.item is None
        and cited.understood
        and record.understood
        and (arrival.inner is not None or record.audience is None)
    )


def _one(db: sqlite3.Connection, arrival: Arrival, now: int, near: Collection[AuthorId]) -> Outcome:
    outcome = ingest(db, arrival.record, now=now, inner=arrival.inner, near=near, sketch=arrival.sketch)
    if arrival.complete and outcome.status in (Status.ADDED, Status.KNOWN):
        db.execute("UPDATE payload SET complete = 1 WHERE record = ?", (outcome.rowid,))
    return outcome


@dataclass(frozen=True, slots=True)
class _Placed:
    """An arrival with the rows that it gets: of what travels (`record`), and of what people cite.

    What several tables ask of it is found out once.
    """

    arrival: Arrival
    record: Record
    item: Item
    scope: bytes
    period: int
    outer: int
    cited: int


class _Run:
    """First versions of items, one after the other."""

    def __init__(
        self, db: sqlite3.Connection, run: Sequence[Arrival], now: int, near: Collection[AuthorId]
    ) -> None:
        self._db = db
        self._run = run
        self._now = now
        self._near = near
        self._facts = Facts(db)
        self._next = db.execute("SELECT coalesce(max(rowid), 0) + 1 FROM record").fetchone()[0]
        # What is here already, is referred to or was retracted, or came before in this run.
        self._met = self._already_met()

    def outcomes(self) -> list[Outcome]:
        outcomes: list[Outcome] = []
        placed: list[_Placed] = []
        others: list[tuple[int, Arrival]] = []
        for arrival in self._run:
            ids = (arrival.record.id, arrival.cited.id)
            if not self._met.isdisjoint(ids):
                others.append((len(outcomes), arrival))
                outcomes.append(Outcome(Status.KNOWN))
                continue
            refusal = refusal_of(arrival.record, arrival.inner, self._now, self._facts)
            if refusal is None:
                self._met.update(ids)
                placed.append(self._place(arrival))
                refusal = Outcome(Status.ADDED, placed[-1].cited)
            outcomes.append(refusal)
        if placed:
            self._insert(placed)
        for number, arrival in others:
            outcomes[number] = _one(self._db, arrival, self._now, self._near)
        return outcomes

    def _already_met(self) -> set[bytes]:
        ids = [cid for one in self._run for cid in dict.fromkeys((one.record.id, one.cited.id))]
        met: set[bytes] = set()
        for statement in (
            "SELECT id FROM record WHERE id IN",
            "SELECT item FROM record WHERE item IN",
            "SELECT item FROM retracted WHERE item IN",
        ):
            met.update(bytes(cid) for (cid,) in select_in(self._db, statement, ids) if isinstance(cid, bytes))
        return met

    def _place(self, arrival: Arrival) -> _Placed:
        # The inner row first: the outer one refers to it.
        cited = self._next
        outer = cited if arrival.inner is None else cited + 1
        self._next = outer + 1
        record, body = arrival.record, arrival.cited.body
        if not isinstance(body, Item):
            raise TypeError("only items are placed")
        return _Placed(arrival, record, body, scope_of(record), record_period(record), outer, cited)

    def _insert(self, placed: Sequence[_Placed]) -> None:
        db = self._db
        insert_rows(db, _RECORD, _RECORD_WIDTH, [row for one in placed for row in self._rows(one)])
        self._add_to_sums(placed)
        note_arrivals(db, [one.cited for one in placed])
        insert_rows(
            db,
            "INSERT INTO link (target, record)",
            2,
            [(target, one.cited) for one in placed for target in one.item.links],
            then="ON CONFLICT DO NOTHING",
        )
        insert_rows(
            db,
            "INSERT INTO tag (tag, record)",
            2,
            [(tag.casefold(), one.cited) for one in placed for tag in one.item.tags],
            then="ON CONFLICT DO NOTHING",
        )
        self._add_payloads(placed)
        add_documents(
            db,
            [
                NewDocument(
                    one.cited,
                    one.arrival.cited,
                    one.scope == PUBLIC_SCOPE,
                    one.arrival.sketch,
                )
                for one in placed
            ],
        )

    def _rows(self, one: _Placed) -> Iterable[Sequence[object]]:
        inner = one.arrival.inner
        if inner is None:
            yield self._row(one.cited, one.record, one.scope, one.period, wire=True, head=True)
        else:
            yield self._row(one.cited, inner, one.scope, record_period(inner), wire=False, head=True)
            yield self._row(
                one.outer, one.record, one.scope, one.period, wire=True, head=False, inner=one.cited
            )

    def _row(
        self,
        rowid: int,
        record: Record,
        scope: bytes,
        period: int,
        *,
        wire: bool,
        head: bool,
        inner: int | None = None,
    ) -> Sequence[object]:
        return (
            rowid,
            record.id,
            record.author,
            record.time,
            record.kind,
            scope,
            period,
            wire,
            inner,
            record.item_id if record.is_item else record.item,
            record.audience,
            record.expires,
            self._now,
            record.understood,
            head,
            head,
            record.block,
        )

    def _add_to_sums(self, placed: Sequence[_Placed]) -> None:
        rows: dict[tuple[bytes, AuthorId, int], list[Record]] = defaultdict(list)
        for one in placed:
            rows[(one.scope, one.record.author, one.period)].append(one.record)
        for row, found in rows.items():
            size = sum(len(record.block) for record in found)
            add_many_to_sum(self._db, Row(*row), [record.id for record in found], size)

    def _add_payloads(self, placed: Sequence[_Placed]) -> None:
        db = self._db
        cids = {one.item.payload.cid for one in placed if one.item.payload is not None}
        shared = {
            bytes(cid)
            for (cid,) in select_in(db, "SELECT DISTINCT cid FROM payload WHERE cid IN", sorted(cids))
            if isinstance(cid, bytes)
        }
        rows: list[tuple[int, Cid, int, bool]] = []
        for one in placed:
            payload = one.item.payload
            if payload is None:
                continue
            if payload.cid in shared:
                # Content that is here under another record, or came with one before.
                _flush_payloads(db, rows)
                add_payload(db, one.cited, payload.cid, payload.size)
                if one.arrival.complete:
                    db.execute("UPDATE payload SET complete = 1 WHERE record = ?", (one.cited,))
                continue
            shared.add(payload.cid)
            rows.append((one.cited, payload.cid, payload.size, one.arrival.complete))
        _flush_payloads(db, rows)


def _flush_payloads(db: sqlite3.Connection, rows: list[tuple[int, Cid, int, bool]]) -> None:
    insert_rows(db, "INSERT INTO payload (record, cid, size, complete)", 4, rows)
    rows.clear()
