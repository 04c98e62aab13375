"""Whose summaries the figures of scores are taken from: those of people within the horizon (SPEC, Search).

A stranger could make every word look frequent otherwise, and so change how others' items are ranked; and so
could somebody nearer with summaries of texts that nobody ever sees.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import cast

import numpy as np
from numpy.typing import NDArray

from pkn_protocol.records.ids import AuthorId
from pknd.search.changes import changes
from pknd.search.index import IndexReader, Totals, collection
from pknd.store.rows import select_in
from pknd.store.versions import PUBLIC_SCOPE

_MOST_REMEMBERED = 4096
LEAST_NEAR = 50
"""With fewer items of people within the horizon all that is held serves: words of so few say little."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Documents that figures leave out, as a table by number, and the figures of the others."""

    docs: NDArray[np.bool_]
    others: Totals
    _frequencies: dict[frozenset[int], int] = field(default_factory=dict)

    def frequency(self, stems: frozenset[int], index: IndexReader) -> int:
        """How many of the other public documents have one of some stems. To know it all their postings are
        read, so it is remembered as long as this is."""
        known = self._frequencies.get(stems)
        if known is None:
            docs = index.public_documents(stems)
            known = len(docs) - self.count(docs)
            if len(self._frequencies) < _MOST_REMEMBERED:
                self._frequencies[stems] = known
        return known

    def count(self, docs: NDArray[np.uint32]) -> int:
        """How many of some documents are left out."""
        return int(self.docs[docs[docs < len(self.docs)]].sum())


class Strangers:
    """Remembers what was found until people or documents change; readers may share it."""

    def __init__(self) -> None:
        self._known: tuple[Collection[AuthorId], Collection[int], int, LeftOut | None] | None = None

    def left_out(
        self, db: sqlite3.Connection, near: Collection[AuthorId], in_vain: Collection[int] = frozenset()
    ) -> LeftOut | None:
        """The public documents of strangers, and those whose text nobody around has (`in_vain`); None where
        there are none, or too few others."""
        # Not by how many documents there are: an edit need not change that.
        now, known = changes(db), self._known
        if known is not None and known[0] is near and known[1] is in_vain and known[2] == now:
            return known[3]
        found = _left_out(db, near, in_vain, collection(db, public_only=True))
        self._known = near, in_vain, now, found
        return found


def _left_out(
    db: sqlite3.Connection, near: Collection[AuthorId], in_vain: Collection[int], totals: Totals
) -> LeftOut | None:
    authors = {
        AuthorId(author)
        for (author,) in db.execute("SELECT DISTINCT author FROM period_sum WHERE scope = ?", (PUBLIC_SCOPE,))
    }
    lengths: dict[int, int] = {
        doc: length
        for author in sorted(authors - set(near))
        for doc, length in db.execute(
            "SELECT document.doc, document.length FROM record JOIN document ON document.doc = record.rowid"
            " WHERE record.author = ? AND document.public",
            (author,),
        )
    }
    unseen = select_in(db, "SELECT doc, length FROM document WHERE public AND doc IN", list(in_vain))
    lengths.update(cast(Iterator[tuple[int, int]], unseen))
    documents = totals.documents - len(lengths)
    if not lengths or documents < LEAST_NEAR:
        return None
    length = round(totals.mean_length * totals.documents) - sum(lengths.values())
    table = np.zeros(max(lengths) + 1, np.bool_)
    table[list(lengths)] = True
    return LeftOut(table, Totals(documents, length / documents))
