"""How long those who were asked are waited for: until when an answer would be worth it (SPEC, Search)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from enum import Enum, auto

from pkn_protocol.records.ids import AuthorId, DeviceId

LEAST_PATIENCE_MS = 25.0
"""How long an answer is waited for at least: a busy machine's answer takes that long."""
UNKNOWN_RTT_MS = 60.0
NOBODY_YET_MS = 1000.0
"""While nobody has answered, the first answer that could change the top is waited for so long."""
CONFIRMING_MS = 1000.0
"""How long after its start a query waits for those who can say whether texts have the phrases, which they
read for it."""
SLOW_TO_CONFIRM_MS = 500.0
"""Who takes longer to say so is not waited for on that account the next time."""
_RTT_FACTOR = 4.0
"""An answer costs a round trip and the work; while nobody has shown how long that is, so many are ample."""
_SLOWEST_FACTOR = 1.15
"""Whoever may know something new is given a little longer than the answers so far explain."""
_NEWS_TRIPS = 2.0
"""What is not here yet takes two round trips: the answer, and the record behind it."""
_LAST_FACTOR = 2.0
"""While answers still change the top, an overdue peer is waited for so many times its patience."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A peer that may be asked.

    `promise`: the sum of local scores of documents that it probably holds; `unknown`: it may hold things
    whose summaries are not here; `rtt_ms` None: not measured yet; `silences`: queries that it left unanswered
    lately, one after the other; `confirms`: it probably has texts without which phrases are not confirmed;
    `slow`: it held the last query that waited for it to confirm them.
    """

    device: DeviceId
    author: AuthorId
    distance: int | None
    promise: float
    unknown: bool
    rtt_ms: float | None
    silences: int = 0
    confirms: bool = False
    slow: bool = False


class State(Enum):
    WAITED_FOR = auto()
    ANSWERED = auto()
    FAILED = auto()


@dataclass(slots=True)
class Asked:
    """A peer that was asked, and what has become of it."""

    candidate: Candidate
    since: float
    state: State = State.WAITED_FOR
    parts: int = 0
    more_until: float = 0.0


@dataclass(slots=True)
class Patience:
    """Of one query. Times are in milliseconds of its clock."""

    answers: int = 0
    """How many peers have said all that they have to say."""
    unconfirmed: Collection[AuthorId] | None = None
    """Whose texts are not confirmed yet; None: those of all who can confirm something."""
    confirming_until: float = 0.0
    slow: dict[DeviceId, bool] = field(default_factory=dict)
    """See `FanOut.slow`."""
    _slowest: float = 0.0
    _took: list[tuple[float, float]] = field(default_factory=list)
    """Of each answer the time, and the round trip to its sender."""

    def begin(self, now: float) -> None:
        """The query begins."""
        # One end for all: peers who are asked one after the other would each hold the query so long.
        self.confirming_until = now + CONFIRMING_MS

    def learn(self, asked: Asked, now: float, *, more: bool) -> None:
        """A part of an answer comes; one that is the whole says how long answers take."""
        if asked.parts:
            return
        took, peer = now - asked.since, asked.candidate
        late = now > self.overdue_at(asked)
        if peer.confirms:
            self.slow[peer.device] = late and (self.may_confirm(peer) or took > SLOW_TO_CONFIRM_MS)
        # Who was late and could confirm something has read a text meanwhile: others need not take so long.
        if more or (late and peer.confirms):
            return
        self._slowest = max(self._slowest, took)
        self._took.append((took, peer.rtt_ms or 0.0))

    def may_confirm(self, candidate: Candidate) -> bool:
        """Whether a peer can say of texts that they have the phrases, and nobody has said it yet."""
        return candidate.confirms and (self.unconfirmed is None or candidate.author in self.unconfirmed)

    def due(self, asked: Asked) -> float:
        """When a peer is overdue, where it is waited for to confirm phrases too."""
        return max(self.overdue_at(asked), self._confirming_end(asked))

    def _confirming_end(self, asked: Asked) -> float:
        """Until when a peer is waited for to confirm phrases; 0 where it is not."""
        peer = asked.candidate
        waited_for = self.may_confirm(peer) and not (peer.silences or peer.slow or asked.parts)
        return self.confirming_until if waited_for else 0.0

    def overdue_at(self, asked: Asked) -> float:
        """When a peer is overdue, whatever it could confirm."""
        peer = asked.candidate
        if peer.silences:
            # Who was silent lately is waited for no longer than others took.
            patience = self._slowest if self.answers else LEAST_PATIENCE_MS
        elif not self.answers:
            patience = max(LEAST_PATIENCE_MS, _RTT_FACTOR * self._rtt(peer))
        elif peer.unknown:
            patience = max(LEAST_PATIENCE_MS, _SLOWEST_FACTOR * self._explained(peer, _NEWS_TRIPS))
        else:
            patience = max(LEAST_PATIENCE_MS, self._explained(peer, 1.0))
        return max(asked.since + patience, asked.more_until)

    def _explained(self, peer: Candidate, trips: float) -> float:
        """How long an answer of so many round trips takes, as those that came say: the longest work among
        them, on the peer's own way; and no less than the slowest took."""
        work = max((took - trips * rtt for took, rtt in self._took), default=0.0)
        return max(self._slowest, trips * self._rtt(peer) + max(0.0, work))

    def _rtt(self, peer: Candidate) -> float:
        if peer.rtt_ms is not None:
            return peer.rtt_ms
        # Others' answers say how far away people are here; they took a round trip and the work.
        return min(UNKNOWN_RTT_MS, self._slowest / 2) if self.answers else UNKNOWN_RTT_MS

    def give_up_at(self, waited_for: list[Asked]) -> float:
        """When even an unsettled query stops waiting; 0 when nobody is waited for."""
        if not waited_for:
            return 0.0
        if not self.answers:
            return max(asked.since for asked in waited_for) + NOBODY_YET_MS
        return max(
            max(
                asked.since + _LAST_FACTOR * (self.overdue_at(asked) - asked.since),
                self._confirming_end(asked),
            )
            for asked in waited_for
        )
