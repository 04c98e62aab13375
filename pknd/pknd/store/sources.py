"""Which file an own item came from: importing again writes nothing, and nothing that was taken back."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from pkn_protocol.records.ids import Cid
from pknd.store.rows import insert_rows

# Marks of files whose items were retracted: settings by this and a hash, since neither the path nor the text
# is to be found here any more.
_RETRACTED = "retracted-source:"
_MARK_BYTES = 16


@dataclass(frozen=True, slots=True)
class Source:
    path: Path
    digest: bytes
    item: Cid
    record: Cid


def source_at(db: sqlite3.Connection, path: Path) -> Source | None:
    row = db.execute(
        "SELECT digest, item, record FROM source WHERE path = ?", (os.fsencode(path),)
    ).fetchone()
    return None if row is None else Source(path, row[0], Cid(row[1]), Cid(row[2]))


def sources_with(db: sqlite3.Connection, digest: bytes) -> list[Source]:
    return [
        Source(Path(os.fsdecode(path)), digest, Cid(item), Cid(record))
        for path, item, record in db.execute(
            "SELECT path, item, record FROM source WHERE digest = ?", (digest,)
        )
    ]


def path_of(db: sqlite3.Connection, item: Cid) -> Path | None:
    """Where the file of an own item lies, if it came from one."""
    row = db.execute("SELECT path FROM source WHERE item = ? ORDER BY path LIMIT 1", (item,)).fetchone()
    return None if row is None else Path(os.fsdecode(row[0]))


def sources_below(db: sqlite3.Connection, folder: Path) -> list[Source]:
    """What came from files below a folder, whether or not they are there."""
    begin = os.path.join(os.fsencode(folder), b"")  # noqa: PTH118 - bytes, and / is as it is
    return [
        Source(Path(os.fsdecode(path)), digest, Cid(item), Cid(record))
        for path, digest, item, record in db.execute(
            "SELECT path, digest, item, record FROM source WHERE path >= ? AND path < ?",
            (begin, begin[:-1] + b"0"),  # what follows / in ASCII
        )
    ]


def paths_of(db: sqlite3.Connection, items: Collection[Cid]) -> dict[Cid, list[Path]]:
    """All files that items came from. Reads the whole table: for many items at once."""
    found: dict[Cid, list[Path]] = {item: [] for item in items}
    for path, item in db.execute("SELECT path, item FROM source"):
        if item in found:
            found[Cid(item)].append(Path(os.fsdecode(path)))
    return found


def put_sources(db: sqlite3.Connection, sources: Sequence[Source]) -> None:
    """Note where items came from; whoever publishes a file again wants it again."""
    if db.execute(
        "SELECT 1 FROM setting WHERE key >= ? AND key < ? LIMIT 1", (_RETRACTED, _RETRACTED + "g")
    ).fetchone():
        db.executemany(
            "DELETE FROM setting WHERE key = ?",
            [(mark,) for one in sources for mark in _marks(one.path, one.digest)],
        )
    insert_rows(
        db,
        "INSERT OR REPLACE INTO source (path, digest, item, record)",
        4,
        [(os.fsencode(one.path), one.digest, one.item, one.record) for one in sources],
    )


def move_source(db: sqlite3.Connection, old: Path, new: Path) -> None:
    db.execute("UPDATE OR REPLACE source SET path = ? WHERE path = ?", (os.fsencode(new), os.fsencode(old)))


def forget_sources(db: sqlite3.Connection, item: Cid) -> None:
    """An own item was retracted: forget where it came from, but not that its files are not to come again."""
    for path, digest in db.execute("SELECT path, digest FROM source WHERE item = ?", (item,)).fetchall():
        db.executemany(
            "INSERT OR REPLACE INTO setting (key, value) VALUES (?, ?)",
            [(mark, b"") for mark in _marks(Path(os.fsdecode(path)), digest)],
        )
    db.execute("DELETE FROM source WHERE item = ?", (item,))


def was_retracted(db: sqlite3.Connection, path: Path, digest: bytes) -> bool:
    """Whether what was imported from this path, or what had this digest, was retracted since."""
    return (
        db.execute("SELECT 1 FROM setting WHERE key IN (?, ?)", _marks(path, digest)).fetchone() is not None
    )


def _marks(path: Path, digest: bytes) -> tuple[str, str]:
    def mark(kind: bytes, data: bytes) -> str:
        return _RETRACTED + blake2b(data, digest_size=_MARK_BYTES, person=kind).hexdigest()

    return mark(b"path", os.fsencode(path)), mark(b"digest", digest)
