"""The best documents for a query, from the postings alone (SPEC, Search, The text score).

The postings of a query's words are added up in one array of numbers, rarest words first, until what the words
that are left could add at most is less than what the best documents have already (MaxScore: Turtle and Flood,
1995). Then no other document can come among these, and of the frequent words that are left it is only looked
up whether those few have them. It is exact: where more documents are asked for, more words are added up.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from pkn_protocol.number_sets import are_among
from pkn_protocol.search.query import Query, stop_languages
from pkn_protocol.search.scoring import K1, Statistics, norm_of
from pkn_protocol.text.languages import primary
from pkn_protocol.text.sketch import CLASS_FREQUENCY, LENGTH_CODES, length_of_code
from pknd.search.index import IndexReader, languages_of
from pknd.search.postings import Codes, Words, classes_of, documents_of

Scores: TypeAlias = NDArray[np.float64]
_CODE_BITS = 8
_LAST_CODE = (1 << _CODE_BITS) - 1
_FIRST_ASKED = 64
_GROWTH = 8
_NEAR = 0.5
_LOOK = 8
"""To look up a document costs about as much as to add up so many postings …"""
_CHECK = 2
"""… to find out whether it has to be, so many …"""
_SHORT = 8192
"""… and to do either at all, so many."""
_ROUNDING = 1e-9
"""Sums of bounds may be less exact than scores by so much, relatively."""


@dataclass(frozen=True, slots=True)
class _Found:
    """Of a term: documents, each once, and for each its class and length code in one number."""

    docs: Words
    kinds: NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class _Planned:
    """A term's stems, what its weight makes of a posting by class and length code, and how many postings it
    has."""

    stems: frozenset[int]
    gains: Scores
    postings: int


@dataclass(slots=True)
class _Candidates:
    """Documents in ascending order with their length codes and scores so far."""

    docs: Words
    codes: Codes
    scores: Scores

    def where(self, kept: NDArray[np.bool_]) -> _Candidates:
        return _Candidates(self.docs[kept], self.codes[kept], self.scores[kept])

    def that_can_be_among(self, wanted: int, rest: float) -> _Candidates | None:
        """Those that can be among so many best, if no score grows by more than the rest; None where others
        can be among them too."""
        better = self.scores[self.scores > rest]
        if len(better) < wanted:
            return None
        found = self.where(self.scores + rest >= _kth(better, wanted))
        order = np.argsort(found.docs)
        return _Candidates(found.docs[order], found.codes[order], found.scores[order])


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
        self._plan = self._planned(statistics)
        # What the terms from each place on can add to a score at most.
        most = [float(one.gains.max()) for one in self._plan]
        self._rest = [sum(most[place:]) * (1 + _ROUNDING) for place in range(len(most) + 1)]
        sizes = [one.postings for one in self._plan]
        self._left = [sum(sizes[place:]) for place in range(len(sizes) + 1)]
        # Written at once: untouched memory would cost a fault for the first look at each page, and another.
        self._scores: Scores = np.full(self._index.last_document() + 1, 0.0)
        self._added = 0
        self._touched: list[Words] = []
        """Documents with a score, each once, and their length codes."""
        self._codes: list[Codes] = []
        self._leave_out()

    def __iter__(self) -> Iterator[tuple[int, float]]:
        """(document, text score) by falling score, equal ones by number."""
        given, wanted = 0, _FIRST_ASKED
        if self._query.quoted:
            # All words must be there: what one of them says, no other can make up for.
            self._add_all()
            self._require()
        while True:
            best = self._best(wanted)
            yield from best[given:]
            given = len(best)
            if given < wanted:
                return
            wanted *= _GROWTH

    def _planned(self, statistics: Statistics) -> list[_Planned]:
        """The terms by what they can add at most; one that was typed twice counts twice."""
        weights: dict[frozenset[int], float] = defaultdict(float)
        for term, weight in zip(self._query.terms, statistics.weights(), strict=True):
            weights[term.stems] += weight
        gains = _gains(statistics.mean_length)
        ordered = sorted(weights.items(), key=lambda one: -one[1])
        return [
            _Planned(stems, weight * gains, sum(len(self._index.list_of(stem)) for stem in stems))
            for stems, weight in ordered
        ]

    def _best(self, wanted: int) -> list[tuple[int, float]]:
        """So many of the best with all that equal the last, in order; less where there are no more."""
        found = self._candidates(wanted)
        for place in range(self._added, len(self._plan)):
            found = self._looked_up(found, place)
            least = _kth(found.scores, wanted)
            found = found.where(found.scores + self._rest[place + 1] >= least)
        return _ordered(found, wanted)

    def _candidates(self, wanted: int) -> _Candidates:
        """Those that can be among so many best; of the words that are left none brings another."""
        while self._added < len(self._plan):
            left, touched = self._left[self._added], sum(map(len, self._touched))
            if wanted <= touched and _SHORT + _CHECK * touched < left:
                found = self._so_far().that_can_be_among(wanted, self._rest[self._added])
                if found is not None and _SHORT + _LOOK * len(found.docs) < left:
                    return found
            self._add(self._plan[self._added])
            self._added += 1
        return self._so_far()

    def _so_far(self) -> _Candidates:
        if len(self._touched) != 1:
            self._touched = [np.concatenate([*self._touched, np.zeros(0, np.uint32)])]
            self._codes = [np.concatenate([*self._codes, np.zeros(0, np.uint8)])]
        return _Candidates(self._touched[0], self._codes[0], self._scores[self._touched[0]])

    def _add(self, one: _Planned) -> None:
        found = self._find(one.stems)
        # NumPy's own kind of index, made once for both ways.
        places = found.docs.astype(np.intp)
        before = self._scores[places]
        # Each document occurs once in a term, so that plain addition by index is right.
        self._scores[places] = before + one.gains[found.kinds]
        new = before == 0.0
        self._touched.append(found.docs[new])
        self._codes.append((found.kinds[new] & _LAST_CODE).astype(np.uint8))

    def _add_all(self) -> None:
        for one in self._plan[self._added :]:
            self._add(one)
        self._added = len(self._plan)

    def _looked_up(self, found: _Candidates, place: int) -> _Candidates:
        """The same with what a term adds that has not been added up."""
        one = self._plan[place]
        kinds = np.full(len(found.docs), -1, np.intp)
        for stem in one.stems:
            held, entries = self._index.list_of(stem).among(found.docs)
            kinds = np.where(held, np.maximum(kinds, classes_of(entries).astype(np.intp)), kinds)
        held = kinds >= 0
        scores = found.scores.copy()
        scores[held] += one.gains[kinds[held] << _CODE_BITS | found.codes[held]]
        return replace(found, scores=scores)

    def _leave_out(self) -> None:
        """What was excluded, or is no more, comes to no score."""
        for term in self._query.excluded:
            docs = self._find(term.stems).docs
            self._scores[docs] = -np.inf
        self._scores[np.fromiter(self._index.forgotten, np.int64)] = -np.inf

    def _require(self) -> None:
        """Only what has all the words of phrases is left."""
        whole = self._so_far()
        kept = np.ones(len(whole.docs), np.bool_)
        for term in self._query.quoted:
            held = np.zeros(len(self._scores), np.bool_)
            held[self._find(term.stems).docs] = True
            lacking = whole.docs[kept & ~held[whole.docs]]
            stop = stop_languages(term.word)
            if stop and len(lacking):
                # No sketch has stop words: only of a text in another language it is said that it lacks this.
                langs = languages_of(self._db, [int(doc) for doc in lacking])
                lacking = np.array(
                    [doc for doc, lang in langs.items() if primary(lang) not in stop], np.uint32
                )
            kept &= ~are_among(whole.docs, lacking)
        self._touched, self._codes = [whole.docs[kept]], [whole.codes[kept]]

    def _find(self, stems: frozenset[int]) -> _Found:
        parts = [held for stem in stems for held in self._index.list_of(stem).postings()]
        if not parts:
            return _Found(np.zeros(0, np.uint32), np.zeros(0, np.intp))
        entries = np.concatenate([entries for entries, _ in parts])
        codes = np.concatenate([codes for _, codes in parts])
        docs = documents_of(entries)
        kinds = classes_of(entries).astype(np.intp) << _CODE_BITS | codes
        if len(stems) == 1 or len(parts) == 1:
            return _Found(docs, kinds)
        # One word is scored once, by the best of its stems: of equal documents the highest class comes last.
        order = np.argsort(docs.astype(np.uint64) << np.uint64(16) | kinds.astype(np.uint64))
        docs, kinds = docs[order], kinds[order]
        last = np.append(docs[1:] != docs[:-1], True)
        return _Found(docs[last], kinds[last])


def _kth(scores: Scores, wanted: int) -> float:
    """The least of so many greatest; of less than that, less than any."""
    if len(scores) < wanted:
        return -np.inf
    return float(np.partition(scores, len(scores) - wanted)[len(scores) - wanted])


def _ordered(found: _Candidates, wanted: int) -> list[tuple[int, float]]:
    """The best, at least so many, with all that equal the last."""
    docs, scores = found.docs, found.scores
    if wanted < len(docs):
        # Mostly enough are near the best, and only those need to be put in order.
        near = scores >= _NEAR * scores.max()
        if np.count_nonzero(near) >= wanted:
            docs, scores = docs[near], scores[near]
    kept = scores >= _kth(scores, wanted)
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
