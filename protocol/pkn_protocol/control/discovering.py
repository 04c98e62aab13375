"""Shapes of `/v1/who` and `/v1/items/{item}/related`."""

from __future__ import annotations

from dataclasses import dataclass

from pkn_protocol.control.people import Trust
from pkn_protocol.control.summaries import ItemSummary

DEFAULT_EXPERTS = 10
MOST_EXPERTS = 100
DEFAULT_RELATED = 5
MOST_RELATED = 100


@dataclass(frozen=True, slots=True)
class WhoRequest:
    """`query` as in a query: words, "a phrase", -without."""

    query: str
    limit: int = DEFAULT_EXPERTS


@dataclass(frozen=True, slots=True)
class Expert:
    """Somebody who published on a subject: `matching` items of theirs match, `items` are the best of them.

    `score` compares the people of one answer; names as in `ItemSummary`.
    """

    author: str
    author_name: str
    author_claimed: bool
    trust: Trust
    distance: int | None
    score: float
    matching: int
    items: tuple[ItemSummary, ...]


@dataclass(frozen=True, slots=True)
class Experts:
    """Best first; from this machine's disk alone, nobody is asked."""

    query: str
    people: tuple[Expert, ...]


@dataclass(frozen=True, slots=True)
class Related:
    """What is like an item, most alike first."""

    items: tuple[ItemSummary, ...]
