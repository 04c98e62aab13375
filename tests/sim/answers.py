"""What a node's store answers to the machines: rows, what changed them, ids, records, places."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from pkn_protocol.records.ids import AuthorId, Cid, ShortId, short_id
from pkn_protocol.records.model import Record
from pkn_protocol.sync.effects import ReadRecords
from pkn_protocol.sync.facts import PUBLIC_SCOPE, RowChange, RowName, RowsQuery, RowsRead
from pkn_protocol.sync.rows import Key, RowSum
from pkn_protocol.sync.sums import record_period
from tests.sim.library import Library
from tests.sim.store import Store


def rows(store: Store, query: RowsQuery) -> RowsRead:
    refused = _refused(query.refused)
    table: dict[Key, RowSum] = {}
    for author, floor in query.authors.items():
        hashed = b""
        for period, row in store.rows(author, query.at, floor, refused.get(author, frozenset())):
            hashed = hashed or query.pair.hash(author)
            table[(PUBLIC_SCOPE, hashed, period)] = row
    return RowsRead(table, store.version, store.uneven(query.authors, query.at))


def changes(store: Store, at: int) -> list[RowChange]:
    """What the last commit has changed; `at`: the instant that comparisons name now."""
    return [
        RowChange(RowName(PUBLIC_SCOPE, author, period), old, new, store.is_even(author, period, at))
        for author, period, old, new in store.take_changes()
    ]


def ids(store: Store, query: RowsQuery, wanted: Iterable[Key]) -> dict[Key, Sequence[Cid]]:
    """The ids of rows, newest first."""
    refused = _refused(query.refused)
    authors = {query.pair.hash(author): author for author in query.authors}
    found: dict[Key, Sequence[Cid]] = {}
    for scope, hashed, period in wanted:
        author = authors.get(hashed)
        if author is None or scope != PUBLIC_SCOPE:
            continue
        of_author = store.authors.get(author)
        floor, without = query.authors[author], refused.get(author, frozenset())
        if of_author is not None:
            found[(scope, hashed, period)] = of_author.ids(period, query.at, floor, without)
        else:
            found[(scope, hashed, period)] = []
    return found


def records(store: Store, library: Library, effect: ReadRecords) -> tuple[tuple[bytes, ...], tuple[Cid, ...]]:
    """The blocks that a peer asked for, and which ids are not there."""
    blocks: dict[bytes, None] = {}
    missing: list[Cid] = []
    for cid in (*effect.ids, *named(store, library, effect.named)):
        record = store.answers.get(cid) or find(store, library, cid)
        if record is None:
            missing.append(cid)
            continue
        if effect.devices:
            blocks[library.devices[record.author]] = None
        blocks[record.block] = None
    return tuple(blocks), tuple(missing)


def named(
    store: Store, library: Library, names: Iterable[tuple[AuthorId, Collection[ShortId]]]
) -> Iterable[Cid]:
    """The ids of records that are named by author and short id: held, or retracted."""
    for author, shorts in names:
        for short in shorts:
            cid = library.named.get((author, short))
            if cid is not None and (cid in store.answers or find(store, library, cid) is not None):
                yield cid


def held(store: Store, library: Library, author: AuthorId, shorts: Collection[ShortId]) -> frozenset[ShortId]:
    """Which short ids of an author name something that is here."""
    return frozenset(map(short_id, named(store, library, [(author, shorts)])))


def places(store: Store, library: Library, cids: Iterable[Cid]) -> dict[Cid, RowName]:
    """In which rows those are that are held."""
    found = ((cid, find(store, library, cid)) for cid in cids)
    return {cid: RowName(PUBLIC_SCOPE, r.author, record_period(r)) for cid, r in found if r is not None}


def find(store: Store, library: Library, cid: Cid) -> Record | None:
    known = library.by_id.get(cid)
    return None if known is None else store.get(known.author, cid)


def _refused(refused: Mapping[RowName, frozenset[Cid]]) -> dict[AuthorId, frozenset[Cid]]:
    """What a peer refused, by author."""
    found: dict[AuthorId, frozenset[Cid]] = {}
    for name, cids in refused.items():
        found[name.author] = found.get(name.author, frozenset()) | cids
    return found
