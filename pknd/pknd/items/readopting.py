"""Own files that are back: written anew, or copied from a backup, with the bytes that they had."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pkn_protocol.records.ids import Cid
from pknd.store.blocks import read_own_file
from pknd.store.originals import OriginalChanged, lost_own_files
from pknd.store.store import Store


@dataclass(frozen=True, slots=True)
class _Touched:
    """An own file of the size that it had, with another time; `parts` (position, CID) are read from it."""

    row: int
    path: Path
    size: int
    mtime_ns: int
    key: bytes | None
    parts: tuple[tuple[int, Cid], ...]


async def readopt(store: Store, records: Sequence[int]) -> None:
    """Read the contents of records from their own files again where the bytes of these are what they were.
    Whole files are read, up to the first difference."""
    for file in await store.read(lambda db: _touched(db, records)):
        if await asyncio.to_thread(_is_as_it_was, file):
            await store.write(partial(_take_as_it_is, file=file))


def _touched(db: sqlite3.Connection, records: Sequence[int]) -> list[_Touched]:
    found: dict[int, _Touched] = {}
    for record in records:
        for row, _ in lost_own_files(db, record):
            if row in found:
                continue
            path_bytes, size, key = db.execute(
                "SELECT path, size, key FROM own_file WHERE rowid = ?", (row,)
            ).fetchone()
            path = Path(os.fsdecode(path_bytes))
            try:
                about = path.stat()
            except OSError:
                continue
            if stat.S_ISREG(about.st_mode) and about.st_size == size:
                parts = db.execute(
                    "SELECT position, cid FROM block WHERE own_file = ? ORDER BY position", (row,)
                ).fetchall()
                found[row] = _Touched(
                    row, path, size, about.st_mtime_ns, key, tuple((at, Cid(cid)) for at, cid in parts)
                )
    return list(found.values())


def _take_as_it_is(db: sqlite3.Connection, file: _Touched) -> None:
    db.execute("UPDATE own_file SET mtime_ns = ? WHERE rowid = ?", (file.mtime_ns, file.row))


def _is_as_it_was(file: _Touched) -> bool:
    try:
        for position, cid in file.parts:
            read_own_file(file.path, file.size, file.mtime_ns, file.key, position, cid)
    except OriginalChanged:
        return False
    return True
