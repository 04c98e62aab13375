"""Whom to choose as neighbours, and who goes when there are too many (SPEC, Gossip): decisions without times.

After HyParView (Leitão, Pereira, Rodrigues 2007): a small active view whose links carry everything, and a
passive one of candidates that replace what is lost. The passive view is not shuffled from neighbour to
neighbour: addresses come signed, with the records of devices, and from the local network, so that nobody can
fill it with inventions.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from pkn_protocol.records.ids import AuthorId

Key = TypeVar("Key", bound=Hashable)
"""A device, or whatever its owner knows of one that was not recognised yet."""
HOLDERS = 2
"""Neighbours that are to hold each wanted author."""


@dataclass(frozen=True, slots=True)
class ViewLimits:
    """Numbers of neighbours; times in seconds."""

    full: int = 32
    """As long as there are no more that can be had, all are neighbours: a local network of people."""
    target: int = 16
    """Neighbours that are looked for beyond; 5 keep a random graph of 10,000 together when half of it dies
    (HyParView), and records have half as far to go with 16."""
    most: int = 32
    """Neighbours at all, those who dialled included."""
    dials: int = 8
    """Tries under way at a time."""
    exchange_every: float = 300.0
    """A random link is exchanged, so that halves of a network that was divided find each other though all
    places are taken."""
    exchange_when_lacking: float = 30.0
    """So soon as long as a wanted author is held by no neighbour, though somebody is known who does."""


@dataclass(frozen=True, slots=True)
class Candidate(Generic[Key]):
    """Somebody who may become a neighbour. `holds`: authors that are to be had there, as far as is known."""

    key: Key
    trusted: bool = False
    near: bool = False
    holds: frozenset[AuthorId] = frozenset()


class Neighbourhood(Generic[Key]):
    """`chance` gives numbers from 0 to 1, 1 excluded."""

    def __init__(self, *, chance: Callable[[], float], limits: ViewLimits | None = None) -> None:
        self.limits = limits or ViewLimits()
        self._chance = chance
        self._wanted: frozenset[AuthorId] = frozenset()
        self._neighbours: dict[Key, Candidate[Key]] = {}
        self._exchange_at: float | None = None
        self._newcomers: set[Key] = set()

    @property
    def neighbours(self) -> Collection[Key]:
        return self._neighbours.keys()

    def wanted(self, authors: Collection[AuthorId]) -> None:
        """Of each of these authors two neighbours are to hold the records."""
        self._wanted = frozenset(authors)

    def describe(self, candidate: Candidate[Key]) -> None:
        """A neighbour is another than before: trusted, or holding more."""
        if candidate.key in self._neighbours:
            self._neighbours[candidate.key] = candidate

    def connected(self, candidate: Candidate[Key]) -> Key | None:
        """A neighbour is there, whoever dialled. Who is to go for it."""
        self._neighbours[candidate.key] = candidate
        if candidate.key in self._newcomers:
            self._newcomers.discard(candidate.key)
            if len(self._neighbours) > self.limits.target:
                return self._least_useful(spared=candidate.key)
        if len(self._neighbours) > self.limits.most:
            return self._least_useful(spared=None)
        return None

    def disconnected(self, key: Key) -> None:
        self._neighbours.pop(key, None)

    def gave_up(self, key: Key) -> None:
        """One that was chosen could not be reached."""
        self._newcomers.discard(key)

    def choose(
        self, ready: Sequence[Candidate[Key]], under_way: Collection[Candidate[Key]], others: int, now: float
    ) -> list[Key]:
        """Whom to dial now of those that may be; `others` can be had later."""
        limits = self.limits
        room = limits.dials - len(under_way)
        if len(self._neighbours) + len(ready) + len(under_way) + others > limits.full:
            places = limits.target - len(self._neighbours) - len(under_way)
            room = min(room, places)
            if places <= 0 and ready and not under_way:
                newcomer = self._exchanged(ready, now)
                self._newcomers = set() if newcomer is None else {newcomer}
                return [] if newcomer is None else [newcomer]
        return self._pick(list(ready), under_way, room) if room > 0 else []

    def next_exchanges(self, now: float) -> tuple[float, float]:
        """When `choose` may find one more than before, though nothing else happened: where a wanted author is
        lacking, and where not."""
        if self._exchange_at is None:
            self._exchange_at = now + self.limits.exchange_every
        early = max(0.0, self.limits.exchange_every - self.limits.exchange_when_lacking)
        return self._exchange_at - early, self._exchange_at

    def _exchanged(self, ready: Sequence[Candidate[Key]], now: float) -> Key | None:
        """For whom a neighbour is to go: who holds what no neighbour does, else anybody. None: not yet."""
        held = self._held(self._neighbours.values())
        gains = [(sum(a not in held for a in c.holds & self._wanted), self._chance(), c.key) for c in ready]
        gain, _, best = max(gains, key=lambda entry: entry[:2])
        early, late = self.next_exchanges(now)
        if now < (early if gain else late):
            return None
        self._exchange_at = now + self.limits.exchange_every
        return best if gain else ready[int(self._chance() * len(ready))].key

    def _pick(self, ready: list[Candidate[Key]], under_way: Iterable[Candidate[Key]], room: int) -> list[Key]:
        """A quarter of the places for devices of trusted authors, up to half in all for wanted authors that
        too few hold, the rest by chance."""
        chosen: list[Key] = []
        taken = [*self._neighbours.values(), *under_way]
        held = self._held(taken)
        trusted = sum(candidate.trusted for candidate in taken)
        while len(chosen) < room and ready:
            candidate = self._best(ready, held, trusted, len(taken) + len(chosen))
            ready.remove(candidate)
            chosen.append(candidate.key)
            trusted += candidate.trusted
            for author in candidate.holds & self._wanted:
                held[author] = held.get(author, 0) + 1
        return chosen

    def _best(
        self, ready: list[Candidate[Key]], held: dict[AuthorId, int], trusted: int, taken: int
    ) -> Candidate[Key]:
        friends = [candidate for candidate in ready if candidate.trusted]
        if friends and trusted < self.limits.target // 4:
            return friends[int(self._chance() * len(friends))]
        if taken < self.limits.target // 2:
            gain, _, best = max(
                ((self._lacking(c, held), self._chance(), c) for c in ready), key=lambda entry: entry[:2]
            )
            if gain:
                return best
        return ready[int(self._chance() * len(ready))]

    def _lacking(self, candidate: Candidate[Key], held: dict[AuthorId, int]) -> int:
        """Wanted authors that too few neighbours hold and this one does."""
        return sum(held.get(author, 0) < HOLDERS for author in candidate.holds & self._wanted)

    def _held(self, candidates: Iterable[Candidate[Key]]) -> dict[AuthorId, int]:
        """How many of these hold each wanted author."""
        held: dict[AuthorId, int] = {}
        for candidate in candidates:
            for author in candidate.holds & self._wanted:
                held[author] = held.get(author, 0) + 1
        return held

    def _least_useful(self, spared: Key | None) -> Key | None:
        """By chance among strangers, then those who hold nothing that others do not, then the others; of
        trusted authors only what exceeds their quarter."""
        candidates = [c for c in self._neighbours.values() if c.key != spared]
        if not candidates:
            return None
        held = self._held(self._neighbours.values())
        trusted = sum(candidate.trusted for candidate in candidates)
        ranked = [(self._use(c, held, trusted), self._chance(), c.key) for c in candidates]
        return min(ranked, key=lambda entry: entry[:2])[2]

    def _use(self, candidate: Candidate[Key], held: dict[AuthorId, int], trusted: int) -> int:
        if candidate.trusted and trusted <= self.limits.target // 4:
            return 3
        if any(held[author] <= HOLDERS for author in candidate.holds & self._wanted):
            return 2
        return 1 if candidate.near or candidate.trusted else 0
