"""With whom to be connected: the neighbourhood with times and tries, for an owner that has no plan itself.

The daemon asks the `Neighbourhood` itself, since its plan of dialling keeps the times. Times are in seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Generic, TypeAlias

from pkn_protocol.gossip.neighbourhood import Candidate, Key, Neighbourhood, ViewLimits
from pkn_protocol.records.ids import AuthorId

__all__ = ["ActiveView", "Candidate", "Dial", "Disconnect", "ViewEffects", "ViewLimits", "ViewWake"]


@dataclass(frozen=True, slots=True)
class Dial(Generic[Key]):
    """Connect; `connected` or `failed` is to follow."""

    key: Key


@dataclass(frozen=True, slots=True)
class Disconnect(Generic[Key]):
    """Close a connection that is one too many."""

    key: Key
    reason: str


@dataclass(frozen=True, slots=True)
class ViewWake:
    """Call `timer` at this time; replaces the one before."""

    time: float


ViewEffect: TypeAlias = Dial[Key] | Disconnect[Key] | ViewWake
ViewEffects: TypeAlias = tuple[ViewEffect[Key], ...]


@dataclass(slots=True)
class _State(Generic[Key]):
    candidate: Candidate[Key]
    due: float
    dialling: bool = False


class ActiveView(Generic[Key]):
    """`chance` gives numbers from 0 to 1, 1 excluded."""

    def __init__(self, *, chance: Callable[[], float], limits: ViewLimits | None = None) -> None:
        self._hood: Neighbourhood[Key] = Neighbourhood(chance=chance, limits=limits)
        self._states: dict[Key, _State[Key]] = {}
        self._wake: float | None = None

    @property
    def neighbours(self) -> tuple[Key, ...]:
        return tuple(self._hood.neighbours)

    @property
    def dialling(self) -> tuple[Key, ...]:
        """Who was to be dialled, and of whom nothing was heard since."""
        return tuple(key for key, state in self._states.items() if state.dialling)

    def candidate(self, candidate: Candidate[Key], now: float) -> ViewEffects[Key]:
        """Somebody can be dialled, or is another than before."""
        return self.candidates((candidate,), now)

    def candidates(self, candidates: Iterable[Candidate[Key]], now: float) -> ViewEffects[Key]:
        """The same of several at once, of whom the best are chosen."""
        for candidate in candidates:
            state = self._states.get(candidate.key)
            if state is None:
                self._states[candidate.key] = _State(candidate, now)
            else:
                state.candidate = candidate
            self._hood.describe(candidate)
        return self._choose(now)

    def forgotten(self, key: Key, now: float) -> ViewEffects[Key]:
        """A candidate is none any more; a connection stays."""
        self._states.pop(key, None)
        return self._choose(now)

    def failed(self, key: Key, now: float, retry_at: float) -> ViewEffects[Key]:
        """A candidate could not be dialled."""
        self._hood.gave_up(key)
        state = self._states.get(key)
        if state is not None:
            state.dialling, state.due = False, retry_at
        return self._choose(now)

    def connected(self, key: Key, now: float) -> ViewEffects[Key]:
        """A connection is there, whoever dialled."""
        state = self._states.get(key)
        if state is not None:
            state.dialling = False
        gone = self._hood.connected(Candidate(key) if state is None else state.candidate)
        effects = self._choose(now)
        if gone is None:
            return effects
        self._hood.disconnected(gone)
        if (leaving := self._states.get(gone)) is not None:
            leaving.due = max(leaving.due, now + self._hood.limits.exchange_every)
        return (Disconnect(gone, "too many neighbours"), *effects)

    def disconnected(self, key: Key, now: float, retry_at: float | None = None) -> ViewEffects[Key]:
        """A connection ended; it may be tried again from `retry_at` on."""
        self._hood.disconnected(key)
        state = self._states.get(key)
        if state is not None:
            state.dialling = False
            state.due = max(state.due, now if retry_at is None else retry_at)
        return self._choose(now)

    def retry_all(self, now: float) -> ViewEffects[Key]:
        """The network is another than before."""
        for state in self._states.values():
            state.due = now
        return self._choose(now)

    def wanted(self, authors: Collection[AuthorId], now: float) -> ViewEffects[Key]:
        """Of each of these authors two neighbours are to hold the records."""
        self._hood.wanted(authors)
        return self._choose(now)

    def timer(self, now: float) -> ViewEffects[Key]:
        self._wake = None
        return self._choose(now)

    def _choose(self, now: float) -> ViewEffects[Key]:
        idle = [
            s
            for s in self._states.values()
            if s.candidate.key not in self._hood.neighbours and not s.dialling
        ]
        ready = [s.candidate for s in idle if s.due <= now]
        under_way = [s.candidate for s in self._states.values() if s.dialling]
        chosen = self._hood.choose(ready, under_way, len(idle) - len(ready), now)
        for key in chosen:
            self._states[key].dialling = True
        effects: list[ViewEffect[Key]] = [Dial(key) for key in chosen]
        # What is due and was not begun now waits for a place, or for somebody to be ready.
        times = (*(s.due for s in idle), *self._hood.next_exchanges(now))
        wake = min((time for time in times if time > now), default=None)
        if wake is not None and wake != self._wake:
            self._wake = wake
            effects.append(ViewWake(wake))
        return tuple(effects)
