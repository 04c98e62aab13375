"""Standing queries: which of many an item matches on its arrival (SPEC, Search, Standing queries)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Mapping
from typing import Generic, TypeVar

from pkn_protocol.search.documents import Terms, has_words
from pkn_protocol.search.query import Query

K = TypeVar("K", bound=Hashable)


class StandingQueries(Generic[K]):
    """Queries by name, looked up by the stems of an item: those that share none with it cost nothing.

    A query of None has filters and no words; every item matches its words.
    """

    def __init__(self, queries: Mapping[K, Query | None]) -> None:
        self._queries = dict(queries)
        self._wordless = {key for key, query in queries.items() if query is None}
        self._by_stem: dict[int, set[K]] = defaultdict(set)
        for key, query in queries.items():
            for term in () if query is None else query.terms:
                for stem in term.stems:
                    self._by_stem[stem].add(key)

    def matching(self, terms: Terms, lang: str) -> list[K]:
        """The queries whose words an item has, in the order in which they were given.

        The same as asking `documents.text_score` of each: any word, all words of phrases, none that is
        excluded. Filters, and whether the words of a phrase follow one another, are for the caller.
        """
        near = set(self._wordless)
        for stem in self._by_stem.keys() & terms.classes.keys():
            near |= self._by_stem[stem]
        return [
            key
            for key, query in self._queries.items()
            if key in near and (query is None or has_words(query, terms, lang))
        ]
