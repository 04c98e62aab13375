"""Retraction: what its author takes back is deleted here, and never let in again (SPEC, Records)."""

from __future__ import annotations

import sqlite3

from pkn_protocol.records.ids import AuthorId, Cid
from pkn_protocol.records.model import Record
from pknd.store.erasure import erasure_needed
from pknd.store.removal import Removal, remove_records
from pknd.store.sources import forget_sources


def retraction_against(db: sqlite3.Connection, item: Cid, author: AuthorId) -> Cid | None:
    """The retraction that forbids a version of `item` by `author`: the author's own, or the owner's."""
    row = db.execute(
        "SELECT retraction FROM retracted WHERE item = ? AND (author = ? OR owner) LIMIT 1", (item, author)
    ).fetchone()
    return None if row is None else Cid(row[0])


def retraction_of(db: sqlite3.Connection, cid: Cid) -> Cid | None:
    """The retraction that is the answer to whoever asks for an id: of an item, or of a deleted version."""
    row = db.execute(
        "SELECT retraction FROM retracted_record WHERE id = ?1"
        " UNION ALL SELECT retraction FROM retracted WHERE item = ?1 AND owner LIMIT 1",
        (cid,),
    ).fetchone()
    return None if row is None else Cid(row[0])


def apply_retraction(db: sqlite3.Connection, retraction: Record, item: Cid) -> Removal:
    """Delete what a retraction names: by the item's owner all versions and all that is about the item, by
    anybody else only what is their own. Remembered for good."""
    first = db.execute("SELECT author FROM record WHERE id = ?", (item,)).fetchone()
    owner = first is not None and first[0] == retraction.author
    db.execute(
        "INSERT INTO retracted (item, author, retraction, owner) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (item, author) DO UPDATE SET owner = max(owner, excluded.owner)",
        (item, retraction.author, retraction.id, owner),
    )
    return _delete(db, item, retraction.author, retraction.id, owner=owner)


def owner_has_come(db: sqlite3.Connection, item: Cid, author: AuthorId) -> None:
    """The first version of a retracted item was met: the retraction is its owner's, so others' versions of
    the item go as well."""
    changed = db.execute(
        "UPDATE retracted SET owner = 1 WHERE item = ? AND author = ? AND NOT owner", (item, author)
    ).rowcount
    if changed:
        by = db.execute(
            "SELECT retraction FROM retracted WHERE item = ? AND author = ?", (item, author)
        ).fetchone()[0]
        _delete(db, item, author, Cid(by), owner=True)


def _delete(db: sqlite3.Connection, item: Cid, author: AuthorId, by: Cid, *, owner: bool) -> Removal:
    rows = db.execute(
        "SELECT rowid, id FROM record WHERE item = ? AND kind <> 'retraction' AND (author = ? OR ?)",
        (item, author, owner),
    ).fetchall()
    db.executemany(
        "INSERT OR IGNORE INTO retracted_record (id, retraction) VALUES (?, ?)",
        [(cid, by) for _, cid in rows],
    )
    removal = remove_records(db, [rowid for rowid, _ in rows])
    if owner:
        forget_sources(db, item)
    if rows:
        erasure_needed(db)
    return removal
