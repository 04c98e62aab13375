"""How often what the index finds has changed: what was found out from it holds until then."""

from __future__ import annotations

import sqlite3

_KEY = "index-changes"


def changes(db: sqlite3.Connection) -> int:
    """A number that every change raises; 0 before the first that was counted."""
    row = db.execute("SELECT value FROM setting WHERE key = ?", (_KEY,)).fetchone()
    return 0 if row is None else int(row[0])


def count_change(db: sqlite3.Connection) -> None:
    """Raise the number, in the transaction of the change."""
    db.execute(
        "INSERT INTO setting (key, value) VALUES (?, 1) ON CONFLICT (key) DO UPDATE SET value = value + 1",
        (_KEY,),
    )
