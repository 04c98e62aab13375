"""What a peer's answer may put before the user: the rules of the own disk, for records that are not on it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from pkn_protocol.records.ids import Cid
from pkn_protocol.records.model import Item, Record
from pkn_protocol.sync.sums import MOST_AHEAD_MS
from pknd.store.records import Filter
from pknd.store.retract import retraction_against, retraction_of


def admits(wanted: Filter, record: Record) -> bool:
    """Whether a record passes the filters of a query, and may be shown at its time at all: what
    `pknd.store.records.filter_clauses` says in SQL of what is held."""
    item = record.body
    if not isinstance(item, Item) or not record.understood:
        return False
    tags = {tag.casefold() for tag in item.tags}
    return (
        (wanted.author is None or record.author == wanted.author)
        and (wanted.kind is None or record.kind == wanted.kind)
        and (wanted.since is None or record.time >= wanted.since)
        and record.time <= wanted.now + MOST_AHEAD_MS
        and (record.expires is None or record.expires > wanted.now)
        and all(
            any(have == t or have.startswith(t + "/") for have in tags)
            for t in map(str.casefold, wanted.tags)
        )
    )


def taken_back(db: sqlite3.Connection, records: Iterable[Record]) -> set[Cid]:
    """Of records that are not held, those that are retracted, or that their authors have replaced, as this
    store knows: whoever answers with them is behind, or dishonest."""
    return {
        record.id
        for record in records
        if retraction_of(db, record.id) is not None
        or retraction_against(db, record.item_id, record.author) is not None
        or _is_replaced(db, record)
    }


def _is_replaced(db: sqlite3.Connection, record: Record) -> bool:
    """By its author, on a page by somebody near too; or it is older than what its author shows of the item,
    which names only the nearest versions before it."""
    row = db.execute(
        "SELECT 1 FROM replaced JOIN record ON record.rowid = replaced.record"
        " WHERE replaced.old = ?1 AND record.shown AND (record.author = ?2 OR ?3 = 'page'"
        " AND record.kind = 'page' AND record.author IN (SELECT author FROM near))"
        " UNION ALL SELECT 1 FROM record WHERE item = ?4 AND author = ?2 AND head AND shown"
        " AND (time, id) > (?5, ?1) LIMIT 1",
        (record.id, record.author, record.kind, record.item_id, record.time),
    ).fetchone()
    return row is not None
