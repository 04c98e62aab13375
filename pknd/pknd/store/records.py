"""Reading records: by id, by prefix, as lists of items, as versions of one item."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from pkn_protocol.records.codec import decode_record
from pkn_protocol.records.ids import CID_BYTES, AuthorId, Cid, ShortId, short_id_range
from pkn_protocol.records.model import ITEM_KINDS, Record
from pkn_protocol.sync.sums import MOST_AHEAD_MS

MOST_OF_SHORT = 4
"""Records of one author with the same short id that are given at once: more than one was made on purpose."""
ITEM_KIND_LIST = ", ".join(f"'{kind}'" for kind in sorted(ITEM_KINDS))
VISIBLE = (
    "record.head AND record.shown"
    " AND record.author NOT IN (SELECT author FROM person WHERE trust = 'blocked')"
)
"""SQL for what the reader may be shown, but for time: see `filter_clauses`."""


@dataclass(frozen=True, slots=True)
class Held:
    """A record of the store, its row, and where it came in."""

    rowid: int
    record: Record
    received: int
    head: bool
    shown: bool
    scope: bytes


_COLUMNS = "record.rowid, record.block, record.received, record.head, record.shown, record.scope"


@lru_cache(maxsize=1024)
def decoded(block: bytes) -> Record:
    """A record that was checked when it was stored."""
    return decode_record(block)


def _held(row: tuple[int, bytes, int, int, int, bytes]) -> Held:
    return Held(row[0], decoded(row[1]), row[2], bool(row[3]), bool(row[4]), row[5])


def get(db: sqlite3.Connection, cid: Cid) -> Held | None:
    row = db.execute(f"SELECT {_COLUMNS} FROM record WHERE id = ?", (cid,)).fetchone()  # noqa: S608
    return None if row is None else _held(row)


def get_row(db: sqlite3.Connection, rowid: int) -> Held | None:
    row = db.execute(f"SELECT {_COLUMNS} FROM record WHERE rowid = ?", (rowid,)).fetchone()  # noqa: S608
    return None if row is None else _held(row)


def is_held(db: sqlite3.Connection, cid: Cid) -> bool:
    return db.execute("SELECT 1 FROM record WHERE id = ?", (cid,)).fetchone() is not None


class Travelling(NamedTuple):
    """A record as it travels, undecoded: most of the work of giving records would be to decode them."""

    block: bytes
    audience: str | None
    scope: bytes


def of_short(db: sqlite3.Connection, author: AuthorId, short: ShortId) -> list[tuple[Cid, Travelling | None]]:
    """What a short id means among the records of an author, and (None) among those that were retracted."""
    low, high = short_id_range(short)
    return [
        (Cid(cid), None if block is None else Travelling(block, audience, scope))
        for cid, block, audience, scope in db.execute(
            # The plus keeps SQLite from going through all records of the author instead of the few ids.
            "SELECT id, block, audience, scope FROM record"
            " WHERE id >= ?1 AND id <= ?2 AND +author = ?3 AND wire UNION ALL"
            " SELECT id, NULL, NULL, NULL FROM retracted_record WHERE id >= ?1 AND id <= ?2 LIMIT ?4",
            (low, high, author, MOST_OF_SHORT),
        )
    ]


def travelling(db: sqlite3.Connection, cid: Cid) -> Travelling | None:
    """A record by its id."""
    row = db.execute("SELECT block, audience, scope FROM record WHERE id = ?", (cid,)).fetchone()
    return None if row is None else Travelling(*row)


def with_prefix(db: sqlite3.Connection, low: bytes, high: bytes, *, most: int) -> list[Cid]:
    """Ids of items and records about them between two byte strings; sealed envelopes are not named."""
    return [
        Cid(cid)
        for (cid,) in db.execute(
            "SELECT id FROM record WHERE id >= ? AND id <= ? AND kind NOT IN ('sealed', 'grant')"
            " ORDER BY id LIMIT ?",
            (low, high, most),
        )
    ]


@dataclass(frozen=True, slots=True)
class Filter:
    """Which items to list; conditions are joined by AND.

    `since` and `now` in ms since 1970. `audience`: public, sealed (anything else), or the name that the
    sealed record says.
    """

    tags: tuple[str, ...] = ()
    author: AuthorId | None = None
    kind: str | None = None
    since: int | None = None
    audience: str | None = None
    now: int = 0


def filter_clauses(wanted: Filter) -> tuple[str, list[object]]:
    """The SQL conditions for shown heads that a filter admits, and their parameters."""
    clauses = [
        VISIBLE,
        "(record.expires IS NULL OR record.expires > ?)",
        "record.time <= ?",
    ]
    values: list[object] = [wanted.now, wanted.now + MOST_AHEAD_MS]
    if wanted.author is not None:
        clauses.append("record.author = ?")
        values.append(wanted.author)
    if wanted.kind is not None:
        clauses.append("record.kind = ?")
        values.append(wanted.kind)
    if wanted.since is not None:
        clauses.append("record.time >= ?")
        values.append(wanted.since)
    if wanted.audience == "public":
        clauses.append("record.scope = x''")
    elif wanted.audience == "sealed":
        clauses.append("record.scope <> x''")
    elif wanted.audience is not None:
        clauses.append("record.audience = ?")
        values.append(wanted.audience)
    for tag in wanted.tags:
        # Tags nest by "/": a tag stands for all that are below it.
        clauses.append(
            "EXISTS (SELECT 1 FROM tag WHERE tag.record = record.rowid AND (tag.tag = ? OR"
            " (tag.tag >= ? AND tag.tag < ?)))"
        )
        folded = tag.casefold()
        values += [folded, folded + "/", folded + "0"]
    return " AND ".join(clauses), values


def listed(
    db: sqlite3.Connection, wanted: Filter, *, limit: int, before: tuple[int, int] | None = None
) -> list[Held]:
    """Shown items, newest first; `before` is the (time, row) of the last one of the page before."""
    clause, values = filter_clauses(wanted)
    if before is not None:
        clause += " AND (record.time, record.rowid) < (?, ?)"
        values += list(before)
    rows = db.execute(
        f"SELECT {_COLUMNS} FROM record WHERE {clause} ORDER BY record.time DESC, record.rowid DESC LIMIT ?",  # noqa: S608
        (*values, limit),
    )
    return [_held(row) for row in rows]


def time_of(db: sqlite3.Connection, cid: Cid) -> int | None:
    """When a record that is held was signed, by its author's clock."""
    row = db.execute("SELECT time FROM record WHERE id = ?", (cid,)).fetchone()
    return None if row is None else int(row[0])


