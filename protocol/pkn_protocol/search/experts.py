"""Who knows about something: people by what they have published on it (SPEC, Search, Who knows what)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pkn_protocol.records.ids import AuthorId, Cid

FADING = 0.7
"""What each further item of a person counts of the one before: knowledge shows in several, and many weak
matches do not outweigh a few good ones (a person's sum is at most 3.3 times their best)."""


ASKED = 10
"""So many of those who know most about a question see it in their news."""
LEAST_SHARE = 0.25
"""Of what the best of them knows: one word in passing is not knowledge beside a book."""


@dataclass(frozen=True, slots=True)
class Expert:
    """A person, how much they seem to know, and the items that say so, best first."""

    author: AuthorId
    score: float
    items: tuple[Cid, ...]


def experts(hits: Iterable[tuple[AuthorId, Cid, float]]) -> list[Expert]:
    """People by what they published; `hits` are (author, item, final rank) by falling rank."""
    found: dict[AuthorId, list[tuple[Cid, float]]] = defaultdict(list)
    for author, item, score in hits:
        found[author].append((item, score))
    ranked = [
        Expert(
            author,
            sum(score * FADING**number for number, (_, score) in enumerate(items)),
            tuple(item for item, _ in items),
        )
        for author, items in found.items()
    ]
    return sorted(ranked, key=lambda one: (-one.score, one.author))


def may_know(ranked: Sequence[Expert], reader: AuthorId, asker: AuthorId) -> bool:
    """Whether a question is for its reader; `ranked` are all who published on it, best first.

    The asker is no expert on what they ask.
    """
    others = [one for one in ranked if one.author != asker][:ASKED]
    return any(one.author == reader and one.score >= LEAST_SHARE * others[0].score for one in others)
