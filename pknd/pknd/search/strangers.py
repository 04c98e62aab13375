"""Whose summaries the figures of scores are taken from: those of people within the horizon (SPEC, Search).

A stranger could make every word look frequent otherwise, and so change how others' items are ranked.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pkn_protocol.records.ids import AuthorId
from pknd.search.index import IndexReader, Totals, collection
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
    """Remembers what was found until people or the public documents change; readers may share it."""

    def __init__(self) -> None:
        self._known: tuple[Collection[AuthorId], Totals, LeftOut | None] | None = None

    def left_out(self, db: sqlite3.Connection, near: Collection[AuthorId]) -> LeftOut | None:
        """The public documents of strangers; None where there are none, or too few of others."""
        totals, known = collection(db, public_only=True), self._known
        if known is not None and known[0] is near and known[1] == totals:
            return known[2]
        found = _left_out(db, near, totals)
        self._known = near, totals, found
        return found


def _left_out(db: sqlite3.Connection, near: Collection[AuthorId], totals: Totals) -> LeftOut | None:
    authors = {
        AuthorId(author)
        for (author,) in db.execute("SELECT DISTINCT author FROM period_sum WHERE scope = ?", (PUBLIC_SCOPE,))
    }
    rows = [
        row
        for author in sorted(authors - set(near))
        for row in db.execute(
            "SELECT document.doc, document.length FROM record JOIN document ON document.doc = record.rowid"
            " WHERE record.author = ? AND document.public",
            (author,),
        )
    ]
    documents = totals.documents - len(rows)
    if not rows or documents < LEAST_NEAR:
        return None
    length = round(totals.mean_length * totals.documents) - sum(length for _, length in rows)
    table = np.zeros(max(doc for doc, _ in rows) + 1, np.bool_)
    table[[doc for doc, _ in rows]] = True
    return LeftOut(table, Totals(documents, length / documents))
