"""News that were not looked at yet, and when they were last (SPEC, On disk; Search, News)."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from pkn_protocol.records.ids import AuthorId
from pkn_protocol.search.news import Piece, Reason
from pkn_protocol.sync.sums import MOST_AHEAD_MS
from pknd.store.arrivals import forget_arrivals
from pknd.store.records import Filter, filter_clauses
from pknd.store.rows import insert_found
from pknd.store.settings import get_setting, put_setting

MOST_NEWS = 10_000
"""Items that are kept as news; of somebody who never looks at them the oldest are dropped."""
_LOOKED = "news-looked"
# What somebody published is news while they are trusted, what they made of or said about what is the reader's
# while they are within the horizon; what matches a saved question, whoever wrote it.
_STILL = (
    "CASE WHEN news.reason = 'version' OR record.author IN"
    " (SELECT author FROM person WHERE trust = 'trusted') OR (news.reason IN ('comment', 'cutting')"
    " AND record.author IN (SELECT author FROM near)) THEN news.reason END"
)
# Whoever has not looked at the first version yet is told of the item, not of a change. A comment is none.
_CHANGED = (
    "record.kind <> 'comment' AND record.item <> record.id"
    " AND NOT EXISTS (SELECT 1 FROM record AS one JOIN news AS too"
    " ON too.record = one.rowid WHERE one.id = record.item)"
)
# What is left out came by somebody who is trusted no more, or for a question that is saved no more.
_TOLD = (
    f"({_STILL} IS NOT NULL OR record.rowid IN"  # noqa: S608
    " (SELECT record FROM watch_match JOIN watch ON watch.number = watch_match.watch))"
)


@dataclass(frozen=True, slots=True)
class Found:
    """An arrival that is news: for `reason`, or (None) only because it matches the `watches` (numbers)."""

    seq: int
    rowid: int
    reason: Reason | None
    watches: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Unseen:
    """News with the row of its record; `changed`: it is a later version of what was shown before."""

    piece: Piece
    rowid: int
    changed: bool


def put_news(db: sqlite3.Connection, found: Sequence[Found], *, upto: int) -> None:
    """Keep what was found among the arrivals up to `upto`, which are done with."""
    # A record may have been retracted since it was looked at, its row given to another, and a question
    # removed.
    insert_found(
        db,
        "INSERT OR IGNORE INTO news (seq, record, reason)",
        "SELECT seq, record, column3 FROM found JOIN arrival ON (seq, record) = (column1, column2)",
        [(one.seq, one.rowid, one.reason) for one in found],
    )
    insert_found(
        db,
        "INSERT OR IGNORE INTO watch_match (watch, record)",
        "SELECT number, news.record FROM found JOIN watch ON number = column1"
        " JOIN news ON news.record = column2",
        [(number, one.rowid) for one in found for number in one.watches],
    )
    forget_arrivals(db, upto)
    oldest = db.execute("SELECT seq FROM news ORDER BY seq DESC LIMIT 1 OFFSET ?", (MOST_NEWS,)).fetchone()
    if oldest is not None:
        db.execute("DELETE FROM news WHERE seq <= ?", oldest)
        _forget_matches(db)


def unseen(db: sqlite3.Connection, *, now: int, after: int = 0) -> list[Unseen]:
    """News that may be shown at `now` (ms), in the order of arrival, from beyond the number `after`."""
    clause, values = _visible(now)
    rows = db.execute(
        f"SELECT news.seq, record.rowid, record.author, record.time, {_STILL}, {_CHANGED}"  # noqa: S608
        f" FROM news JOIN record ON record.rowid = news.record WHERE news.seq > ?"
        f" AND {clause} AND {_TOLD} ORDER BY news.seq",
        (after, *values),
    ).fetchall()
    names: dict[int, list[str]] = defaultdict(list)
    for record, name in db.execute(
        "SELECT record, name FROM watch_match JOIN watch ON watch.number = watch_match.watch ORDER BY name"
    ):
        names[record].append(name)
    found = []
    for seq, rowid, author, time, reason, changed in rows:
        why = Reason.MATCH if reason is None else Reason(reason)
        if why is Reason.PUBLISHED and rowid in names:
            why = Reason.MATCH
        piece = Piece(seq, AuthorId(author), time, why, tuple(names[rowid]))
        found.append(Unseen(piece, rowid, bool(changed)))
    return found


def count_unseen(db: sqlite3.Connection, *, now: int) -> int:
    """How many `unseen` gives at `now` (ms)."""
    clause, values = _visible(now)
    [count] = db.execute(
        "SELECT count(*) FROM news JOIN record ON record.rowid = news.record"  # noqa: S608
        f" WHERE {clause} AND {_TOLD}",
        values,
    ).fetchone()
    return int(count)


def _visible(now: int) -> tuple[str, list[object]]:
    """Of news: an item that may be shown, or a comment on one."""
    items, values = filter_clauses(Filter(now=now))
    about, more = filter_clauses(Filter(now=now))
    comments = (
        "news.reason = 'comment' AND record.shown AND (record.expires IS NULL OR record.expires > ?)"
        " AND record.time <= ? AND record.author NOT IN (SELECT author FROM person WHERE trust = 'blocked')"
        " AND EXISTS (SELECT 1 FROM record AS one WHERE one.item = record.item AND "
    )
    shown = about.replace("record.", "one.")
    return f"(({items}) OR ({comments}{shown})))", [*values, now, now + MOST_AHEAD_MS, *more]


def mark_seen(db: sqlite3.Connection, *, upto: int, now: int) -> None:
    """News up to this number were looked at; not what is hidden until its time has come."""
    db.execute(
        "DELETE FROM news WHERE seq <= ?"
        " AND NOT EXISTS (SELECT 1 FROM record WHERE rowid = news.record AND time > ?)",
        (upto, now + MOST_AHEAD_MS),
    )
    _forget_matches(db)
    put_setting(db, _LOOKED, str(now).encode("ascii"))


def last_look(db: sqlite3.Connection) -> int | None:
    """When news were last marked as seen (ms)."""
    value = get_setting(db, _LOOKED)
    return None if value is None else int(value)


def _forget_matches(db: sqlite3.Connection) -> None:
    db.execute("DELETE FROM watch_match WHERE record NOT IN (SELECT record FROM news)")
