"""Own files that contents are read from where they lie: what has become of them."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Iterable, Iterator, Sequence
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
    return next((found for _, found in lost_own_files(db, record)), None)


def bytes_lost(db: sqlite3.Connection, record: int) -> int:
    """The bytes of a record's blocks that would be read from own files that are not what they were."""
    return sum(
        db.execute(
            "SELECT coalesce(sum(size), 0) FROM block WHERE own_file = ?"
            " AND cid IN (SELECT cid FROM block_use WHERE record = ?)",
            (own_file, record),
        ).fetchone()[0]
        for own_file, _ in list(lost_own_files(db, record))
    )


def forget_places_in_lost_originals(db: sqlite3.Connection, cids: Sequence[Cid]) -> None:
    """Of some blocks that have come from elsewhere: they need own files that are not what they were no more.
    Until then a block's place in such a file is kept, since the file may come back."""
    if db.execute("SELECT 1 FROM own_file LIMIT 1").fetchone() is None:
        return
    for cid in cids_of_lost_originals(db, cids):
        [own_file] = db.execute("SELECT own_file FROM block WHERE cid = ?", (cid,)).fetchone()
        db.execute("DELETE FROM block WHERE cid = ?", (cid,))
        db.execute(
            "DELETE FROM own_file WHERE rowid = ?1 AND NOT EXISTS (SELECT 1 FROM block WHERE own_file = ?1)",
            (own_file,),
        )


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


def lost_own_files(db: sqlite3.Connection, record: int) -> Iterator[tuple[int, OriginalChanged]]:
    """The rows of a record's own files that are not what they were, with what has become of them."""
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
