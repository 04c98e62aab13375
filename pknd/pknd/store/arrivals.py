"""Items and comments in the order in which they came, until it was looked whether they are news (SPEC, On
disk).

Numbers of rows do not serve for that: SQLite gives that of the newest record again once it is deleted.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pkn_protocol.records.ids import AuthorId, Cid
from pknd.store.rows import insert_rows


def note_arrivals(db: sqlite3.Connection, rowids: Sequence[int]) -> None:
    """Items or comments were stored, in this order; in the transaction that stores them."""
    insert_rows(db, "INSERT INTO arrival (record)", 1, [(rowid,) for rowid in rowids])


def last_arrival(db: sqlite3.Connection) -> int:
    """The number of the latest arrival there ever was; 0 before the first."""
    row = db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'arrival'").fetchone()
    return 0 if row is None else int(row[0])


@dataclass(frozen=True, slots=True)
class Came:
    """An arrival and what its row says, the record itself undecoded. `later`: it is no first version;
    `derived`: it may say that it was made of another item."""

    seq: int
    rowid: int
    author: AuthorId
    kind: str
    item: Cid
    time: int
    later: bool
    head: bool
    shown: bool
    derived: bool = False


def arrivals_after(db: sqlite3.Connection, seq: int, *, limit: int) -> list[Came]:
    """What came after an arrival and is still here, in order."""
    rows = db.execute(
        "SELECT seq, record, author, kind, item, time, item <> id, head, shown,"
        " instr(block, CAST('derived_from' AS BLOB)) FROM arrival"
        " JOIN record ON record.rowid = arrival.record WHERE seq > ? ORDER BY seq LIMIT ?",
        (seq, limit),
    )
    return [
        Came(number, rowid, AuthorId(author), kind, Cid(item), time, *map(bool, told))
        for number, rowid, author, kind, item, time, *told in rows
    ]


def forget_arrivals(db: sqlite3.Connection, upto: int) -> None:
    """All up to this one were looked at."""
    db.execute("DELETE FROM arrival WHERE seq <= ?", (upto,))


class ArrivalFeed:
    """Says after a commit that items came. `after_commit` belongs to the writer's thread."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._told = last_arrival(connection)
        self._tell: Callable[[], None] | None = None

    def watch(self, listener: Callable[[], None]) -> None:
        """Call `listener` in this event loop after each commit that brought items."""
        loop = asyncio.get_running_loop()

        def tell() -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody listens any more
                loop.call_soon_threadsafe(listener)

        self._tell = tell

    def after_commit(self) -> None:
        last = last_arrival(self._connection)
        if last != self._told:
            self._told = last
            if self._tell is not None:
                self._tell()