def versions(db: sqlite3.Connection, item: Cid) -> list[Held]:
    """All versions held of an item, newest first."""
    rows = db.execute(
        f"SELECT {_COLUMNS} FROM record WHERE item = ? AND kind IN ({ITEM_KIND_LIST})"  # noqa: S608
        " ORDER BY time DESC, id DESC",
        (item,),
    )
    return [_held(row) for row in rows]


def about(db: sqlite3.Connection, item: Cid, kind: str) -> list[Held]:
    """Records of a kind about an item, oldest first."""
    rows = db.execute(
        f"SELECT {_COLUMNS} FROM record WHERE item = ? AND kind = ? AND shown ORDER BY time, id",  # noqa: S608
        (item, kind),
    )
    return [_held(row) for row in rows]


def backlinks(db: sqlite3.Connection, item: Cid, *, most: int) -> list[Held]:
    """Shown items that link to an item."""
    rows = db.execute(
        f"SELECT {_COLUMNS} FROM link JOIN record ON record.rowid = link.record"  # noqa: S608
        f" WHERE link.target = ? AND {VISIBLE} ORDER BY record.time DESC LIMIT ?",
        (item, most),
    )
    return [_held(row) for row in rows]


def current(db: sqlite3.Connection, author: AuthorId, kind: str) -> Held | None:
    """The current one of a person's records of a kind: of those not replaced, the greatest (time, id)."""
    row = db.execute(
        f"SELECT {_COLUMNS} FROM record WHERE author = ? AND kind = ? AND understood AND NOT EXISTS"  # noqa: S608
        " (SELECT 1 FROM replaced JOIN record AS later ON later.rowid = replaced.record"
        "  WHERE replaced.old = record.id AND later.author = record.author AND later.understood)"
        " ORDER BY time DESC, id DESC LIMIT 1",
        (author, kind),
    ).fetchone()
    return None if row is None else _held(row)


def of_kind(db: sqlite3.Connection, kind: str, author: AuthorId | None = None) -> Iterator[Held]:
    """All records of a kind, oldest first."""
    condition = "" if author is None else " AND author = ?"
    values = (kind,) if author is None else (kind, author)
    for row in db.execute(
        f"SELECT {_COLUMNS} FROM record WHERE kind = ?{condition} ORDER BY time, id",  # noqa: S608
        values,
    ):
        yield _held(row)


def unopened(db: sqlite3.Connection, tag: bytes) -> list[Held]:
    """Sealed records of a circle that were held before its key: to be given to `ingest` again, opened."""
    rows = db.execute(
        f"SELECT {_COLUMNS} FROM record WHERE scope = ? AND kind = 'sealed' AND inner IS NULL",  # noqa: S608
        (tag,),
    )
    return [_held(row) for row in rows]


@dataclass(frozen=True, slots=True)
class Counts:
    records: int
    items: int
    authors: int


def counts(db: sqlite3.Connection) -> Counts:
    records = db.execute("SELECT count(*) FROM record").fetchone()[0]
    items = db.execute(f"SELECT count(*) FROM record WHERE {VISIBLE}").fetchone()[0]  # noqa: S608
    authors = db.execute("SELECT count(DISTINCT author) FROM record").fetchone()[0]
    return Counts(records, items, authors)


def items_by_author(db: sqlite3.Connection) -> dict[AuthorId, int]:
    """How many shown items each author has here."""
    return {
        AuthorId(author): count
        for author, count in db.execute(
            f"SELECT author, count(*) FROM record WHERE {VISIBLE} GROUP BY author"  # noqa: S608
        )
    }


def tag_counts(db: sqlite3.Connection, author: AuthorId | None, *, limit: int) -> list[tuple[str, int]]:
    condition = "" if author is None else " AND record.author = ?"
    values: tuple[object, ...] = (limit,) if author is None else (author, limit)
    return [
        (tag, count)
        for tag, count in db.execute(
            "SELECT tag.tag, count(*) AS n FROM tag JOIN record ON record.rowid = tag.record"  # noqa: S608
            f" WHERE record.head AND record.shown{condition}"
            " GROUP BY tag.tag ORDER BY n DESC, tag.tag LIMIT ?",
            values,
        )
    ]


def prefix_range(prefix: bytes) -> tuple[bytes, bytes]:
    """The least and the greatest id with a prefix."""
    return prefix.ljust(CID_BYTES, b"\x00"), prefix.ljust(CID_BYTES, b"\xff")
