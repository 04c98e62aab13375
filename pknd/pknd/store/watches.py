"""Saved questions: what to look for in whatever comes (SPEC, On disk; Search, Standing queries)."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass

from pkn_protocol.records.ids import AuthorId
from pknd.store.arrivals import last_arrival
from pknd.store.erasure import erasure_needed


@dataclass(frozen=True, slots=True)
class SavedWatch:
    """`query` is as typed, filters included; the other fields are what it and its options filter by, looked
    up when it was saved. Times in ms. It looks at what came after the arrival `after`."""

    name: str
    query: str
    tags: tuple[str, ...] = ()
    author: AuthorId | None = None
    kind: str | None = None
    since: int | None = None
    made: int = 0
    after: int = 0
    number: int = 0


_COLUMNS = "name, query, tags, author, kind, since, made, after, number"


def saved_watches(db: sqlite3.Connection) -> list[SavedWatch]:
    """All, in the order in which they were saved."""
    return [_watch(row) for row in db.execute(f"SELECT {_COLUMNS} FROM watch ORDER BY number")]  # noqa: S608


def find_watch(db: sqlite3.Connection, name: str) -> SavedWatch | None:
    row = db.execute(f"SELECT {_COLUMNS} FROM watch WHERE name = ?", (name,)).fetchone()  # noqa: S608
    return None if row is None else _watch(row)


def save_watch(db: sqlite3.Connection, watch: SavedWatch) -> None:
    """Keep a question under a name that is free; it looks at what comes from now on."""
    db.execute(
        "INSERT INTO watch (name, query, tags, author, kind, since, made, after)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            watch.name,
            watch.query,
            json.dumps(watch.tags),
            watch.author,
            watch.kind,
            watch.since,
            watch.made,
            last_arrival(db),
        ),
    )


def remove_watch(db: sqlite3.Connection, name: str) -> None:
    """Forget a question, and the news that there were because of it alone."""
    db.execute("DELETE FROM watch WHERE name = ?", (name,))
    # What somebody wanted to know is nobody's business once they say so: no page and no backup keeps it.
    erasure_needed(db)
    db.execute(
        "DELETE FROM news WHERE reason IS NULL"
        " AND NOT EXISTS (SELECT 1 FROM watch_match WHERE watch_match.record = news.record)"
    )


def _watch(row: tuple[str, str, str, bytes | None, str | None, int | None, int, int, int]) -> SavedWatch:
    name, query, tags, author, kind, since, made, after, number = row
    who = None if author is None else AuthorId(author)
    return SavedWatch(name, query, tuple(json.loads(tags)), who, kind, since, made, after, number)
