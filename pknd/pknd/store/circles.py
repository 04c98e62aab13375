"""Epoch keys that are known here: of one's own circles, and of those one was admitted to."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from pkn_protocol.records.circles import EpochKey
from pkn_protocol.records.ids import AuthorId


@dataclass(frozen=True, slots=True)
class Epoch:
    key: EpochKey
    author: AuthorId
    circle: str
    current: bool


def epoch_of(db: sqlite3.Connection, tag: bytes) -> Epoch | None:
    row = db.execute("SELECT secret, author, circle, current FROM epoch WHERE tag = ?", (tag,)).fetchone()
    return None if row is None else Epoch(EpochKey(row[0]), AuthorId(row[1]), row[2], bool(row[3]))


def epochs(db: sqlite3.Connection) -> list[Epoch]:
    """All epochs known here."""
    return [
        Epoch(EpochKey(secret), AuthorId(author), circle, bool(current))
        for secret, author, circle, current in db.execute("SELECT secret, author, circle, current FROM epoch")
    ]


def epochs_of(db: sqlite3.Connection, author: AuthorId, circle: str) -> list[Epoch]:
    """The epochs of one circle, newest first."""
    return [
        Epoch(EpochKey(secret), author, circle, bool(current))
        for secret, current in db.execute(
            "SELECT secret, current FROM epoch WHERE author = ? AND circle = ?"
            " ORDER BY current DESC, made DESC",
            (author, circle),
        )
    ]


def add_epoch(
    db: sqlite3.Connection, key: EpochKey, author: AuthorId, circle: str, *, now: int, current: bool
) -> bool:
    """Remember an epoch's key; whether it was new. A current one takes the place of the one before."""
    cursor = db.execute(
        "INSERT OR IGNORE INTO epoch (tag, secret, author, circle, made, current) VALUES (?, ?, ?, ?, ?, 0)",
        (key.tag, key.secret, author, circle, now),
    )
    if current:
        db.execute(
            "UPDATE epoch SET current = (tag = ?) WHERE author = ? AND circle = ?", (key.tag, author, circle)
        )
    return cursor.rowcount > 0


def end_epoch(db: sqlite3.Connection, author: AuthorId, circle: str) -> None:
    """The members have changed: the next publication begins a new epoch."""
    db.execute("UPDATE epoch SET current = 0 WHERE author = ? AND circle = ?", (author, circle))
