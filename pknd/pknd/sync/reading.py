"""What the machines of synchronisation ask of the store, as work for its readers' threads."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Iterator, Sequence
from hashlib import sha256

from pkn_protocol.records.ids import AuthorId, Cid, ShortId
from pkn_protocol.records.model import Grant, Record, Sealed
from pkn_protocol.sync.effects import ReadRecords
from pkn_protocol.sync.facts import PUBLIC_SCOPE, RecordFacts, RowName, RowsQuery, RowsRead
from pkn_protocol.sync.rows import Key
from pkn_protocol.sync.sums import PeriodSum
from pknd.store.records import Travelling, of_short, travelling
from pknd.store.retract import retraction_of
from pknd.store.row_feed import RowFeed
from pknd.store.sums import Row, ids_of_row, is_uneven, sums_at

MANY_AUTHORS = 1000
"""For more of them going through all sums costs less than a question each."""

PassedOn = Callable[[Cid], tuple[bytes, bytes] | None]
"""Records that are not held but were answers to a forwarded query, each with the block of its author's
device."""


def facts_of(record: Record) -> RecordFacts:
    scope = record.body.tag if isinstance(record.body, Sealed | Grant) else PUBLIC_SCOPE
    return RecordFacts(record.id, record.author, scope, record.time, record.is_standing, record.block)


def read_rows(db: sqlite3.Connection, query: RowsQuery, feed: RowFeed) -> RowsRead:
    """The rows that a connection compares, with the version of the snapshot."""
    version = feed.version_of(db)
    table: dict[Key, tuple[int, bytes]] = {}
    uneven: set[AuthorId] = set()
    refused: dict[AuthorId, list[RowName]] = {}
    for name in query.refused:
        refused.setdefault(name.author, []).append(name)
    whole: dict[AuthorId, bytes] = {}
    for author, floor in query.authors.items():
        if is_uneven(db, author, query.at):
            uneven.add(author)
        elif floor is None and author not in refused:
            whole[author] = query.pair.hash(author)
            continue
        totals = sums_at(db, author, query.scopes_of(author), at=query.at, floor=floor)
        for name in refused.get(author, ()):
            row = Row(*name)
            if row in totals:
                totals[row] = _without(db, totals[row], row, query.refused[name], query)
        hashed = query.pair.hash(author)
        for row, total in totals.items():
            if total.count:
                table[(row.scope, hashed, row.period)] = (total.count, total.digest())
    for scope, author, period, count, value in _kept_sums(db, whole, query):
        table[(scope, whole[author], period)] = (count, sha256(value).digest())
    return RowsRead(table, version, frozenset(uneven))


def read_ids(db: sqlite3.Connection, rows: Sequence[Key], query: RowsQuery) -> dict[Key, list[Cid]]:
    """The ids of these rows, newest first."""
    authors = {query.pair.hash(author): author for author in query.authors}
    found: dict[Key, list[Cid]] = {}
    for scope, hashed, period in rows:
        author = authors.get(hashed)
        if author is None or scope not in query.scopes_of(author):
            continue
        refused = query.refused.get(RowName(scope, author, period), frozenset())
        ids = ids_of_row(db, Row(scope, author, period), at=query.at, floor=query.authors[author])
        found[(scope, hashed, period)] = [cid for cid in ids if cid not in refused]
    return found


def read_records(
    db: sqlite3.Connection, wanted: ReadRecords, passed_on: PassedOn
) -> tuple[list[bytes], list[Cid]]:
    """Blocks, and the whole ids that are missing; what may not be seen is missing like what is not held."""
    blocks: dict[bytes, None] = {}
    missing: list[Cid] = []
    named = [(cid, travelling(db, cid)) for cid in wanted.ids]
    named += [
        one for author, shorts in wanted.named for short in shorts for one in of_short(db, author, short)
    ]
    for cid, held in named:
        found = _givable(db, cid, held, wanted.scopes)
        if found is not None:
            if wanted.devices:
                blocks.update(dict.fromkeys(_device_blocks(db, cid)))
            blocks[found] = None
            continue
        others = passed_on(cid)
        if others is None:
            missing.append(cid)
        else:
            blocks.update(dict.fromkeys(reversed(others)))
    return list(blocks), missing


def places_of(db: sqlite3.Connection, ids: Sequence[Cid]) -> dict[Cid, RowName]:
    """The rows of those records that are held and travel."""
    found: dict[Cid, RowName] = {}
    for cid in ids:
        row = db.execute("SELECT scope, author, period FROM record WHERE id = ? AND wire", (cid,)).fetchone()
        if row is not None:
            found[cid] = RowName(row[0], AuthorId(row[1]), row[2])
    return found


def held_shorts(db: sqlite3.Connection, author: AuthorId, shorts: Sequence[ShortId]) -> set[ShortId]:
    """Those that name a record which is held, or was retracted."""
    return {short for short in shorts if of_short(db, author, short)}


def _kept_sums(
    db: sqlite3.Connection, authors: Collection[AuthorId], query: RowsQuery
) -> Iterator[tuple[bytes, AuthorId, int, int, bytes]]:
    """The kept sums of authors, in the scopes that the query asks for."""
    columns = "SELECT scope, author, period, count, value FROM period_sum"
    if len(authors) > MANY_AUTHORS:
        for row in db.execute(columns):
            if row[1] in authors and row[0] in query.scopes_of(row[1]):
                yield row
        return
    for author in authors:
        for scope in query.scopes_of(author):
            yield from db.execute(f"{columns} WHERE scope = ? AND author = ?", (scope, author))


def _without(
    db: sqlite3.Connection, total: PeriodSum, row: Row, refused: Collection[Cid], query: RowsQuery
) -> PeriodSum:
    for cid in ids_of_row(db, row, at=query.at, floor=query.authors[row.author]):
        if cid in refused:
            total = total.without_id(cid)
    return total


def _givable(
    db: sqlite3.Connection, cid: Cid, found: Travelling | None, scopes: Collection[bytes]
) -> bytes | None:
    if found is None:
        by = retraction_of(db, cid)
        found = travelling(db, by) if by is not None else None
    if found is None:
        return None
    return None if found.audience is not None or found.scope not in scopes else found.block


def _device_blocks(db: sqlite3.Connection, cid: Cid) -> list[bytes]:
    return [
        block
        for (block,) in db.execute(
            "SELECT other.block FROM record JOIN device ON device.author = record.author"
            " JOIN record AS other ON other.id = device.record WHERE record.id = ?",
            (cid,),
        )
    ]
