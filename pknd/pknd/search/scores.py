"""The best documents for a query, from the postings alone (SPEC, Search, The text score).

All postings of the query's words are added up in one array of numbers; what that costs is a few nanoseconds a
posting. To leave out those that cannot matter (MaxScore: Turtle and Flood, 1995) they would have to be read
all the same, and the order beyond the top, which trust and filters ask for, would be lost.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from pkn_protocol.search.query import Query, Term, stop_languages
from pkn_protocol.search.scoring import K1, Statistics, norm_of
from pkn_protocol.text.languages import primary
from pkn_protocol.text.sketch import CLASS_FREQUENCY, LENGTH_CODES, length_of_code
from pknd.search.index import IndexReader, languages_of
from pknd.search.postings import Words, classes_of, documents_of

Scores: TypeAlias = NDArray[np.float64]
_CODE_BITS = 8
_FIRST_ASKED = 64
_GROWTH = 8
_NEAR = 0.5


@dataclass(frozen=True, slots=True)
class _Found:
    """Of a term: documents, each once, and for each its class and length code in one number."""

    docs: Words
    kinds: NDArray[np.intp]


class Matches:
    """The documents that match a query by their summaries, best first, as many as are asked for.

    `index`: where the same snapshot was read from before.
    """

    def __init__(
        self,
        db: sqlite3.Connection,
        query: Query,
        statistics: Statistics,
        index: IndexReader | None = None,
    ) -> None:
        self._db = db
        self._index = IndexReader(db) if index is None else index
        self._query = query
        self._statistics = statistics
        self._scores = self._all_scores()

    def __iter__(self) -> Iterator[tuple[int, float]]:
        """(document, text score) by falling score, equal ones by number."""
        # Of truth values NumPy finds those that are set many times as fast as of floats.
        docs = np.flatnonzero(self._scores > 0)
        scores = self._scores[docs]
        given, wanted = 0, _FIRST_ASKED
        while given < len(docs):
            for doc, score in _best(docs, scores, wanted)[given:]:
                given += 1
                yield doc, score
            wanted *= _GROWTH

    def _all_scores(self) -> Scores:
        found = [self._find(term) for term in self._query.terms]
        last = max((int(one.docs.max()) for one in found if len(one.docs)), default=-1)
        scores: Scores = np.zeros(last + 1)
        gains = _gains(self._statistics.mean_length)
        for one, weight in zip(found, self._statistics.weights(), strict=True):
            # Each document occurs once in a term, so that plain addition by index is right.
            scores[one.docs] += (weight * gains)[one.kinds]
        self._leave_out(scores)
        quoted = {id(term) for term in self._query.quoted}
        for term, one in zip(self._query.terms, found, strict=True):
            if id(term) in quoted:
                self._require(scores, term, one)
        return scores

    def _leave_out(self, scores: Scores) -> None:
        for term in self._query.excluded:
            docs = self._find(term).docs
            scores[docs[docs < len(scores)]] = 0.0
        gone = np.fromiter(self._index.forgotten, np.int64)
        scores[gone[gone < len(scores)]] = 0.0

    def _require(self, scores: Scores, term: Term, one: _Found) -> None:
        lacking = scores > 0
        lacking[one.docs] = False
        docs = np.flatnonzero(lacking)
        stop = stop_languages(term.word)
        if stop and len(docs):
            # No sketch has stop words: only of a text in another language it is said that it lacks this one.
            langs = languages_of(self._db, [int(doc) for doc in docs])
            docs = np.array([doc for doc, lang in langs.items() if primary(lang) not in stop], np.intp)
        scores[docs] = 0.0

    def _find(self, term: Term) -> _Found:
        parts = [held for stem in term.stems for held in self._index.postings(stem)]
        if not parts:
            return _Found(np.zeros(0, np.uint32), np.zeros(0, np.intp))
        entries = np.concatenate([entries for entries, _ in parts])
        codes = np.concatenate([codes for _, codes in parts])
        docs = documents_of(entries)
        kinds = classes_of(entries).astype(np.intp) << _CODE_BITS | codes
        if len(term.stems) == 1 or len(parts) == 1:
            return _Found(docs, kinds)
        # One word is scored once, by the best of its stems: of equal documents the highest class comes last.
        order = np.argsort(docs.astype(np.uint64) << np.uint64(16) | kinds.astype(np.uint64))
        docs, kinds = docs[order], kinds[order]
        last = np.append(docs[1:] != docs[:-1], True)
        return _Found(docs[last], kinds[last])


def _best(docs: NDArray[np.intp], scores: Scores, wanted: int) -> list[tuple[int, float]]:
    """The best, at least so many, with all that equal the last."""
    if wanted < len(docs):
        # Mostly enough are near the best, and only those need to be put in order.
        near = scores >= _NEAR * scores.max()
        if np.count_nonzero(near) >= wanted:
            docs, scores = docs[near], scores[near]
    if wanted < len(docs):
        least = np.partition(scores, len(scores) - wanted)[len(scores) - wanted]
        kept = scores >= least
        docs, scores = docs[kept], scores[kept]
    order = np.lexsort((docs, -scores))
    return [(int(doc), float(score)) for doc, score in zip(docs[order], scores[order], strict=True)]


@lru_cache(maxsize=16)
def _gains(mean_length: float) -> Scores:
    """What a posting adds at weight 1, by class and length code: BM25's saturated frequency."""
    gains = np.empty(len(CLASS_FREQUENCY) << _CODE_BITS)
    for kind, frequency in enumerate(CLASS_FREQUENCY):
        for code in range(LENGTH_CODES):
            norm = norm_of(length_of_code(code), mean_length)
            gains[kind << _CODE_BITS | code] = frequency * (K1 + 1) / (frequency + norm)
    gains.flags.writeable = False
    return gains
