"""Own files that contents are read from where they lie: what has become of them."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from pkn_protocol.records.ids import Cid


class OriginalChanged(Exception):
    """A referenced file is not what it was when it was published."""

    code = "original-changed"

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(f"{path} {problem} since it was published")
        self.path = path


def lost_original(db: sqlite3.Connection, record: int) -> OriginalChanged | None:
    """What has become of an own file that a record's payload is read from; None where nothing has.

    It may come back: a disk that is not plugged in is no reason to forget it.
    """
    return next((found for _, found in _lost_originals(db, record)), None)


def let_go_of_lost_originals(db: sqlite3.Connection, record: int) -> None:
    """From now on a record's payload is to come from peers, where its own file is not what it was."""
    for own_file, _ in list(_lost_originals(db, record)):
        db.execute(
            "UPDATE payload SET complete = 0 WHERE record IN (SELECT block_use.record FROM block_use"
            " JOIN block ON block.cid = block_use.cid WHERE block.own_file = ?)",
            (own_file,),
        )
        db.execute("DELETE FROM block WHERE own_file = ?", (own_file,))
        db.execute("DELETE FROM own_file WHERE rowid = ?", (own_file,))


def cids_of_lost_originals(db: sqlite3.Connection, cids: Iterable[Cid]) -> set[Cid]:
    """Those of some blocks that would be read from an own file that is not what it was."""
    parts: dict[int, set[Cid]] = {}
    for cid in cids:
        row = db.execute("SELECT own_file FROM block WHERE cid = ?", (cid,)).fetchone()
        if row is not None and row[0] is not None:
            parts.setdefault(row[0], set()).add(cid)
    lost = set()
    for own_file, found in parts.items():
        row = db.execute("SELECT path, size, mtime_ns FROM own_file WHERE rowid = ?", (own_file,)).fetchone()
        if row is None or _lost(*row) is not None:
            lost |= found
    return lost


def _lost_originals(db: sqlite3.Connection, record: int) -> Iterator[tuple[int, OriginalChanged]]:
    if db.execute("SELECT 1 FROM own_file LIMIT 1").fetchone() is None:
        return
    found = db.execute(
        "SELECT rowid, path, size, mtime_ns FROM own_file WHERE rowid IN (SELECT block.own_file"
        " FROM block_use JOIN block ON block.cid = block_use.cid"
        " WHERE block_use.record = ?)",
        (record,),
    ).fetchall()
    for own_file, *about in found:
        if (lost := _lost(*about)) is not None:
            yield own_file, lost


def _lost(path_bytes: bytes, size: int, mtime_ns: int) -> OriginalChanged | None:
    path = Path(os.fsdecode(path_bytes))
    try:
        about = path.stat()
    except OSError as error:
        return OriginalChanged(path, f"cannot be read any more ({error.strerror})")
    if not stat.S_ISREG(about.st_mode) or (about.st_size, about.st_mtime_ns) != (size, mtime_ns):
        return OriginalChanged(path, "was changed")
    return None
