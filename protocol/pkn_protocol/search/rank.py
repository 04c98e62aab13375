"""The final rank: how well the text matches, times what the reader thinks of its source (SPEC, Search)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from pkn_protocol.records.model import Item, Record
from pkn_protocol.search.believed import counted_sketch
from pkn_protocol.trust.graph import HANDED_ON

DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Weights:
    """By distance (a stranger has None), and how much of a score age can take away at most.

    `claim`: what a stranger's summary counts that claims a long text nobody here has seen; `in_vain`: what a
    summary counts whose text its author turns out not to have. `crowd`: so many
    people a voucher may lift to the full factor of their distance; of more, each gets a part of what lifts
    them above strangers. `ratings`: what they may add to a score or take from it, at most.
    """

    distance: Mapping[int | None, float] = field(
        default_factory=lambda: {0: 1.0, 1: 1.0, 2: 0.9, 3: 0.8, None: 0.6}
    )
    claim: float = 0.001
    in_vain: float = 0.5
    crowd: float = 8.0
    ratings: float = 0.2
    age_share: float = 0.1
    half_life_days: float = 365.0

    def most(self, *, rated: bool = True) -> float:
        """The greatest factor that a text score can be multiplied by; `rated`: whether there are ratings."""
        return max(self.distance.values()) * (1.0 + self.ratings if rated else 1.0)


MUCH_STEMS = 256
"""Distinct stems of some two pages of text."""
DEFAULT_WEIGHTS = Weights()
_NEITHER, _BEST = 3, 5
"""Of the values of ratings, 1 to 5."""
_AGELESS = frozenset({"page", "file"})


@dataclass(frozen=True, slots=True)
class Rank:
    """Each factor of a hit's score, for `--explain`."""

    text: float
    distance: float
    crowd: float
    freshness: float
    claim: float = 1.0
    ratings: float = 1.0

    @property
    def score(self) -> float:
        return self.text * self.distance * self.crowd * self.ratings * self.freshness * self.claim

    def explained(self) -> dict[str, float]:
        """The factors by name; their product is the score."""
        return {
            "text": self.text,
            "distance": self.distance,
            "crowd": self.crowd,
            "ratings": self.ratings,
            "freshness": self.freshness,
            "claim": self.claim,
        }


def rank(
    text: float,
    *,
    distance: int | None,
    kind: str,
    claimed: int,
    received: int,
    now: int,
    weight: float | None = None,
    claimed_long: bool = False,
    asked_in_vain: bool = False,
    ratings: Iterable[tuple[float, int]] = (),
    weights: Weights = DEFAULT_WEIGHTS,
) -> Rank:
    """The rank of a hit; times in ms. Age counts from the earlier of claimed and first-seen time, and not at
    all for pages and files. `weight` is the author's in the graph (`trust.graph.weights`), where it is known.
    `claimed_long`: the reader trusts somebody, and a stranger's summary claims a long text that is not here.
    `asked_in_vain`: who signed it was asked for the text again and again, and has none, or another one.
    `ratings`: the weight of each person whose rating of the item counts, and the value, 1 to 5.
    """
    by_distance = weights.distance.get(distance, weights.distance[None])
    crowd = _crowd(by_distance, distance, weight, weights)
    claim = weights.in_vain if asked_in_vain else 1.0
    if claimed_long and distance is None:
        claim = weights.claim
    rated = _rated(ratings, weights)
    if kind in _AGELESS:
        return Rank(text, by_distance, crowd, 1.0, claim, rated)
    days = max(0, now - min(claimed, received)) / DAY_MS
    fresh = 1.0 - weights.age_share * (1.0 - 0.5 ** (days / weights.half_life_days))
    return Rank(text, by_distance, crowd, fresh, claim, rated)


def claims_much(record: Record) -> bool:
    """Whether a sketch says that a text has more stems than a page: what a list of frequent words would say
    too, and no reader can tell before the text is there."""
    item = record.body
    if not isinstance(item, Item) or item.sketch is None:
        return False
    return int.from_bytes(item.sketch[2:4], "big") > MUCH_STEMS and counted_sketch(item) is not None


def _rated(ratings: Iterable[tuple[float, int]], weights: Weights) -> float:
    """What an item's ratings make of its score: their weighted mean, as if one trusted person more had found
    it neither good nor bad."""
    lean, whole = 0.0, 1.0
    for weight, value in ratings:
        lean += weight * (value - _NEITHER) / (_BEST - _NEITHER)
        whole += weight
    return 1.0 + weights.ratings * lean / whole


def _crowd(by_distance: float, distance: int | None, weight: float | None, weights: Weights) -> float:
    """What brings somebody from a crowd behind one voucher nearer to a stranger's factor."""
    if weight is None or distance is None or distance < 2:
        return 1.0
    # What the only person that a voucher vouches for would weigh is 1 here, one of n is 1/n.
    part = weight / HANDED_ON ** (distance - 1)
    stranger = weights.distance[None]
    lifted = stranger + (by_distance - stranger) * min(1.0, part * weights.crowd)
    return lifted / by_distance
