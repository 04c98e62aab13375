"""Whose sketches are not believed (`pknd.store.sketches` says why)."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection

from pkn_protocol.records.ids import AuthorId
from pknd.store.rows import select_in

_PREFIX = "doubted:"


def doubted_key(author: AuthorId) -> str:
    """The name of the setting that holds the item whose text showed it."""
    return _PREFIX + author.hex()


def is_doubted(db: sqlite3.Connection, author: AuthorId) -> bool:
    return bool(doubted_among(db, [author]))


def doubted_among(db: sqlite3.Connection, authors: Collection[AuthorId]) -> frozenset[AuthorId]:
    """Those of some authors whose sketches are not believed."""
    keys = {doubted_key(author): author for author in authors}
    rows = select_in(db, "SELECT key FROM setting WHERE key IN", list(keys))
    return frozenset(keys[str(key)] for (key,) in rows)


def all_doubted(db: sqlite3.Connection) -> frozenset[AuthorId]:
    rows = db.execute("SELECT key FROM setting WHERE key >= ? AND key < ?", (_PREFIX, _PREFIX[:-1] + ";"))
    return frozenset(AuthorId(bytes.fromhex(key.removeprefix(_PREFIX))) for (key,) in rows)
