"""A connection's root, kept up to date with the store without reading it (SPEC, Sync).

Most authors are even: their rows are compared as they stand in the store, so that a change of a row is one
subtraction and one addition. The others (with a floor, with records that are expired, ahead or refused by
one side) have a root of their own each; when one of their rows changes it is read anew, and only it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from pkn_protocol.records.ids import AuthorId
from pkn_protocol.sync.facts import PUBLIC_SCOPE, RowChange, RowsQuery, RowsRead
from pkn_protocol.sync.rows import ConnectionRoot, Key, RowSum, root_of

MOST_LATE_CHANGES = 10_000
"""Changes of rows that come while they are read, and are kept; after more of them all is read again."""


class KeptRoot:
    """Knows nothing until the first `read`. Changes come in the order of their versions."""

    def __init__(self) -> None:
        self._whole: ConnectionRoot | None = None
        self._odd: dict[AuthorId, ConnectionRoot] = {}
        self._spoilt: set[AuthorId] = set()
        self._version = 0
        self._everything: RowsQuery | None = None
        self._asked: RowsQuery | None = None
        self._late: list[tuple[Sequence[RowChange], int]] = []
        self._late_count = 0

    def at(self, instant: int) -> ConnectionRoot | None:
        """The root at an instant; None while something is to be read. Take its digest at once."""
        if self._whole is None or self._whole.at != instant or self._spoilt:
            return None
        return self._whole

    def forget(self) -> None:
        """Something else is compared from now on; an answer that is under way is of no use."""
        self._whole, self._odd, self._spoilt = None, {}, set()
        self._asked, self._late, self._late_count = None, [], 0

    def ask(self, everything: RowsQuery) -> RowsQuery:
        """What is to be read so that the root is known at the instant of `everything`."""
        query = everything
        if self._whole is not None and self._whole.at == everything.at:
            spoilt = {a: everything.authors[a] for a in self._spoilt if a in everything.authors}
            query = RowsQuery(everything.at, spoilt, everything.scopes, everything.refused, everything.pair)
        else:
            self.forget()
            self._everything = everything
        self._asked, self._late, self._late_count = query, [], 0
        return query

    def read(self, query: RowsQuery, roots: RootsRead) -> ConnectionRoot | None:
        """Take an answer in; the root over all rows, or None where it says less than that.

        An answer to the question for all rows serves once even where it cannot be kept, because its version
        is not known or too much has changed since.
        """
        if query is not self._asked:
            return None
        late, kept = self._late, roots.version is not None and self._late_count <= MOST_LATE_CHANGES
        self._asked, self._late, self._late_count = None, [], 0
        if self._whole is None:
            whole = ConnectionRoot(query.at)
            for part in (roots.even, *roots.odd.values()):
                whole.add(part)
            if kept:
                root = ConnectionRoot(whole.at)
                root.add(whole)
                self._whole, self._version, self._odd = root, roots.version or 0, dict(roots.odd)
                for changes, version in late:
                    self.change(changes, version)
            else:
                self.forget()
            return whole
        if not kept:
            self.forget()
            return None
        for author, root in roots.odd.items():
            self._odd[author] = root
            self._whole.add(root)
        self._spoilt -= query.authors.keys()
        for changes, version in late:
            if version > (roots.version or 0):
                self._spoil([change.name.author for change in changes if change.name.author in self._odd])
        return self.at(query.at)

    def change(self, changes: Sequence[RowChange], version: int) -> None:
        """Rows changed in the store, some of them perhaps such as this connection compares."""
        if self._asked is not None and self._late_count <= MOST_LATE_CHANGES:
            self._late.append((changes, version))
            self._late_count += len(changes)
        compared = self._everything
        if self._whole is None or compared is None or version <= self._version:
            return
        self._version = version
        for change in changes:
            scope, author, period = change.name
            if author not in compared.authors or author in self._spoilt:
                continue
            if scope != PUBLIC_SCOPE and scope not in compared.scopes.get(author, ()):
                continue
            if author in self._odd:
                self._spoil([author])
            elif change.even:
                self._whole.replace_row((scope, compared.pair.hash(author), period), change.old, change.new)
            else:
                # Its other rows are in the common root, from which they cannot be taken unread.
                self.forget()
                return

    def _spoil(self, authors: Collection[AuthorId]) -> None:
        for author in authors:
            root = self._odd.pop(author, None)
            if root is not None and self._whole is not None:
                self._whole.take(root)
                self._spoilt.add(author)


@dataclass(frozen=True, slots=True)
class RootsRead:
    """What an answer of the store comes to: the common root, and those of the odd authors."""

    even: ConnectionRoot
    odd: Mapping[AuthorId, ConnectionRoot]
    version: int | None


def roots_read(query: RowsQuery, answer: RowsRead, *, whole: bool) -> RootsRead:
    """Up to 0.1 s of computing for 10,000 authors. `whole`: all rows were asked for."""
    if whole:
        odd = {a for a, floor in query.authors.items() if floor is not None} | answer.uneven
        odd |= {name.author for name in query.refused}
        odd &= query.authors.keys()
    else:
        odd = set(query.authors)
    even: dict[Key, RowSum] = {}
    parts: dict[AuthorId, dict[Key, RowSum]] = {author: {} for author in odd}
    hashes = {query.pair.hash(author): author for author in odd}
    for key, row in answer.table.items():
        author = hashes.get(key[1])
        (even if author is None else parts[author])[key] = row
    roots = {author: root_of(rows, query.at) for author, rows in parts.items()}
    return RootsRead(root_of(even, query.at), roots, answer.version)
