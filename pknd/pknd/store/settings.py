"""What the daemon remembers about itself: single values by name (never shown in `pkn config`)."""

from __future__ import annotations

import sqlite3


def get_setting(db: sqlite3.Connection, key: str) -> bytes | None:
    row = db.execute("SELECT value FROM setting WHERE key = ?", (key,)).fetchone()
    return None if row is None else bytes(row[0])


def put_setting(db: sqlite3.Connection, key: str, value: bytes) -> None:
    db.execute("INSERT OR REPLACE INTO setting (key, value) VALUES (?, ?)", (key, value))


def remove_setting(db: sqlite3.Connection, key: str) -> None:
    db.execute("DELETE FROM setting WHERE key = ?", (key,))
