"""Taking records out: with their sums, index entries, and the blocks that nothing else needs."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass, field

from pkn_protocol.records.ids import AuthorId, Cid
from pknd.search.index import remove_document
from pknd.store.records import get_row
from pknd.store.sums import Row, take_from_sum

_IN_FILE = 1


@dataclass(slots=True)
class Removal:
    """`files`: blocks whose files are to be deleted once the transaction is committed."""

    records: int = 0
    files: list[Cid] = field(default_factory=list)


def remove_records(db: sqlite3.Connection, rowids: Iterable[int]) -> Removal:
    """Delete records; with an inner record goes the sealed one around it, and the other way round."""
    removal = Removal()
    blocks: set[bytes] = set()
    for rowid in rowids:
        held = get_row(db, rowid)
        if held is None:
            continue
        removal.records += 1
        outer = db.execute("SELECT sealed_in FROM record WHERE rowid = ?", (rowid,)).fetchone()[0]
        inner = db.execute("SELECT rowid FROM record WHERE sealed_in = ?", (rowid,)).fetchone()
        for part in filter(None, (rowid, outer, inner[0] if inner else None)):
            _remove(db, part, blocks)
    _drop_unused_blocks(db, blocks, removal)
    return removal


def remove_author(db: sqlite3.Connection, author: AuthorId, *, keep_standing: bool) -> Removal:
    """Delete what is held of an author."""
    condition = " AND period <> 0" if keep_standing else ""
    rows = db.execute(f"SELECT rowid FROM record WHERE author = ? AND wire{condition}", (author,))  # noqa: S608
    removal = remove_records(db, [row for (row,) in rows.fetchall()])
    if not keep_standing:
        db.execute("DELETE FROM device WHERE author = ?", (author,))
    return removal


def _remove(db: sqlite3.Connection, rowid: int, blocks: set[bytes]) -> None:
    row = db.execute(
        "SELECT wire, scope, author, period, id FROM record WHERE rowid = ?", (rowid,)
    ).fetchone()
    if row is None:
        return
    wire, scope, author, period, cid = row
    held = get_row(db, rowid)
    if held is not None:
        remove_document(db, rowid, held.record)
    if wire:
        take_from_sum(db, Row(scope, AuthorId(author), period), Cid(cid))
    blocks.update(cid for (cid,) in db.execute("SELECT cid FROM block_use WHERE record = ?", (rowid,)))
    db.execute("DELETE FROM record WHERE rowid = ?", (rowid,))


def _drop_unused_blocks(db: sqlite3.Connection, blocks: set[bytes], removal: Removal) -> None:
    for cid in blocks:
        if db.execute("SELECT 1 FROM block_use WHERE cid = ?", (cid,)).fetchone() is not None:
            continue
        row = db.execute("SELECT place, own_file FROM block WHERE cid = ?", (cid,)).fetchone()
        if row is None:
            continue
        db.execute("DELETE FROM block WHERE cid = ?", (cid,))
        if row[0] == _IN_FILE:
            removal.files.append(Cid(cid))
        if (
            row[1] is not None
            and not db.execute("SELECT 1 FROM block WHERE own_file = ? LIMIT 1", (row[1],)).fetchone()
        ):
            db.execute("DELETE FROM own_file WHERE rowid = ?", (row[1],))
