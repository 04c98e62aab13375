"""Which file an own item came from, so that importing again writes nothing."""

from __future__ import annotations

import os
import sqlite3
from dataclasses import dataclass
from pathlib import Path

from pkn_protocol.records.ids import Cid


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


def put_source(db: sqlite3.Connection, path: bytes, digest: bytes, *, item: Cid, record: Cid) -> None:
    """Note where an item came from; `path` as the file system has it."""
    db.execute(
        "INSERT OR REPLACE INTO source (path, digest, item, record) VALUES (?, ?, ?, ?)",
        (path, digest, item, record),
    )


def move_source(db: sqlite3.Connection, old: Path, new: Path) -> None:
    db.execute("UPDATE OR REPLACE source SET path = ? WHERE path = ?", (os.fsencode(new), os.fsencode(old)))
