"""A connection's root, kept up to date with the store without reading it (SPEC, Sync).

Most authors are even: their rows are compared as they stand in the store, so that a change of a row is one
subtraction and one addition. The others (with a floor, with records that are expired, ahead or refused by
one side) have a root of their own each; when one of their rows changes it is read anew, and only it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

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

    def read(self, query: RowsQuery, answer: RowsRead) -> ConnectionRoot | None:
        """Take an answer in; the root over all rows, or None where it says less than that.

        An answer to the question for all rows serves once even where it cannot be kept, because its version
        is not known or too much has changed since.
        """
        if query is not self._asked:
            return None
        late, kept = self._late, answer.version is not None and self._late_count <= MOST_LATE_CHANGES
        self._asked, self._late, self._late_count = None, [], 0
        if self._whole is None:
            whole = self._take_all(query, answer)
            if kept:
                root = ConnectionRoot(whole.at)
                root.add(whole)
                self._whole, self._version = root, answer.version or 0
                for changes, version in late:
                    self.change(changes, version)
            else:
                self.forget()
            return whole
        if not kept:
            self.forget()
            return None
        for author, rows in _by_author(query, query.authors, answer.table).items():
            if author is not None:
                self._odd[author] = root_of(rows, query.at)
                self._whole.add(self._odd[author])
        self._spoilt -= query.authors.keys()
        for changes, version in late:
            if version > (answer.version or 0):
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

    def _take_all(self, query: RowsQuery, answer: RowsRead) -> ConnectionRoot:
        odd = {a for a, floor in query.authors.items() if floor is not None} | answer.uneven
        odd |= {name.author for name in query.refused}
        parts = _by_author(query, odd & query.authors.keys(), answer.table)
        whole = root_of(parts.pop(None), query.at)
        for author, rows in parts.items():
            if author is not None:
                self._odd[author] = root_of(rows, query.at)
                whole.add(self._odd[author])
        return whole

    def _spoil(self, authors: Collection[AuthorId]) -> None:
        for author in authors:
            root = self._odd.pop(author, None)
            if root is not None and self._whole is not None:
                self._whole.take(root)
                self._spoilt.add(author)


def _by_author(
    query: RowsQuery, odd: Collection[AuthorId], table: Mapping[Key, RowSum]
) -> dict[AuthorId | None, dict[Key, RowSum]]:
    """The rows of the odd authors apart, those of the even ones together under None."""
    parts: dict[AuthorId | None, dict[Key, RowSum]] = {None: {}}
    parts.update((author, {}) for author in odd)
    hashes = {query.pair.hash(author): author for author in odd}
    for key, row in table.items():
        parts[hashes.get(key[1])][key] = row
    return parts
