"""What is like an item: a query made of its own most telling stems (SPEC, Search, Related items)."""

from __future__ import annotations

from collections.abc import Mapping

from pkn_protocol.search.query import Query, Term
from pkn_protocol.search.scoring import Statistics
from pkn_protocol.text.sketch import CLASS_FREQUENCY

MOST_TELLING = 24
"""Stems that are looked for: what an item is about shows in fewer, and each costs a look into the index."""


def telling_stems(classes: Mapping[int, int], frequencies: Mapping[int, int], documents: int) -> list[int]:
    """An item's stems that tell most about it, by frequency class and rarity.

    `frequencies` says how many documents have a stem; one that no other document has leads nowhere.
    """
    weights = dict(
        zip(
            frequencies,
            Statistics(documents, 1.0, tuple(frequencies.values())).weights(),
            strict=True,
        )
    )
    known = [stem for stem in classes if frequencies.get(stem, 0) > 1]
    known.sort(key=lambda stem: (-weights[stem] * CLASS_FREQUENCY[classes[stem]] ** 0.5, stem))
    return known[:MOST_TELLING]


def query_of_stems(stems: list[int]) -> Query:
    """A query for any of the stems; it has no words, and so no passages."""
    return Query("", tuple(Term("", frozenset({stem})) for stem in stems))
