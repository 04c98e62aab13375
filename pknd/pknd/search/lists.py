"""The postings of one stem, wherever they lie: read whole, or looked into for some documents alone."""

from __future__ import annotations

import sqlite3
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pknd.search.postings import Codes, Words, are_public, documents_of, first_entry, words_of
from pknd.search.runs import Place

BLOCK_POSTINGS = 1024
"""What is read of a list at once, where not all of it is: a page of SQLite's."""
_LOOKS = 8
"""To find a document's block in a list costs about as much as to read so many blocks in a row."""


@dataclass(slots=True)
class PostingList:
    """Postings of documents that are no more are among them. `recent` has entries and length codes; `read`
    counts the entries that were read of runs."""

    db: sqlite3.Connection
    recent: Sequence[tuple[Words, Codes]]
    places: Sequence[Place]
    read: int = field(default=0)

    def __len__(self) -> int:
        return sum(len(entries) for entries, _ in self.recent) + sum(
            place.end - place.start for place in self.places
        )

    @property
    def public(self) -> int:
        """How many are of public documents; nothing is read for that."""
        return sum(int(are_public(entries).sum()) for entries, _ in self.recent) + sum(
            place.public for place in self.places
        )

    def postings(self) -> Iterator[tuple[Words, Codes]]:
        """All entries and length codes."""
        yield from self.recent
        for place in self.places:
            self.read += place.end - place.start
            yield place.read(self.db)

    def entries(self) -> Iterator[Words]:
        """All entries, without the length codes."""
        yield from (entries for entries, _ in self.recent)
        for place in self.places:
            yield self._entries(place)

    def among(self, docs: Words) -> tuple[NDArray[np.bool_], Words]:
        """Which of some documents have the stem, and the entries of those; `docs` ascend, each once."""
        held = np.zeros(len(docs), np.bool_)
        found = np.zeros(len(docs), np.uint32)
        if not len(docs):
            return held, found
        parts = [entries for entries, _ in self.recent]
        for place in self.places:
            blocks = (place.end - place.start) // BLOCK_POSTINGS
            parts += [self._entries(place)] if len(docs) * _LOOKS >= blocks else self._blocks(place, docs)
        wanted = first_entry(docs)
        for entries in parts:
            at = np.searchsorted(entries, wanted)
            inside = at < len(entries)
            at[~inside] = 0
            here = inside & (documents_of(entries[at]) == docs) if len(entries) else inside
            held |= here
            found[here] = entries[at[here]]
        return held, found

    def _entries(self, place: Place) -> Words:
        self.read += place.end - place.start
        with self.db.blobopen("posting", "entries", place.chunk, readonly=True) as blob:
            blob.seek(4 * place.start)
            return words_of(blob.read(4 * (place.end - place.start)))

    def _blocks(self, place: Place, docs: Words) -> list[Words]:
        """The blocks that may have some of a few documents."""
        wanted: list[int] = first_entry(docs).tolist()
        found: list[Words] = []
        # Parts of the list, and which of the documents may be in each.
        left = [(place.start, place.end, 0, len(wanted))]
        with self.db.blobopen("posting", "entries", place.chunk, readonly=True) as blob:

            def read(start: int, end: int) -> Words:
                self.read += end - start
                blob.seek(4 * start)
                return words_of(blob.read(4 * (end - start)))

            while left:
                start, end, first, last = left.pop()
                if first == last:
                    continue
                if end - start <= BLOCK_POSTINGS:
                    found.append(read(start, end))
                    continue
                middle = (start + end) // 2
                doc = documents_of(read(middle, middle + 1))
                cut = bisect_left(wanted, int(first_entry(doc)[0]), first, last)
                left += [(start, middle, first, cut), (middle, end, cut, last)]
        return found
