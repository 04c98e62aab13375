"""The final rank: how well the text matches, times what the reader thinks of its source (SPEC, Search)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Weights:
    """By distance (a stranger has None), and how much of a score age can take away at most."""

    distance: Mapping[int | None, float] = field(
        default_factory=lambda: {0: 1.0, 1: 1.0, 2: 0.9, 3: 0.8, None: 0.6}
    )
    age_share: float = 0.1
    half_life_days: float = 365.0


DEFAULT_WEIGHTS = Weights()
_AGELESS = frozenset({"page", "file"})


@dataclass(frozen=True, slots=True)
class Rank:
    """Each factor of a hit's score, for `--explain`."""

    text: float
    distance: float
    freshness: float

    @property
    def score(self) -> float:
        return self.text * self.distance * self.freshness

    def explained(self) -> dict[str, float]:
        return {"text": self.text, "distance": self.distance, "freshness": self.freshness}


def rank(
    text: float,
    *,
    distance: int | None,
    kind: str,
    claimed: int,
    received: int,
    now: int,
    weights: Weights = DEFAULT_WEIGHTS,
) -> Rank:
    """The rank of a hit; times in ms. Age counts from the earlier of claimed and first-seen time, and not at
    all for pages and files."""
    trust = weights.distance.get(distance, weights.distance[None])
    if kind in _AGELESS:
        return Rank(text, trust, 1.0)
    days = max(0, now - min(claimed, received)) / DAY_MS
    fresh = 1.0 - weights.age_share * (1.0 - 0.5 ** (days / weights.half_life_days))
    return Rank(text, trust, fresh)
