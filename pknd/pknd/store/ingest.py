"""The one entrance of records into the store, for what was written here and for what peers sent.

The caller has verified the signature; here it is decided whether the record belongs into this store, and
everything that follows from it (sums, versions, links, index) is written in the same transaction. Many at
once go through `ingest_many` (`pknd.store.batch`), with the same result and a fraction of the statements.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

from pkn_protocol.records.ids import AuthorId, Cid
from pkn_protocol.records.model import (
    Comment,
    Device,
    DeviceRetraction,
    Grant,
    Item,
    Record,
    Retraction,
    Sealed,
)
from pkn_protocol.sync.sums import REFUSED_AHEAD_MS, record_period
from pkn_protocol.text.sketch import Sketch
from pknd.search.index import add_document
from pknd.store.arrivals import note_arrivals
from pknd.store.erasure import erasure_needed
from pknd.store.floors import Floor, floor_of
from pknd.store.removal import remove_records
from pknd.store.retract import apply_retraction, owner_has_come, retraction_against
from pknd.store.sums import Row, add_to_sum
from pknd.store.versions import PUBLIC_SCOPE, refresh_item


class Status(StrEnum):
    ADDED = "added"
    KNOWN = "known"
    RETRACTED = "retracted"
    REFUSED = "refused"
    UNKNOWN_DEVICE = "unknown-device"


@dataclass(frozen=True, slots=True)
class Outcome:
    """`rowid`: of the record that people cite (the inner one of a sealed record). `by`: the retraction that
    forbids the record. `removed`: how many records a retraction has deleted."""

    status: Status
    rowid: int = 0
    reason: str = ""
    by: Cid | None = None
    removed: int = 0


def ingest(
    db: sqlite3.Connection,
    record: Record,
    *,
    now: int,
    inner: Record | None = None,
    near: Collection[AuthorId] = (),
    sketch: Sketch | None = None,
) -> Outcome:
    """Take a verified record in; `now` in ms since 1970.

    `inner` is the opened record of a sealed one; a sealed record that came before its key is given again,
    with `inner`, when the key is here. `near` are authors within the reader's trust beside those that
    `set_near` has stored. `sketch` is the decoded sketch of the item, where it is at hand.
    """
    if not record.understood:
        # What has to be understood may be a condition on opening it.
        inner = None
    known = db.execute("SELECT rowid, inner, scope FROM record WHERE id = ?", (record.id,)).fetchone()
    if known is not None and (inner is None or known[1] is not None):
        return Outcome(Status.KNOWN, known[1] or known[0])
    refusal = refusal_of(record, inner, now, Facts(db)) or _retracted(db, record, inner)
    if refusal is not None:
        if known is not None and refusal.status is Status.RETRACTED:
            # What had been sealed from us turns out to be taken back: others have deleted it long since.
            remove_records(db, [known[0]])
            erasure_needed(db)
        return refusal
    head = False
    if known is not None:
        outer, scope = known[0], known[2]
    else:
        scope = scope_of(record)
        outer, head = _insert(db, record, scope, now, wire=True)
        add_to_sum(db, Row(scope, record.author, record_period(record)), record.id, len(record.block))
    if inner is None:
        return _apply(db, record, _Place(outer, scope, head), near, sketch)
    held = db.execute("SELECT rowid FROM record WHERE id = ?", (inner.id,)).fetchone()
    rowid, head = (held[0], False) if held is not None else _insert(db, inner, scope, now, wire=False)
    db.execute("UPDATE record SET inner = ? WHERE rowid = ?", (rowid, outer))
    if held is not None:
        return Outcome(Status.ADDED, rowid)
    return _apply(db, inner, _Place(rowid, scope, head), near, sketch)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a record was inserted; `head`: as its item's only version, which needs no comparison."""

    rowid: int
    scope: bytes
    head: bool


def scope_of(record: Record) -> bytes:
    return record.body.tag if isinstance(record.body, Sealed | Grant) else PUBLIC_SCOPE


