"""Floors: below which (time, id) nothing of an author is kept or wanted, since room had to be made.

A floor only rises, and what lies below it goes in one piece, so that forgetting makes no holes in periods.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from pkn_protocol.records.ids import AuthorId, Cid
from pknd.store.removal import Removal, remove_records


@dataclass(frozen=True, slots=True)
class Floor:
    """The lowest record that is kept: its claimed time in ms, and its id among those of the same time."""

    time: int
    id: Cid


def floor_of(db: sqlite3.Connection, author: AuthorId) -> Floor | None:
    row = db.execute("SELECT time, id FROM floor WHERE author = ?", (author,)).fetchone()
    return None if row is None else Floor(row[0], Cid(row[1]))


def floors(db: sqlite3.Connection) -> dict[AuthorId, Floor]:
    return {
        AuthorId(author): Floor(time, Cid(cid))
        for author, time, cid in db.execute("SELECT author, time, id FROM floor")
    }


def forget_below(db: sqlite3.Connection, author: AuthorId, floor: Floor) -> Removal:
    """Raise an author's floor and delete what lies below it; standing records and grants stay.

    A floor that is not above the present one changes nothing.
    """
    present = floor_of(db, author)
    if present is not None and (floor.time, floor.id) <= (present.time, present.id):
        return Removal()
    db.execute(
        "INSERT OR REPLACE INTO floor (author, time, id) VALUES (?, ?, ?)", (author, floor.time, floor.id)
    )
    rows = db.execute(
        "SELECT rowid FROM record WHERE wire AND author = ? AND period <> 0 AND kind <> 'grant'"
        " AND (time, id) < (?, ?)",
        (author, floor.time, floor.id),
    ).fetchall()
    return remove_records(db, [rowid for (rowid,) in rows])
