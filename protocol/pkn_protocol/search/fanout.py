"""Asking others: whom, in which order, how many at once, and when enough is known (SPEC, Search).

A machine without I/O: its owner tells what happened and when, and carries out the effects.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from pkn_protocol.records.ids import AuthorId, Cid, DeviceId

MOST_NODES = 32
MOST_BYTES = 64 * 1024
MOST_HOPS = 2
"""The whole budget of a query, whoever forwards it."""
AT_ONCE = 8
LEAST_PATIENCE_MS = 25.0
"""How long the slowest answer is waited for at least, beyond what its distance explains."""
UNKNOWN_RTT_MS = 60.0
NOBODY_YET_MS = 1000.0
"""While nobody has answered, the first answer is waited for so long."""
_RTT_FACTOR = 4.0
_SETTLED_ANSWERS = 2
"""So many answers in a row that change nothing, and those that are overdue are not waited for."""


@dataclass(frozen=True, slots=True)
class Budget:
    """What a query may still cost: nodes that answer, bytes of answers, hops to go."""

    nodes: int = MOST_NODES
    bytes: int = MOST_BYTES
    hops: int = MOST_HOPS

    def divided(self, parts: int) -> Budget:
        """What each of `parts` peers may spend: one node is the peer itself, one hop the way to it."""
        each = max(1, parts)
        return Budget(max(0, self.nodes // each - 1), self.bytes // each, max(0, self.hops - 1))


@dataclass(frozen=True, slots=True)
class Candidate:
    """A peer that may be asked. `promise`: the sum of local scores of documents it probably holds;
    `unknown`: it holds things whose summaries are not here; `silences`: queries it left unanswered lately."""

    device: DeviceId
    author: AuthorId
    distance: int | None
    promise: float
    unknown: bool
    rtt_ms: float | None
    silences: int = 0


@dataclass(frozen=True, slots=True)
class AskPeer:
    device: DeviceId
    budget: Budget


@dataclass(frozen=True, slots=True)
class TopChanged:
    """Something new stands among the first; worth showing."""


@dataclass(frozen=True, slots=True)
class Finished:
    """`complete`: everybody who was asked answered, or nothing that they could add would matter."""

    complete: bool


Effect: TypeAlias = AskPeer | TopChanged | Finished


@dataclass(slots=True)
class _Asked:
    since: float
    due: float
    answered: bool = False


@dataclass(slots=True)
class FanOut:
    """One query. Times are in milliseconds of any clock that only goes forward."""

    limit: int
    scores: dict[Cid, float]
    budget: Budget = field(default_factory=Budget)
    sources: dict[Cid, set[DeviceId]] = field(default_factory=dict)
    finished: bool = False
    _waiting: list[Candidate] = field(default_factory=list)
    _asked: dict[DeviceId, _Asked] = field(default_factory=dict)
    _slowest: float = 0.0
    _unchanged: int = 0
    _parts: int = 1

    def start(self, candidates: Iterable[Candidate], now: float) -> list[Effect]:
        """Begin with the local scores that were given, and the peers there are."""
        ordered = sorted(candidates, key=_order)
        self._waiting = ordered[: self.budget.nodes]
        self._parts = max(1, len(self._waiting))
        return self._go_on(now)

    def answered(self, device: DeviceId, scores: Mapping[Cid, float], now: float) -> list[Effect]:
        """A peer has answered for good; `scores` were computed here from what it sent."""
        asked = self._asked.get(device)
        if asked is None or asked.answered or self.finished:
            return []
        asked.answered = True
        self._slowest = max(self._slowest, now - asked.since)
        before = self.top()
        for cid, score in scores.items():
            self.scores[cid] = max(score, self.scores.get(cid, 0.0))
            self.sources.setdefault(cid, set()).add(device)
        changed = self.top() != before
        self._unchanged = 0 if changed else self._unchanged + 1
        effects: list[Effect] = [TopChanged()] if changed else []
        return effects + self._go_on(now)

    def failed(self, device: DeviceId, now: float) -> list[Effect]:
        """A peer cannot answer: it left, or refused."""
        asked = self._asked.get(device)
        if asked is None or self.finished:
            return []
        asked.answered = True
        return self._go_on(now)

    def tick(self, now: float) -> list[Effect]:
        """Time has passed."""
        return [] if self.finished else self._go_on(now)

    def stop(self) -> list[Effect]:
        """The deadline passed, or the asker has seen enough."""
        if self.finished:
            return []
        self.finished = True
        return [Finished(complete=False)]

    def wake_at(self, now: float) -> float | None:
        """When `tick` should be called if nothing happens before; None when nobody is waited for."""
        waited_for = [asked for asked in self._asked.values() if not asked.answered]
        if not waited_for:
            return None
        times = [*map(self._due, waited_for), self._give_up_at(waited_for)]
        return min((time for time in times if time > now), default=now)

    def top(self) -> list[Cid]:
        ordered = sorted(self.scores.items(), key=lambda entry: (-entry[1], entry[0]))
        return [cid for cid, score in ordered[: self.limit] if score > 0]

    @property
    def asked(self) -> int:
        return len(self._asked)

    @property
    def answers(self) -> int:
        return sum(asked.answered for asked in self._asked.values())

    def silent(self) -> list[DeviceId]:
        """Those who were asked and have not answered."""
        return [device for device, asked in self._asked.items() if not asked.answered]

    def _go_on(self, now: float) -> list[Effect]:
        effects: list[Effect] = []
        open_now = [asked for asked in self._asked.values() if not asked.answered]
        late = [asked for asked in open_now if now >= self._due(asked)]
        while self._waiting and len(open_now) - len(late) < AT_ONCE:
            candidate = self._waiting.pop(0)
            rtt = UNKNOWN_RTT_MS if candidate.rtt_ms is None else candidate.rtt_ms
            patience = max(LEAST_PATIENCE_MS, _RTT_FACTOR * rtt)
            asked = _Asked(now, now + patience)
            self._asked[candidate.device] = asked
            open_now.append(asked)
            effects.append(AskPeer(candidate.device, self.budget.divided(self._parts)))
        if self._waiting:
            return effects
        if not open_now:
            self.finished = True
            return [*effects, Finished(complete=True)]
        settled = self.answers > 0 and self._unchanged >= _SETTLED_ANSWERS
        if (settled and len(late) == len(open_now)) or now >= self._give_up_at(open_now):
            self.finished = True
            return [*effects, Finished(complete=False)]
        return effects

    def _due(self, asked: _Asked) -> float:
        # Whoever is as fast as the slowest so far has answered by then.
        return max(asked.due, asked.since + 1.5 * self._slowest)

    def _give_up_at(self, waited_for: list[_Asked]) -> float:
        """When even an unsettled query stops waiting."""
        if self.answers == 0:
            return max(asked.since for asked in waited_for) + NOBODY_YET_MS
        return max(2 * self._due(asked) - asked.since for asked in waited_for)


def _order(candidate: Candidate) -> tuple[int, float, bool, int, float, bytes]:
    return (
        candidate.silences,
        -candidate.promise,
        not candidate.unknown,
        99 if candidate.distance is None else candidate.distance,
        candidate.rtt_ms or 0.0,
        candidate.device,
    )


class SeenQueries:
    """The ids of queries that were answered lately; a query that comes round again is not answered twice."""

    def __init__(self, most: int = 4096) -> None:
        self._most = most
        self._seen: dict[bytes, None] = {}

    def is_new(self, query_id: bytes) -> bool:
        if query_id in self._seen:
            return False
        self._seen[query_id] = None
        while len(self._seen) > self._most:
            del self._seen[next(iter(self._seen))]
        return True
