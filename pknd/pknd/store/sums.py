"""The sums of periods, kept with each record, and read as of an instant (SPEC, Sync)."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass

from pkn_protocol.records.ids import AuthorId, Cid
from pkn_protocol.sync.sums import STANDING_PERIOD, PeriodSum, counts_at, period_of, sum_of


@dataclass(frozen=True, slots=True)
class Row:
    """A period of one author in one scope (empty: public; else a circle's tag)."""

    scope: bytes
    author: AuthorId
    period: int


def add_to_sum(db: sqlite3.Connection, row: Row, cid: Cid, size: int) -> None:
    """A record of `size` bytes came."""
    _change(db, row, +1, sum_of([cid]).value, +size)


def add_many_to_sum(db: sqlite3.Connection, row: Row, ids: list[Cid], size: int) -> None:
    """Records of `size` bytes together came."""
    _change(db, row, len(ids), sum_of(ids).value, size)


def take_from_sum(db: sqlite3.Connection, row: Row, cid: Cid, size: int) -> None:
    """A record of `size` bytes went."""
    _change(db, row, -1, -sum_of([cid]).value, -size)


@dataclass(frozen=True, slots=True)
class Held:
    """How much of an author travels, apart from what is standing: records, and bytes of their blocks."""

    records: int
    bytes: int


def held_of(db: sqlite3.Connection, author: AuthorId) -> Held:
    """What counts for an author's quota."""
    count, size = db.execute(
        "SELECT coalesce(sum(count), 0), coalesce(sum(bytes), 0) FROM period_sum"
        " WHERE author = ? AND period <> ?",
        (author, STANDING_PERIOD),
    ).fetchone()
    return Held(count, size)


def is_uneven(db: sqlite3.Connection, author: AuthorId, at: int) -> bool:
    """Whether an author has records that do not count at an instant: then kept sums are to be corrected."""
    return any(
        db.execute(question, (author, at)).fetchone() is not None
        for question in (
            "SELECT 1 FROM record WHERE wire AND author = ? AND time > ? LIMIT 1",
            "SELECT 1 FROM record WHERE wire AND author = ? AND expires IS NOT NULL AND expires <= ? LIMIT 1",
        )
    )


def sums_at(
    db: sqlite3.Connection,
    author: AuthorId,
    scopes: Iterable[bytes],
    *,
    at: int,
    floor: tuple[int, Cid] | None,
) -> dict[Row, PeriodSum]:
    """The sums of an author's periods that have records at an instant, from a floor on.

    Whole periods come from the kept sums, corrected for the few records that have expired by the instant or
    lie ahead of it; the one period that the floor cuts is summed from its ids. Standing records have no
    floor.
    """
    found: dict[Row, PeriodSum] = {}
    for scope in scopes:
        for period, count, value in db.execute(
            "SELECT period, count, value FROM period_sum WHERE scope = ? AND author = ?", (scope, author)
        ):
            found[Row(scope, author, period)] = PeriodSum.from_bytes(count, value)
        # Two parts, each with an index of its own: an OR would read all records of the author.
        for period, cid in db.execute(
            "SELECT period, id FROM record WHERE wire AND scope = ?1 AND author = ?2 AND time > ?3"
            " UNION ALL SELECT period, id FROM record WHERE wire AND scope = ?1 AND author = ?2"
            " AND expires IS NOT NULL AND expires <= ?3 AND time <= ?3",
            (scope, author, at),
        ):
            row = Row(scope, author, period)
            found[row] = found[row].without_id(cid)
        if floor is not None:
            _cut(db, found, scope, author, at, floor)
    return {row: total for row, total in found.items() if total.count}


def _cut(
    db: sqlite3.Connection,
    found: dict[Row, PeriodSum],
    scope: bytes,
    author: AuthorId,
    at: int,
    floor: tuple[int, Cid],
) -> None:
    cut = period_of(False, floor[0])
    for row in [r for r in found if r.scope == scope and r.author == author]:
        if row.period == STANDING_PERIOD or row.period > cut:
            continue
        if row.period < cut:
            del found[row]
        else:
            found[row] = sum_of(ids_of_row(db, row, at=at, floor=floor))


def ids_of_row(db: sqlite3.Connection, row: Row, *, at: int, floor: tuple[int, Cid] | None) -> list[Cid]:
    """The ids of a period at an instant, newest first, from a floor on."""
    low = (0, b"") if floor is None or row.period == STANDING_PERIOD else floor
    return [
        Cid(cid)
        for cid, time, expires in db.execute(
            "SELECT id, time, expires FROM record WHERE wire AND scope = ? AND author = ? AND period = ?"
            " AND (time > ? OR (time = ? AND id >= ?)) ORDER BY time DESC, id DESC",
            (row.scope, row.author, row.period, low[0], low[0], low[1]),
        )
        if counts_at(time, expires, at)
    ]


def _change(db: sqlite3.Connection, row: Row, count: int, value: int, size: int) -> None:
    key = (row.scope, row.author, row.period)
    found = db.execute(
        "SELECT count, value, bytes FROM period_sum WHERE scope = ? AND author = ? AND period = ?", key
    ).fetchone()
    before, held = (PeriodSum(), 0) if found is None else (PeriodSum.from_bytes(*found[:2]), found[2])
    if before.count + count == 0:
        db.execute("DELETE FROM period_sum WHERE scope = ? AND author = ? AND period = ?", key)
        return
    after = before.changed_by(count, value)
    db.execute(
        "INSERT OR REPLACE INTO period_sum (scope, author, period, count, value, bytes)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        (*key, after.count, after.to_bytes(), held + size),
    )
