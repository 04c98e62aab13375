"""Asking others: whom, in which order, how many at once, and when enough is known (SPEC, Search).

A machine without I/O: its owner tells what happened and when, and carries out the effects. `start` is to be
called when the peers can be asked, since patience with them begins then.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from pkn_protocol.records.ids import AuthorId, Cid, DeviceId
from pkn_protocol.search.budget import Budget
from pkn_protocol.search.patience import Asked, Candidate, Patience, State

AT_ONCE = 8
"""Peers that are asked in parallel; one that is overdue makes room for another."""
FORWARDED_MS = 250.0
"""How long a peer that has answered in part may take to bring the answers of others."""
MOST_PARTS = 2
"""An answer's parts: what its sender has, and what it heard from others."""
_SETTLED_ANSWERS = 2
"""So many answers in a row that change nothing, and those that are overdue are not waited for."""
_MOST_SETTLED = 4
"""Where answers keep changing the top, so many in a row must not before nobody more is asked."""
_LEFT_OVER = 1
"""Nodes beyond itself for each peer, of what others have left over; more would bring little more."""


@dataclass(frozen=True, slots=True)
class AskPeer:
    device: DeviceId
    budget: Budget


@dataclass(frozen=True, slots=True)
class TopChanged:
    """Something new stands among the first; worth showing."""


@dataclass(frozen=True, slots=True)
class Finished:
    """`complete`: everybody who was asked and might have known something new has answered."""

    complete: bool


Effect: TypeAlias = AskPeer | TopChanged | Finished


