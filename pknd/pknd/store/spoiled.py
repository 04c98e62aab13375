"""Blocks that the disk has lost or spoiled: contents that need them are not here, so that they come again."""

from __future__ import annotations

import sqlite3

from pkn_protocol.control.status import LogLevel
from pkn_protocol.records.ids import AuthorId, Cid, cid_text
from pknd import log
from pknd.store.blocks import get_block, has_block, is_own_file
from pknd.store.files import BlockFiles


def let_go_of_spoiled(
    db: sqlite3.Connection, files: BlockFiles, *, record: int | None = None, unless_of: AuthorId | None = None
) -> int:
    """Count contents as not here whose blocks were found lost or spoiled (`BlockFiles.spoiled`) and are so
    still: those of one record, or those that no record of an author needs. How many such blocks there are.

    What is left of a block stays where it is until a good one takes its place: nobody else may have one, and
    the disk may merely be out of reach.
    """
    found = 0
    for cid in tuple(files.spoiled):
        if not _is_meant(db, cid, record, unless_of):
            continue
        if not has_block(db, cid) or is_own_file(db, cid):
            files.spoiled.discard(cid)
        elif get_block(db, files, cid) is None:
            let_go = db.execute(
                "UPDATE payload SET complete = 0"
                " WHERE complete AND record IN (SELECT record FROM block_use WHERE cid = ?)",
                (cid,),
            )
            found += 1
            if let_go.rowcount:
                log.event("store.block_forgotten", LogLevel.WARNING, cid=cid_text(cid))
    return found


def _is_meant(db: sqlite3.Connection, cid: Cid, record: int | None, unless_of: AuthorId | None) -> bool:
    users = db.execute(
        "SELECT record.rowid, record.author FROM block_use JOIN record ON record.rowid = block_use.record"
        " WHERE block_use.cid = ?",
        (cid,),
    ).fetchall()
    if record is not None:
        return any(row == record for row, _ in users)
    return all(author != unless_of for _, author in users)