class Facts:
    """What decides about many records, read once: floors by author, authors by device."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._floors: dict[AuthorId, Floor | None] = {}
        self._authors: dict[bytes, bytes | None] = {}

    def floor_of(self, author: AuthorId) -> Floor | None:
        if author not in self._floors:
            self._floors[author] = floor_of(self._db, author)
        return self._floors[author]

    def author_of(self, device: bytes) -> bytes | None:
        if device not in self._authors:
            row = self._db.execute("SELECT author FROM device WHERE device = ?", (device,)).fetchone()
            self._authors[device] = None if row is None else row[0]
        return self._authors[device]


def refusal_of(record: Record, inner: Record | None, now: int, facts: Facts) -> Outcome | None:
    """Why a record is not let in, apart from retractions; None: it is."""
    if record.audience is not None:
        return Outcome(Status.REFUSED, reason="it is for a circle and was not sealed")
    if inner is not None and not isinstance(record.body, Sealed):
        return Outcome(Status.REFUSED, reason="nothing is sealed in it")
    if record.time > now + REFUSED_AHEAD_MS:
        return Outcome(Status.REFUSED, reason="its time lies more than a day ahead")
    if record.expires is not None and record.expires <= now:
        return Outcome(Status.REFUSED, reason="expired")
    if not (record.is_standing or record.kind == "grant"):
        floor = facts.floor_of(record.author)
        if floor is not None and (record.time, record.id) < (floor.time, floor.id):
            return Outcome(Status.REFUSED, reason="older than what is kept of its author")
    refusal = _device_refusal(record, facts)
    if refusal is None and inner is not None:
        if inner.audience is None:
            return Outcome(Status.REFUSED, reason="a record without an audience was sealed")
        refusal = _device_refusal(inner, facts)
    return refusal


def _device_refusal(record: Record, facts: Facts) -> Outcome | None:
    if isinstance(record.body, DeviceRetraction):
        return None
    device = record.body.device if isinstance(record.body, Device) else record.by
    joined = facts.author_of(device)
    if joined is not None and joined != record.author:
        return Outcome(Status.REFUSED, reason="the device belongs to another author")
    if joined is None and not isinstance(record.body, Device):
        return Outcome(Status.UNKNOWN_DEVICE)
    return None


def _retracted(db: sqlite3.Connection, record: Record, inner: Record | None) -> Outcome | None:
    refusal = _retraction_refusal(db, record)
    return refusal if refusal is not None or inner is None else _retraction_refusal(db, inner)


def _retraction_refusal(db: sqlite3.Connection, record: Record) -> Outcome | None:
    if isinstance(record.body, Retraction) or not (record.is_item or record.item is not None):
        return None
    by = retraction_against(db, record.item_id, record.author)
    if by is None:
        return None
    if record.id == record.item_id:
        # Only now is it known that the retraction came from the item's owner.
        owner_has_come(db, record.item_id, record.author)
    return Outcome(Status.RETRACTED, by=by)


def _insert(
    db: sqlite3.Connection, record: Record, scope: bytes, now: int, *, wire: bool
) -> tuple[int, bool]:
    """The row, and whether it is shown as its item's only version."""
    item = record.item_id if record.is_item else record.item
    # What `refresh_item` would find, without its questions: most items are new.
    head = record.is_item and record.understood and not _is_known(db, record.item_id)
    cursor = db.execute(
        "INSERT INTO record (id, author, time, kind, scope, period, wire, item, audience, expires, received,"
        " understood, head, shown, block) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            record.id,
            record.author,
            record.time,
            record.kind,
            scope,
            record_period(record),
            wire,
            item,
            record.audience,
            record.expires,
            now,
            record.understood,
            head,
            head,
            record.block,
        ),
    )
    rowid = cursor.lastrowid
    if rowid is None:
        raise sqlite3.DatabaseError("a row was inserted without a number")
    if record.replaces:
        db.executemany(
            "INSERT OR IGNORE INTO replaced (old, record) VALUES (?, ?)",
            [(old, rowid) for old in record.replaces],
        )
    return rowid, head


def _is_known(db: sqlite3.Connection, item: Cid) -> bool:
    return db.execute("SELECT 1 FROM record WHERE item = ? LIMIT 1", (item,)).fetchone() is not None


def _apply(
    db: sqlite3.Connection,
    record: Record,
    place: _Place,
    near: Collection[AuthorId],
    sketch: Sketch | None,
) -> Outcome:
    body, rowid = record.body, place.rowid
    if not record.understood and not isinstance(body, Item):
        # What it must be understood for may limit what it does: it does nothing. An item is not shown, and
        # its links and tags lead nowhere, but its payload is asked for when the program is renewed.
        return Outcome(Status.ADDED, rowid)
    if isinstance(body, Device):
        db.execute(
            "INSERT OR IGNORE INTO device (device, author, record) VALUES (?, ?, ?)",
            (body.device, record.author, record.id),
        )
    elif isinstance(body, Retraction) and record.item is not None:
        removal = apply_retraction(db, record, record.item)
        return Outcome(Status.ADDED, rowid, removed=removal.records)
    elif isinstance(body, Item):
        _add_item(db, record, body, place, near, sketch)
    else:
        db.execute("UPDATE record SET shown = 1 WHERE rowid = ?", (rowid,))
        if isinstance(body, Comment):
            note_arrivals(db, [rowid])
    return Outcome(Status.ADDED, rowid)


def _add_item(
    db: sqlite3.Connection,
    record: Record,
    item: Item,
    place: _Place,
    near: Collection[AuthorId],
    sketch: Sketch | None,
) -> None:
    rowid = place.rowid
    note_arrivals(db, [rowid])
    if place.head:
        add_document(db, rowid, record, public=place.scope == PUBLIC_SCOPE, sketch=sketch)
    else:
        refresh_item(db, record.item_id, near)
    if item.links:
        db.executemany(
            "INSERT OR IGNORE INTO link (target, record) VALUES (?, ?)", [(t, rowid) for t in item.links]
        )
    if item.tags:
        db.executemany(
            "INSERT OR IGNORE INTO tag (tag, record) VALUES (?, ?)",
            [(tag.casefold(), rowid) for tag in item.tags],
        )
    if item.payload is not None:
        add_payload(db, rowid, item.payload.cid, item.payload.size)


def add_payload(db: sqlite3.Connection, rowid: int, cid: Cid, size: int) -> None:
    """Note what content a record has; it is complete if it is here under another record."""
    # The same content under another record is complete there only if it is of the same size: a liar's
    # figure must not make a broken payload whole.
    twin = db.execute(
        "SELECT record, complete FROM payload WHERE cid = ? AND size = ? ORDER BY complete DESC LIMIT 1",
        (cid, size),
    ).fetchone()
    db.execute(
        "INSERT INTO payload (record, cid, size, complete) VALUES (?, ?, ?, ?)",
        (rowid, cid, size, 0 if twin is None else twin[1]),
    )
    if twin is not None:
        # A new version with the content of the one before: whoever may see it may have the blocks.
        db.execute(
            "INSERT OR IGNORE INTO block_use (cid, record) SELECT cid, ? FROM block_use WHERE record = ?",
            (rowid, twin[0]),
        )
