"""Many rows in few statements.

Between the rows of `executemany` Python lets other threads run; with a busy one, each row can wait for it.
One statement of many rows waits once, and SQLite does the same work in less time.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")
MOST_VARIABLES = 8_000
"""In one statement; SQLite itself allows 32,766, and compiles a statement of these in a millisecond."""


def insert_rows(
    db: sqlite3.Connection, into: str, width: int, rows: Sequence[Sequence[object]], *, then: str = ""
) -> None:
    """Insert rows of `width` values each.

    `into` is the statement up to its values (`INSERT OR IGNORE INTO tag (tag, record)`), `then` what follows
    them.
    """
    one = f"({','.join('?' * width)})"
    for part in parts(rows, MOST_VARIABLES // width):
        values = [value for row in part for value in row]
        db.execute(f"{into} VALUES {','.join([one] * len(part))} {then}", values)


def insert_found(db: sqlite3.Connection, into: str, select: str, rows: Sequence[Sequence[object]]) -> None:
    """Insert what a query makes of rows, which it has as `found (column1, column2, …)`."""
    if not rows:
        return
    width = len(rows[0])
    one = f"({','.join('?' * width)})"
    for part in parts(rows, MOST_VARIABLES // width):
        values = [value for row in part for value in row]
        db.execute(f"WITH found AS (VALUES {','.join([one] * len(part))}) {into} {select}", values)


def select_in(
    db: sqlite3.Connection, statement: str, values: Sequence[object]
) -> Iterator[tuple[object, ...]]:
    """The rows of a statement that ends in `IN`, for all values."""
    for part in parts(values, MOST_VARIABLES):
        yield from db.execute(f"{statement} ({','.join('?' * len(part))})", part)


def parts(values: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """Slices of at most `size`."""
    for start in range(0, len(values), size):
        yield values[start : start + size]