@dataclass(slots=True)
class FanOut:
    """One query. Times are in milliseconds of any clock that only goes forward.

    Best peers first, AT_ONCE at a time. It is finished when everybody has answered; or when two answers in a
    row changed nothing (or none did and all summaries of the others are here) and all others are overdue; or
    when the overdue ones have had twice their patience; with nothing found, not before the first answer or
    NOBODY_YET_MS; and for those who can confirm phrases, not before CONFIRMING_MS. Scores are the owner's,
    computed from signed records.
    """

    limit: int
    scores: dict[Cid, float]
    budget: Budget = field(default_factory=Budget)
    sources: dict[Cid, set[DeviceId]] = field(default_factory=dict)
    finished: bool = False
    _waiting: list[Candidate] = field(default_factory=list)
    _asked: dict[DeviceId, Asked] = field(default_factory=dict)
    _patience: Patience = field(default_factory=Patience)
    _unchanged: int = 0
    _changes: int = 0
    _parts: int = 1
    _nodes: int = 0
    """Of the budget so many are left."""

    def start(self, candidates: Iterable[Candidate], now: float) -> list[Effect]:
        """Begin with the local scores that were given, and the peers there are."""
        if self.budget.hops > 0 and self.budget.nodes > 0:
            self._waiting = sorted(candidates, key=_order)
        self._parts = max(1, min(len(self._waiting), self.budget.nodes))
        self._nodes = self.budget.nodes
        self._patience.begin(now)
        return self._go_on(now)

    def answered(
        self, device: DeviceId, scores: Mapping[Cid, float], now: float, *, more: bool = False
    ) -> list[Effect]:
        """A peer has answered; `scores` were computed here from what it sent. `more`: it has forwarded the
        query, and others' answers may follow, in one more part."""
        asked = self._asked.get(device)
        if asked is None or asked.state is not State.WAITED_FOR or self.finished:
            return []
        self._patience.learn(asked, now, more=more)
        asked.parts += 1
        if more and asked.parts < MOST_PARTS:
            asked.more_until = now + FORWARDED_MS
        else:
            asked.state = State.ANSWERED
            self._patience.answers += 1
        before = self.top()
        for cid, score in scores.items():
            self.scores[cid] = max(score, self.scores.get(cid, 0.0))
            self.sources.setdefault(cid, set()).add(device)
        changed = self.top() != before
        self._changes += changed
        if changed:
            self._unchanged = 0
        elif asked.parts == 1:
            # Once for each peer, in however many parts it says nothing new: none can end a query for others.
            self._unchanged += 1
        effects: list[Effect] = [TopChanged()] if changed else []
        return effects + self._go_on(now)

    def confirm(self, unconfirmed: Collection[AuthorId]) -> None:
        """Of the first only texts of these authors are still to be confirmed: nobody else is waited for on
        that account any more. To be told before the answer that brought it."""
        self._patience.unconfirmed = unconfirmed

    def failed(self, device: DeviceId, now: float) -> list[Effect]:
        """A peer cannot answer: it left, or refused. Another may be asked in its place."""
        asked = self._asked.get(device)
        if asked is None or asked.state is not State.WAITED_FOR or self.finished:
            return []
        asked.state = State.FAILED
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
        waited_for = self._waited_for()
        if self.finished or not waited_for:
            return None
        patience = self._patience
        times = [*map(patience.overdue_at, waited_for), *map(patience.due, waited_for)]
        times.append(patience.give_up_at(waited_for))
        return min((time for time in times if time > now), default=now)

    def top(self) -> list[Cid]:
        """The ids of the best documents so far, at most `limit`."""
        ordered = sorted(self.scores.items(), key=lambda entry: (-entry[1], entry[0]))
        return [cid for cid, score in ordered[: self.limit] if score > 0]

    @property
    def asked(self) -> int:
        """How many peers were asked."""
        return len(self._asked)

    @property
    def answers(self) -> int:
        """How many peers have answered."""
        return self._patience.answers

    @property
    def slow(self) -> Mapping[DeviceId, bool]:
        """Of those who answered and could confirm phrases, whether they held the query for that: longer than
        SLOW_TO_CONFIRM_MS, or for nothing."""
        return self._patience.slow

    def silent(self) -> list[DeviceId]:
        """Those who were asked and have neither answered nor failed: to be told that it is over."""
        return [asked.candidate.device for asked in self._waited_for()]

    def _waited_for(self) -> list[Asked]:
        return [asked for asked in self._asked.values() if asked.state is State.WAITED_FOR]

    def _go_on(self, now: float) -> list[Effect]:
        effects = self._ask_more(now)
        waited_for = self._waited_for()
        all_late = all(now >= self._patience.due(asked) for asked in waited_for)
        # While not all are late there is either an empty place for each candidate, or no budget for one.
        if (all_late and self._is_settled(waited_for)) or now >= self._patience.give_up_at(waited_for):
            self.finished = True
            effects.append(Finished(complete=self._is_complete()))
        return effects

    def _ask_more(self, now: float) -> list[Effect]:
        effects: list[Effect] = []
        # Who is waited for to confirm alone keeps no place.
        on_time = sum(now < self._patience.overdue_at(asked) for asked in self._waited_for())
        failed = sum(asked.state is State.FAILED for asked in self._asked.values())
        if self._unchanged >= _SETTLED_ANSWERS:
            self._waiting = [
                candidate for candidate in self._waiting if self._may_be_worth_it(candidate, now)
            ]
        while self._waiting and on_time < AT_ONCE and len(self._asked) - failed < self.budget.nodes:
            candidate = self._waiting.pop(0)
            self._asked[candidate.device] = Asked(candidate, now)
            on_time += 1
            budget = self._budget_of_next()
            self._nodes -= 1 + budget.nodes
            effects.append(AskPeer(candidate.device, budget))
        return effects

    def _budget_of_next(self) -> Budget:
        """What the next peer may spend. Where more are there than are asked at once, and the top is full,
        nobody is to pass the query on before an answer has shown that something is missing here; of what
        these have not spent, each who comes after may ask one."""
        whole = self.budget.divided(self._parts)
        enough = self._parts > AT_ONCE and len(self.scores) >= self.limit and not self._changes
        if enough:
            return Budget(0, whole.bytes, 0)
        left = max(1, min(len(self._waiting) + 1, self._nodes))
        share = max(0, self._nodes // left - 1)
        return replace(whole, nodes=max(whole.nodes, min(_LEFT_OVER, share)))

    def _may_be_worth_it(self, candidate: Candidate, now: float) -> bool:
        """Whether somebody may still change the top, now that answers no longer do, or confirm it."""
        if now < self._patience.confirming_until and self._patience.may_confirm(candidate):
            return True
        if candidate.distance is None:
            # Strangers answer with their own things alone, whatever others have said.
            return candidate.unknown
        # People around hold much the same. The oftener answers have brought something, the more is missing
        # here; and while the top is not full, whatever is missing would stand in it.
        enough = self._unchanged >= min(_SETTLED_ANSWERS + self._changes, _MOST_SETTLED)
        return candidate.unknown and not (enough and len(self.scores) >= self.limit)

    def _is_settled(self, waited_for: list[Asked]) -> bool:
        """Whether those who are overdue may be left out."""
        if not self.scores and not self.answers:
            # With nothing to show, whoever is here may know somebody who has it: a first answer is worth
            # more than the time, but for those who were silent the last time.
            return all(asked.candidate.silences for asked in waited_for)
        return self._unchanged >= _SETTLED_ANSWERS or not any(map(self._may_surprise, waited_for))

    def _is_complete(self) -> bool:
        missing = [asked for asked in self._asked.values() if asked.state is not State.ANSWERED]
        return not any(
            self._may_surprise(asked) or self._patience.may_confirm(asked.candidate) for asked in missing
        )

    def _may_surprise(self, asked: Asked) -> bool:
        # An answer that changed the top shows that not all summaries have arrived.
        return asked.candidate.unknown or self._changes > 0


def _order(candidate: Candidate) -> tuple[int, float, bool, int, float, bytes]:
    return (
        candidate.silences,
        -candidate.promise,
        not candidate.unknown,
        99 if candidate.distance is None else candidate.distance,
        candidate.rtt_ms or 0.0,
        candidate.device,
    )
