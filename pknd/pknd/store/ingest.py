"""The one entrance of records into the store, for what was written here and for what peers sent.

The caller has verified the signature; here it is decided whether the record belongs into this store, and
everything that follows from it (sums, versions, links, index) is written in the same transaction.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from pkn_protocol.records.ids import AuthorId, Cid
from pkn_protocol.records.model import Device, DeviceRetraction, Item, Record, Retraction, Sealed
from pkn_protocol.sync.sums import REFUSED_AHEAD_MS, record_period
from pknd.search.index import add_document, remove_document
from pknd.store.records import Held, get
from pknd.store.removal import remove_records
from pknd.store.sums import Row, add_to_sum

PUBLIC_SCOPE = b""


class Status(StrEnum):
    ADDED = "added"
    KNOWN = "known"
    RETRACTED = "retracted"
    REFUSED = "refused"
    UNKNOWN_DEVICE = "unknown-device"


@dataclass(frozen=True, slots=True)
class Outcome:
    """`by`: the retraction that forbids the record. `erased`: blocks whose files are to be deleted after the
    commit; not empty only for a retraction."""

    status: Status
    rowid: int = 0
    reason: str = ""
    by: Cid | None = None
    erased: tuple[Cid, ...] = field(default=())
    removed: int = 0


def ingest(
    db: sqlite3.Connection,
    record: Record,
    *,
    now: int,
    inner: Record | None = None,
    near: Collection[AuthorId] = (),
) -> Outcome:
    """Take a verified record in.

    `inner` is the opened record of a sealed one. `near` are the authors within the reader's trust, whose
    versions of other people's pages count.
    """
    if (known := get(db, record.id)) is not None:
        return Outcome(Status.KNOWN, known.rowid)
    said = record if inner is None else inner
    refusal = _refusal(db, record, now) or (_refusal(db, inner, now) if inner is not None else None)
    if refusal is not None:
        return refusal
    scope = record.body.tag if isinstance(record.body, Sealed) else _scope(record)
    rowid = _insert(db, record, scope, now, wire=True, sealed_in=None)
    add_to_sum(db, Row(scope, record.author, record_period(record)), record.id)
    if inner is not None:
        rowid = _insert(db, inner, scope, now, wire=False, sealed_in=rowid)
    return _apply(db, said, rowid, scope, near)


def _scope(record: Record) -> bytes:
    return getattr(record.body, "tag", PUBLIC_SCOPE) if record.kind == "grant" else PUBLIC_SCOPE


def _refusal(db: sqlite3.Connection, record: Record, now: int) -> Outcome | None:
    if record.time > now + REFUSED_AHEAD_MS:
        return Outcome(Status.REFUSED, reason="its time lies more than a day ahead")
    if record.expires is not None and record.expires <= now:
        return Outcome(Status.REFUSED, reason="expired")
    if isinstance(record.body, Device):
        joined = db.execute("SELECT author FROM device WHERE device = ?", (record.body.device,)).fetchone()
        if joined is not None and joined[0] != record.author:
            return Outcome(Status.REFUSED, reason="the device belongs to another author")
    elif not isinstance(record.body, DeviceRetraction):
        joined = db.execute("SELECT author FROM device WHERE device = ?", (record.by,)).fetchone()
        if joined is None or joined[0] != record.author:
            return Outcome(Status.UNKNOWN_DEVICE)
    if not isinstance(record.body, Retraction):
        gone = db.execute(
            "SELECT retraction FROM retracted WHERE item = ? AND (author = ? OR owner)",
            (record.item_id, record.author),
        ).fetchone()
        if gone is not None and (record.is_item or record.item is not None):
            return Outcome(Status.RETRACTED, by=Cid(gone[0]))
    return None


def _insert(
    db: sqlite3.Connection, record: Record, scope: bytes, now: int, *, wire: bool, sealed_in: int | None
) -> int:
    cursor = db.execute(
        "INSERT INTO record (id, author, time, kind, scope, period, wire, sealed_in, item, expires, received,"
        " block) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            record.id,
            record.author,
            record.time,
            record.kind,
            scope,
            record_period(record),
            wire,
            sealed_in,
            record.item_id if record.is_item else record.item,
            record.expires,
            now,
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
    return rowid


def _apply(
    db: sqlite3.Connection, record: Record, rowid: int, scope: bytes, near: Collection[AuthorId]
) -> Outcome:
    body = record.body
    if isinstance(body, Device):
        db.execute(
            "INSERT OR IGNORE INTO device (device, author, record) VALUES (?, ?, ?)",
            (body.device, record.author, record.id),
        )
    elif isinstance(body, Retraction) and record.item is not None:
        return _retract(db, record, record.item, rowid)
    elif isinstance(body, Item):
        _add_item(db, record, body, rowid, scope, near)
    elif record.understood:
        db.execute("UPDATE record SET shown = 1 WHERE rowid = ?", (rowid,))
    return Outcome(Status.ADDED, rowid)


def _add_item(
    db: sqlite3.Connection, record: Record, item: Item, rowid: int, scope: bytes, near: Collection[AuthorId]
) -> None:
    public = scope == PUBLIC_SCOPE
    shown = record.understood and _may_be_version(db, record, near)
    for old in record.replaces:
        held = get(db, old)
        if shown and held is not None and held.head and _replaces(record, held.record, near):
            db.execute("UPDATE record SET head = 0 WHERE rowid = ?", (held.rowid,))
            remove_document(db, held.rowid, held.record)
    head = shown and not any(
        _replaces(later.record, record, near) and later.shown for later in _later_versions(db, record.id)
    )
    db.execute("UPDATE record SET head = ?, shown = ? WHERE rowid = ?", (head, shown, rowid))
    db.executemany(
        "INSERT OR IGNORE INTO link (target, record) VALUES (?, ?)", [(t, rowid) for t in item.links]
    )
    db.executemany(
        "INSERT OR IGNORE INTO tag (tag, record) VALUES (?, ?)",
        [(tag.casefold(), rowid) for tag in item.tags],
    )
    if head:
        add_document(db, rowid, record, public=public)
    if item.payload is not None:
        _add_payload(db, rowid, item.payload.cid)


def _add_payload(db: sqlite3.Connection, rowid: int, cid: Cid) -> None:
    twin = db.execute(
        "SELECT record, complete FROM payload WHERE cid = ? ORDER BY complete DESC", (cid,)
    ).fetchone()
    db.execute(
        "INSERT INTO payload (record, cid, complete) VALUES (?, ?, ?)", (rowid, cid, twin[1] if twin else 0)
    )
    if twin is not None:
        # A new version with the content of the one before: whoever may see it may have the blocks.
        db.execute(
            "INSERT OR IGNORE INTO block_use (cid, record) SELECT cid, ? FROM block_use WHERE record = ?",
            (rowid, twin[0]),
        )


def _later_versions(db: sqlite3.Connection, old: Cid) -> Sequence[Held]:
    ids = db.execute(
        "SELECT record.id FROM replaced JOIN record ON record.rowid = replaced.record WHERE replaced.old = ?",
        (old,),
    ).fetchall()
    return [held for (cid,) in ids if (held := get(db, Cid(cid))) is not None]


def _replaces(later: Record, earlier: Record, near: Collection[AuthorId]) -> bool:
    """Whether a version counts as the next one: by the same author, or on a page by somebody near."""
    if later.item_id != earlier.item_id:
        return False
    return later.author == earlier.author or (later.kind == earlier.kind == "page" and later.author in near)


def _may_be_version(db: sqlite3.Connection, record: Record, near: Collection[AuthorId]) -> bool:
    """Whether a record may stand under its item's name: nobody takes over another's note."""
    if record.item is None:
        return True
    first = get(db, record.item)
    if first is None or first.record.author == record.author:
        return True
    return record.kind == first.record.kind == "page" and record.author in near


def _retract(db: sqlite3.Connection, record: Record, item: Cid, rowid: int) -> Outcome:
    first = get(db, item)
    owner = first is not None and first.record.author == record.author
    db.execute(
        "INSERT OR IGNORE INTO retracted (item, author, retraction, owner) VALUES (?, ?, ?, ?)",
        (item, record.author, record.id, owner),
    )
    rows = [
        row
        for (row,) in db.execute(
            "SELECT rowid FROM record WHERE item = ? AND rowid <> ? AND kind <> 'retraction'"
            " AND (author = ? OR ?)",
            (item, rowid, record.author, owner),
        )
    ]
    removal = remove_records(db, rows)
    db.execute("DELETE FROM source WHERE item = ?", (item,))
    return Outcome(Status.ADDED, rowid, erased=tuple(removal.files), removed=removal.records)
