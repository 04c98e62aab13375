"""Shapes of `/v1/query`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from pkn_protocol.control.kinds import Kind
from pkn_protocol.control.summaries import ItemSummary

DEFAULT_HITS = 10
MOST_HITS = 200
DEFAULT_TIMEOUT_MS = 5_000
MOST_TIMEOUT_MS = 60_000


class Scope(StrEnum):
    """Who is asked beside our own disk."""

    LOCAL = "local"
    HORIZON = "horizon"
    EVERYONE = "everyone"


@dataclass(frozen=True, slots=True)
class QueryRequest:
    """`query` as typed: words, "a phrase", -without; `since` in ms since the epoch. `each`: copies and
    cuttings of one text are results of their own."""

    query: str
    tags: tuple[str, ...] = ()
    author: str | None = None
    kind: Kind | None = None
    since: int | None = None
    limit: int = DEFAULT_HITS
    scope: Scope = Scope.HORIZON
    explain: bool = False
    each: bool = False
    timeout_ms: int = DEFAULT_TIMEOUT_MS


@dataclass(frozen=True, slots=True)
class Mark:
    """A matched word in `passage`, in code points: `start` inclusive, `end` exclusive."""

    start: int
    end: int


MOST_VARIANTS = 50
"""A text that was copied a thousand times makes no answer of megabytes."""


@dataclass(frozen=True, slots=True)
class Variant(ItemSummary):
    """Another item with the same text as a hit: `likeness` is same, near-duplicate or cutting."""

    score: float
    likeness: str


@dataclass(frozen=True, slots=True)
class Hit(ItemSummary):
    """`explain` holds the factors of the score by name, when asked for; their product is the score.
    `confirmed`: the phrases that were asked for are in its text, title or excerpt, as was seen here or as
    somebody says who holds it; otherwise only their words are known to be in it. `variants` are other matches
    that are the same text, best first, MOST_VARIANTS at most."""

    score: float
    passage: str | None = None
    marks: tuple[Mark, ...] = ()
    explain: Mapping[str, float] | None = None
    variants: tuple[Variant, ...] = ()
    confirmed: bool = True


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A `word` that nothing here has, in its normal form; what may have been meant `instead`, as it was
    written in one of so many `documents`."""

    word: str
    instead: str
    documents: int


@dataclass(frozen=True, slots=True)
class QueryResult:
    """`complete`: all who were asked answered before the deadline, but for those whose summaries are known
    here and whose answer could not change the top any more; so `peers_answered` may be fewer. `hint` says why
    nothing was found, or less than was meant, where the question itself is the reason; `did_you_mean`, in the
    final result alone, what may have been meant by words that nothing has."""

    query: str
    complete: bool
    peers_known: int
    peers_asked: int
    peers_answered: int
    elapsed_ms: float
    hits: tuple[Hit, ...]
    hint: str = ""
    did_you_mean: tuple[Suggestion, ...] = ()
