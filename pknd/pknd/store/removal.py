"""Taking records out: with their sums, index entries, and the blocks that nothing else needs."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass

from pkn_protocol.records.ids import AuthorId, Cid
from pknd.search.index import remove_document
from pknd.store.erasure import IN_FILE, file_unneeded
from pknd.store.records import get_row
from pknd.store.sums import Row, take_from_sum
from pknd.store.versions import refresh_item


@dataclass(frozen=True, slots=True)
class Removal:
    """How many records went; files of blocks follow once the transaction is committed."""

    records: int = 0


def remove_records(db: sqlite3.Connection, rowids: Iterable[int]) -> Removal:
    """Delete records; with an inner record go the sealed ones around it, with the last of those the inner."""
    removed = 0
    blocks: set[bytes] = set()
    items: set[bytes] = set()
    for rowid in rowids:
        parts = _parts(db, rowid)
        removed += bool(parts)
        for part in parts:
            _remove(db, part, blocks, items)
    _drop_unused_blocks(db, blocks)
    for item in sorted(items):
        refresh_item(db, Cid(item))
    return Removal(removed)


def remove_author(db: sqlite3.Connection, author: AuthorId, *, keep_standing: bool) -> Removal:
    """Delete what is held of an author; what was retracted stays retracted."""
    condition = " AND period <> 0" if keep_standing else ""
    rows = db.execute(f"SELECT rowid FROM record WHERE author = ? AND wire{condition}", (author,))  # noqa: S608
    removal = remove_records(db, [row for (row,) in rows.fetchall()])
    if not keep_standing:
        db.execute("DELETE FROM device WHERE author = ?", (author,))
    return removal


def remove_expired(db: sqlite3.Connection, *, now: int, limit: int) -> Removal:
    """Delete records whose time has run out (`now` in ms), at most `limit` at once."""
    rows = db.execute(
        "SELECT rowid FROM record WHERE expires IS NOT NULL AND expires <= ? AND wire LIMIT ?", (now, limit)
    )
    return remove_records(db, [row for (row,) in rows.fetchall()])


def drop_payload(db: sqlite3.Connection, rowid: int) -> int:
    """Delete the content of a record's payload that no other record needs; the bytes that this frees."""
    blocks = {cid for (cid,) in db.execute("SELECT cid FROM block_use WHERE record = ?", (rowid,))}
    db.execute("DELETE FROM block_use WHERE record = ?", (rowid,))
    db.execute("UPDATE payload SET complete = 0 WHERE record = ?", (rowid,))
    return _drop_unused_blocks(db, blocks)


def _parts(db: sqlite3.Connection, rowid: int) -> list[int]:
    """The rows that go with one, outer records before the inner one that they refer to."""
    row = db.execute("SELECT inner FROM record WHERE rowid = ?", (rowid,)).fetchone()
    if row is None:
        return []
    around = [outer for (outer,) in db.execute("SELECT rowid FROM record WHERE inner = ?", (rowid,))]
    if row[0] is None:
        return [*around, rowid]
    others = db.execute("SELECT 1 FROM record WHERE inner = ? AND rowid <> ? LIMIT 1", (row[0], rowid))
    return [rowid] if others.fetchone() is not None else [rowid, row[0]]


def _remove(db: sqlite3.Connection, rowid: int, blocks: set[bytes], items: set[bytes]) -> None:
    held = get_row(db, rowid)
    if held is None:
        return
    record = held.record
    if record.is_item:
        remove_document(db, rowid)
        items.add(record.item_id)
        blocks.update(cid for (cid,) in db.execute("SELECT cid FROM block_use WHERE record = ?", (rowid,)))
    wire, period = db.execute("SELECT wire, period FROM record WHERE rowid = ?", (rowid,)).fetchone()
    if wire:
        take_from_sum(db, Row(held.scope, record.author, period), record.id, len(record.block))
    db.execute("DELETE FROM record WHERE rowid = ?", (rowid,))


def _drop_unused_blocks(db: sqlite3.Connection, blocks: set[bytes]) -> int:
    freed = 0
    for cid in blocks:
        if db.execute("SELECT 1 FROM block_use WHERE cid = ?", (cid,)).fetchone() is not None:
            continue
        row = db.execute("SELECT place, own_file, size FROM block WHERE cid = ?", (cid,)).fetchone()
        if row is None:
            continue
        freed += 0 if row[1] is not None else row[2]
        db.execute("DELETE FROM block WHERE cid = ?", (cid,))
        if row[0] == IN_FILE:
            file_unneeded(db, cid)
        if row[1] is not None:
            db.execute(
                "DELETE FROM own_file WHERE rowid = ?1"
                " AND NOT EXISTS (SELECT 1 FROM block WHERE own_file = ?1)",
                (row[1],),
            )
    return freed
