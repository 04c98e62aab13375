"""Making room: what is held for others, and what of it goes first (SPEC, On disk, Room)."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from pkn_protocol.records.ids import AuthorId, Cid
from pkn_protocol.trust.quotas import Entry, Quota
from pkn_protocol.trust.quotas import floor_of as lowest_that_fits
from pknd.store.floors import Floor, forget_below
from pknd.store.removal import drop_payload, remove_author

BEYOND_HORIZON = 4
"""The distance that strangers count as: farther than anybody within the horizon."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Bytes on disk: of one's own records and blocks, and of all the rest with all indexes."""

    own: int
    others: int


@dataclass(frozen=True, slots=True)
class Stranger:
    """An author beyond the horizon: when a record or a device of theirs was last here (ms), bytes held."""

    author: AuthorId
    seen: int
    bytes: int


def usage(db: sqlite3.Connection, me: AuthorId) -> Usage:
    """What is used now; own files that are referenced in place do not count."""
    own = bytes_of(db, me)
    pages, free, size = (
        db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
    )
    files = db.execute("SELECT coalesce(sum(size), 0) FROM block WHERE place = 1").fetchone()[0]
    return Usage(own, max(0, (pages - free) * size + files - own))


def bytes_of(db: sqlite3.Connection, author: AuthorId) -> int:
    """The bytes of an author's records and of the blocks held for them."""
    records = db.execute("SELECT coalesce(sum(length(block)), 0) FROM record WHERE author = ?", (author,))
    blocks = db.execute(
        "SELECT coalesce(sum(size), 0) FROM block WHERE place <> 2 AND cid IN (SELECT block_use.cid FROM"
        " block_use JOIN record ON record.rowid = block_use.record WHERE record.author = ?)",
        (author,),
    )
    return int(records.fetchone()[0]) + int(blocks.fetchone()[0])


def strangers(db: sqlite3.Connection, near: Collection[AuthorId]) -> list[Stranger]:
    """Everybody held who is not `near`, longest unseen first."""
    rows = db.execute(
        "SELECT author, max(received), sum(length(block)),"
        " coalesce((SELECT max(last_seen) FROM peer WHERE peer.author = record.author), 0)"
        " FROM record GROUP BY author"
    ).fetchall()
    found = [
        Stranger(AuthorId(author), max(received, met), size)
        for author, received, size, met in rows
        if author not in near
    ]
    return sorted(found, key=lambda stranger: (stranger.seen, stranger.author))


def forget_author(db: sqlite3.Connection, author: AuthorId) -> int:
    """Delete all that is held of an author, so that met again they begin anew; how many records went."""
    removal = remove_author(db, author, keep_standing=False)
    db.execute("DELETE FROM floor WHERE author = ?", (author,))
    return removal.records


def drop_payloads(
    db: sqlite3.Connection, me: AuthorId, distances: Mapping[AuthorId, int], *, surplus: int, limit: int
) -> int:
    """Delete contents of others' items, farthest and oldest first, until `surplus` bytes are free or `limit`
    items are done; how many bytes. They can be fetched again."""
    rows = db.execute(
        "SELECT payload.record, record.author, record.received FROM payload"
        " JOIN record ON record.rowid = payload.record WHERE record.author <> ?"
        " AND EXISTS (SELECT 1 FROM block_use WHERE block_use.record = payload.record)",
        (me,),
    ).fetchall()
    rows.sort(key=lambda row: (-distances.get(AuthorId(row[1]), BEYOND_HORIZON), row[2], row[0]))
    freed = 0
    for rowid, _, _ in rows[:limit]:
        if freed >= surplus:
            break
        freed += drop_payload(db, rowid)
    return freed


def halve_records(db: sqlite3.Connection, author: AuthorId) -> int:
    """Keep the newer half of an author's records, by bytes; how many went."""
    rows = db.execute(
        "SELECT time, id, length(block) FROM record WHERE author = ? AND wire AND period <> 0"
        " ORDER BY time DESC, id DESC",
        (author,),
    ).fetchall()
    entries = [Entry(time, Cid(cid), size) for time, cid, size in rows]
    floor = lowest_that_fits(entries, Quota(sum(entry.size for entry in entries) // 2))
    return 0 if floor is None else forget_below(db, author, Floor(*floor)).records


def lift_floors(db: sqlite3.Connection, quota: Callable[[AuthorId], Quota | None]) -> bool:
    """Take away the floors of authors who may have more than twice what is held of them: their quota has
    grown, as a stranger's who is trusted now. Whether there was one."""
    lifted = []
    for (author,) in db.execute("SELECT author FROM floor").fetchall():
        allowed = quota(AuthorId(author))
        count, size = db.execute(
            "SELECT count(*), coalesce(sum(length(block)), 0) FROM record"
            " WHERE author = ? AND wire AND period <> 0",
            (author,),
        ).fetchone()
        if allowed is None or (
            2 * size < allowed.bytes and (allowed.records is None or 2 * count < allowed.records)
        ):
            lifted.append((author,))
    db.executemany("DELETE FROM floor WHERE author = ?", lifted)
    return bool(lifted)


def give_pages_back(db: sqlite3.Connection, most: int) -> None:
    """Shorten the database file by at most so many free pages."""
    db.execute(f"PRAGMA incremental_vacuum({int(most)})").fetchall()
