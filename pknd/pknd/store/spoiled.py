"""Blocks that the disk has lost or spoiled: forgotten, so that good ones can come from peers."""

from __future__ import annotations

import sqlite3

from pkn_protocol.control.status import LogLevel
from pkn_protocol.records.ids import AuthorId, Cid, cid_text
from pknd import log
from pknd.store.blocks import get_block, is_own_file
from pknd.store.files import BlockFiles


def let_go_of_spoiled(
    db: sqlite3.Connection, files: BlockFiles, *, record: int | None = None, unless_of: AuthorId | None = None
) -> int:
    """Forget the blocks that were found lost or spoiled (`BlockFiles.spoiled`) and are so still: those of one
    record, or those that no record of an author needs. How many were forgotten."""
    forgotten = 0
    for cid in tuple(files.spoiled):
        if not _is_meant(db, cid, record, unless_of):
            continue
        if not is_own_file(db, cid) and get_block(db, files, cid) is None:
            # The file before the row: one that is left would be taken for the good one when that comes.
            files.remove(cid)
            db.execute(
                "UPDATE payload SET complete = 0"
                " WHERE record IN (SELECT record FROM block_use WHERE cid = ?)",
                (cid,),
            )
            db.execute("DELETE FROM block_use WHERE cid = ?", (cid,))
            db.execute("DELETE FROM block WHERE cid = ?", (cid,))
            forgotten += 1
            log.event("store.block_forgotten", LogLevel.WARNING, cid=cid_text(cid))
        files.spoiled.discard(cid)
    return forgotten


def _is_meant(db: sqlite3.Connection, cid: Cid, record: int | None, unless_of: AuthorId | None) -> bool:
    users = db.execute(
        "SELECT record.rowid, record.author FROM block_use JOIN record ON record.rowid = block_use.record"
        " WHERE block_use.cid = ?",
        (cid,),
    ).fetchall()
    if record is not None:
        return any(row == record for row, _ in users)
    return all(author != unless_of for _, author in users)
