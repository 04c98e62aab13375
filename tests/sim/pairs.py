"""The secrets of pairs of devices, and what authors are called under them: found once for both ends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from pkn_protocol.records.ids import AuthorId
from pkn_protocol.sync.wants import PairKey
from tests.sim.people import Author


@dataclass(frozen=True, slots=True)
class KnownPair(PairKey):
    """Remembers its hashes."""

    _hashes: dict[AuthorId, bytes] = field(default_factory=dict, compare=False, repr=False)

    def hash(self, author: AuthorId) -> bytes:
        found = self._hashes.get(author)
        if found is None:
            found = self._hashes[author] = PairKey.hash(self, author)
        return found


class Pairs:
    """Of all nodes, by their numbers."""

    def __init__(self, authors: Sequence[Author]) -> None:
        self._authors = authors
        self._pairs: dict[tuple[int, int], KnownPair] = {}

    def of(self, one: int, other: int) -> PairKey:
        ends = (min(one, other), max(one, other))
        found = self._pairs.get(ends)
        if found is None:
            mine, theirs = (self._authors[end] for end in ends)
            found = self._pairs[ends] = KnownPair(PairKey.of(mine.device_key, theirs.device).secret)
        return found
