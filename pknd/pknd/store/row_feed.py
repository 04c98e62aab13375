"""How rows of sums change with each commit, whoever changed them, for those who keep roots over them.

Triggers on the writer's connection note what a row was before a transaction touched it; before the commit
the news are made from that and from what it is then. They reach the listener before anything else is said of
the commit.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256

from pkn_protocol.records.ids import AuthorId
from pkn_protocol.sync.facts import RowChange, RowName

_TRIES = 25
_PAUSE_SECONDS = 0.004
"""Commits take some milliseconds for their fsync; a snapshot between two of them is soon found."""

_NOTES = (
    "CREATE TEMP TABLE row_before (scope, author, period, count, value, PRIMARY KEY (scope, author, period))",
    "CREATE TEMP TABLE floor_touched (author PRIMARY KEY)",
    # Before an insert, since OR REPLACE deletes without telling. Conditions instead of OR IGNORE, which the
    # statement that pulls a trigger overrides.
    """CREATE TEMP TRIGGER row_inserted BEFORE INSERT ON main.period_sum
        WHEN NOT EXISTS (SELECT 1 FROM row_before
                         WHERE (scope, author, period) = (NEW.scope, NEW.author, NEW.period))
        BEGIN
            INSERT INTO row_before
                SELECT NEW.scope, NEW.author, NEW.period, coalesce(max(count), 0), max(value)
                FROM main.period_sum WHERE (scope, author, period) = (NEW.scope, NEW.author, NEW.period);
        END""",
    """CREATE TEMP TRIGGER row_updated BEFORE UPDATE ON main.period_sum
        WHEN NOT EXISTS (SELECT 1 FROM row_before
                         WHERE (scope, author, period) = (OLD.scope, OLD.author, OLD.period))
        BEGIN INSERT INTO row_before VALUES (OLD.scope, OLD.author, OLD.period, OLD.count, OLD.value); END""",
    """CREATE TEMP TRIGGER row_deleted BEFORE DELETE ON main.period_sum
        WHEN NOT EXISTS (SELECT 1 FROM row_before
                         WHERE (scope, author, period) = (OLD.scope, OLD.author, OLD.period))
        BEGIN INSERT INTO row_before VALUES (OLD.scope, OLD.author, OLD.period, OLD.count, OLD.value); END""",
    """CREATE TEMP TRIGGER floor_raised BEFORE INSERT ON main.floor
        WHEN NOT EXISTS (SELECT 1 FROM floor_touched WHERE author = NEW.author)
        BEGIN INSERT INTO floor_touched VALUES (NEW.author); END""",
    """CREATE TEMP TRIGGER floor_lifted BEFORE DELETE ON main.floor
        WHEN NOT EXISTS (SELECT 1 FROM floor_touched WHERE author = OLD.author)
        BEGIN INSERT INTO floor_touched VALUES (OLD.author); END""",
)


@dataclass(frozen=True, slots=True)
class RowNews:
    """What one commit changed. `version` counts the commits that changed rows since the store was opened."""

    version: int
    rows: tuple[RowChange, ...]
    floors: bool


class RowFeed:
    """Belongs to the writer's thread, but for `watch` and `version_of`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        for statement in _NOTES:
            connection.execute(statement)
        # Numbers of the commit that is begun, and of the last that is done: between them a snapshot may or
        # may not contain it.
        self._begun = 0
        self._done = 0
        self._news: RowNews | None = None
        self._tell: Callable[[RowNews], None] | None = None
        self._at: Callable[[], int] = int

    def watch(self, listener: Callable[[RowNews], None], at: Callable[[], int]) -> None:
        """Call `listener` in this event loop after each commit that changed rows or floors; `at` gives the
        instant (ms) that comparisons name now."""
        loop = asyncio.get_running_loop()

        def tell(news: RowNews) -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody listens any more
                loop.call_soon_threadsafe(listener, news)

        self._at, self._tell = at, tell

    def before_commit(self) -> None:
        """Inside the transaction. Raises sqlite3.Error."""
        db = self._connection
        touched = db.execute(
            "SELECT b.scope, b.author, b.period, b.count, b.value, coalesce(s.count, 0), s.value"
            " FROM temp.row_before AS b LEFT JOIN main.period_sum AS s"
            " ON (s.scope, s.author, s.period) = (b.scope, b.author, b.period)"
        ).fetchall()
        floors = db.execute("SELECT 1 FROM temp.floor_touched LIMIT 1").fetchone() is not None
        if touched:
            db.execute("DELETE FROM temp.row_before")
            self._begun += 1
        if floors:
            db.execute("DELETE FROM temp.floor_touched")
        if self._tell is not None and (touched or floors):
            at = self._at()
            self._news = RowNews(self._begun, tuple(_change(db, row, at) for row in touched), floors)

    def after_commit(self) -> None:
        self._done = self._begun
        news, self._news = self._news, None
        if news is not None and self._tell is not None:
            self._tell(news)

    def failed(self) -> None:
        """The transaction was undone, and what was noted of it with it."""
        self._begun, self._news = self._done, None

    def version_of(self, db: sqlite3.Connection) -> int | None:
        """Of a reader's snapshot, which is made anew until that can be told; before anything else is read."""
        for _ in range(_TRIES):
            done = self._done
            db.execute("SELECT 1 FROM period_sum LIMIT 1").fetchone()
            if self._begun == done:
                return done
            db.execute("ROLLBACK")
            time.sleep(_PAUSE_SECONDS)
            db.execute("BEGIN")
        return None


def _change(
    db: sqlite3.Connection, row: tuple[bytes, bytes, int, int, bytes | None, int, bytes | None], at: int
) -> RowChange:
    scope, author, period, old_count, old, new_count, new = row
    (uneven,) = db.execute(
        "SELECT EXISTS (SELECT 1 FROM record WHERE wire AND scope = ?1 AND author = ?2 AND period = ?3"
        " AND time > ?4) OR EXISTS (SELECT 1 FROM record WHERE author = ?2 AND expires IS NOT NULL"
        " AND expires <= ?4 AND wire AND scope = ?1 AND period = ?3)",
        (scope, author, period, at),
    ).fetchone()
    return RowChange(
        RowName(scope, AuthorId(author), period),
        None if old is None else (old_count, sha256(old).digest()),
        None if new is None else (new_count, sha256(new).digest()),
        even=not uneven,
    )
