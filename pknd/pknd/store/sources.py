"""Which file an own item came from, so that importing again writes nothing."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pkn_protocol.records.ids import Cid
from pknd.store.rows import insert_rows


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


def put_sources(db: sqlite3.Connection, sources: Sequence[Source]) -> None:
    """Note where items came from."""
    insert_rows(
        db,
        "INSERT OR REPLACE INTO source (path, digest, item, record)",
        4,
        [(os.fsencode(one.path), one.digest, one.item, one.record) for one in sources],
    )


def move_source(db: sqlite3.Connection, old: Path, new: Path) -> None:
    db.execute("UPDATE OR REPLACE source SET path = ? WHERE path = ?", (os.fsencode(new), os.fsencode(old)))
