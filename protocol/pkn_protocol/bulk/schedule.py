"""Which block is fetched from whom next, when there are several sources (SPEC, Transport, Several sources).

Sans-I/O: the owner says what is wanted and what has happened, and does what `next` tells it. Time is in
seconds, passed in, and only goes forward. What a source sends is checked by the owner; here only presence,
speed and silence count. A block is in flight from one source at a time: one that gives it up loses nothing,
because the next goes on where it stopped.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Generic, TypeVar

from pkn_protocol.channel.messages import MOST_HAVE
from pkn_protocol.records.ids import Cid
from pkn_protocol.records.payload import BLOCK_BYTES

Source = TypeVar("Source")
"""Told apart by hash and equality."""


@dataclass(frozen=True, slots=True)
class Rules:
    """Times in seconds."""

    per_source: int = 4
    """In flight from one source: what a source allows a peer at a time (SPEC, Transport, Limits)."""
    in_flight: int = 16
    """In flight in all."""
    first_window: int = 2
    """For a source whose speed is not known yet."""
    in_flight_seconds: float = 0.5
    """So much of a source's time is asked of it beforehand: less leaves a fast one idle between requests,
    more leaves a slow one with blocks that others could bring."""
    look_ahead: int = 32
    """Blocks among which the rarest is chosen: enough for two who fetch the same to have something for each
    other, and near enough in order to be read while it comes."""
    low_water: int = 64
    """A source is asked what it has when it is known to have fewer of the wanted blocks than this."""
    ask_again: float = 3.0
    most_ask_again: float = 60.0
    """After a source had not a block: it may be fetching it itself. Doubled while it has nothing."""
    stall: float = 3.0
    """Without a byte, after which another source gets the block: three retransmissions of a lost packet."""
    most_stall: float = 96.0
    """Where each who has the block gave it up before, one of them gets it back: after `stall`, doubled each
    time. Two who are slower than `stall` allows would else take it from each other for ever."""
    end_game: float = 2.0
    """When nothing else is left to begin: so many times slower than another source would be now, and the
    block is handed to that one."""
    overdue: float = 4.0
    """The same for the block that a reader waits for, while there is other work."""
    margin: float = 0.25
    """Less time than this is not worth a new request."""
    busy: float = 1.0
    most_busy: float = 16.0
    """A source that gives no further block now is left alone so long, doubled with each refusal in a row."""
    most_refusals: int = 10
    """In a row, without a byte in between: after one and a half minutes a source counts as gone, too."""
    first_backoff: float = 0.25
    most_backoff: float = 8.0
    most_failures: int = 5
    """In a row, after which a source counts as gone until it joins again."""


@dataclass(frozen=True, slots=True)
class Ask(Generic[Source]):
    """Ask a source which of these it has; answer with `told`."""

    source: Source
    cids: tuple[Cid, ...]


@dataclass(frozen=True, slots=True)
class Fetch(Generic[Source]):
    """Fetch a block; answer with `came` or `lost`, in between with `moved`."""

    source: Source
    cid: Cid


@dataclass(frozen=True, slots=True)
class GiveUp(Generic[Source]):
    """Stop a fetch, and answer with `lost`; another source will go on."""

    source: Source
    cid: Cid


class Loss(Enum):
    """Why a fetch brought nothing."""

    ABSENT = auto()
    """The source has not got it, or not for us."""
    BUSY = auto()
    BROKEN = auto()
    GIVEN_UP = auto()
    """Because we said so."""


@dataclass(slots=True)
class _Flight:
    size: int
    began: float
    moved_at: float
    received: int = 0
    given_up: bool = False


@dataclass(slots=True)
class _State:
    preference: float
    assumed: bool
    window: int
    has: set[Cid] = field(default_factory=set)
    lacks: dict[Cid, float] = field(default_factory=dict)
    """Blocks that it had not, and when it said so."""
    passed: set[Cid] = field(default_factory=set)
    """Blocks that it gave up: others come first."""
    asked: bool = False
    ask_again: float = 0.0
    flights: dict[Cid, _Flight] = field(default_factory=dict)
    rate: float | None = None
    """Bytes a second, all of its flights together."""
    counted_at: float = 0.0
    failures: int = 0
    refusals: int = 0
    fruitless: int = 0
    """Refusals since a byte came, also one of what was asked for before the last refusal."""
    not_before: float = 0.0


class Schedule(Generic[Source]):
    """One payload's transfer. `want` gives the blocks that are missing, in the order in which they are read;
    they need not be all, the owner moves the window on."""

    def __init__(self, rules: Rules | None = None) -> None:
        self._rules = rules or Rules()
        self._wanted: dict[Cid, int] = {}
        self._sources: dict[Source, _State] = {}
        self._handed_back: dict[Cid, int] = {}
        """How often a block went back to somebody who had given it up."""

    @property
    def sources(self) -> Collection[Source]:
        return self._sources.keys()

    @property
    def in_flight(self) -> int:
        return sum(len(state.flights) for state in self._sources.values())

    def is_hopeless(self, now: float) -> bool:
        """Nobody who is here has, or may yet turn out to have, a block that is wanted."""
        for state in self._sources.values():
            if state.flights or state.asked:
                return False
            if any(self._may_have(state, cid) is not False for cid in self._wanted):
                return False
        return True

    def want(self, blocks: Sequence[tuple[Cid, int]]) -> None:
        """What is missing now, as (block, bytes), in order; replaces what was wanted before."""
        self._wanted = dict(blocks)
        for cid in self._handed_back.keys() - self._wanted.keys():
            del self._handed_back[cid]
        for state in self._sources.values():
            state.has &= self._wanted.keys()
            state.passed &= self._wanted.keys()
            for cid in state.lacks.keys() - self._wanted.keys():
                del state.lacks[cid]

    def join(self, source: Source, *, preference: float = 0.0, assumed: bool = False) -> None:
        """A source is there; those of lower `preference` get work first. `assumed`: it is fetched from
        without asking what it has."""
        if source not in self._sources:
            rules = self._rules
            self._sources[source] = _State(preference, assumed, rules.first_window, ask_again=rules.ask_again)

    def leave(self, source: Source) -> None:
        """A source is gone; what was in flight from it is free for others, and is not answered any more."""
        self._sources.pop(source, None)

    def told(self, source: Source, cids: Sequence[Cid], held: Sequence[bool], now: float) -> None:
        """The answer to `Ask`; a source that could not answer is told to have none (`held` empty)."""
        state = self._sources.get(source)
        if state is None:
            return
        state.asked = False
        if len(held) != len(cids):
            held = [False] * len(cids)
        rules = self._rules
        state.ask_again = rules.ask_again if any(held) else min(2 * state.ask_again, rules.most_ask_again)
        for cid, has in zip(cids, held, strict=True):
            if has:
                state.has.add(cid)
                state.lacks.pop(cid, None)
            else:
                state.has.discard(cid)
                state.lacks[cid] = now

    def moved(self, source: Source, cid: Cid, received: int, now: float) -> None:
        """A source has sent so many bytes of a block so far."""
        state = self._sources.get(source)
        if state is None:
            return
        flight = state.flights.get(cid)
        if flight is not None and received != flight.received:
            flight.received, flight.moved_at = received, now
            state.fruitless = 0

    def came(self, source: Source, cid: Cid, fetched: int, now: float) -> None:
        """A block is here and good; `fetched` bytes of it came from this source."""
        self._wanted.pop(cid, None)
        self._handed_back.pop(cid, None)
        for other in self._sources.values():
            other.has.discard(cid)
        state = self._sources.get(source)
        if state is None:
            return
        flight = state.flights.pop(cid, None)
        was_to_leave = math.isinf(state.not_before)
        state.failures = state.fruitless = 0
        if was_to_leave or not state.refusals or state.not_before <= now:
            # Otherwise it was asked for before the refusal, and says nothing about what may be had next.
            state.refusals = 0
            state.not_before = 0.0
        if flight is None:
            return
        took = now - max(flight.began, state.counted_at)
        state.counted_at = now
        if took > 0 and fetched > 0:
            rate = fetched / took
            state.rate = rate if state.rate is None else 0.7 * state.rate + 0.3 * rate
            most = math.ceil(state.rate * self._rules.in_flight_seconds / BLOCK_BYTES)
            state.window = max(1, min(self._rules.per_source, most))

    def lost(self, source: Source, cid: Cid, loss: Loss, now: float) -> None:
        """A fetch ended without the block."""
        state = self._sources.get(source)
        if state is None:
            return
        state.flights.pop(cid, None)
        self._count_loss(state, cid, loss, now)
        rules = self._rules
        if state.failures >= rules.most_failures or state.fruitless >= rules.most_refusals:
            state.not_before = math.inf
        if math.isinf(state.not_before) and not state.flights:
            # Not while another block is on its way from there: nobody else may fetch that one too.
            self.leave(source)

    def _count_loss(self, state: _State, cid: Cid, loss: Loss, now: float) -> None:
        rules = self._rules
        if loss is Loss.GIVEN_UP:
            state.passed.add(cid)
            state.window = max(1, state.window - 1)
            return
        if loss is Loss.BUSY:
            # Several may be refused at once: that is one refusal.
            if state.not_before <= now:
                state.refusals += 1
                state.fruitless += 1
                state.not_before = now + _doubled(rules.busy, state.refusals - 1, rules.most_busy)
            state.window = max(1, state.window - 1)
            return
        if loss is Loss.ABSENT:
            claimed = cid in state.has
            state.has.discard(cid)
            state.lacks[cid] = now
            if not claimed:
                return
        state.failures += 1
        state.not_before = now + _doubled(rules.first_backoff, state.failures - 1, rules.most_backoff)

    def next(self, now: float) -> list[Ask[Source] | Fetch[Source] | GiveUp[Source]]:
        """What to do now; call it again whenever something happened, and a few times a second."""
        return [*self._give_up(now), *self._ask(now), *self._fetch(now)]

    def _ask(self, now: float) -> Iterator[Ask[Source]]:
        for source, state in self._sources.items():
            if state.asked or state.assumed or state.not_before > now:
                continue
            if len(state.has) >= self._rules.low_water:
                continue
            unknown = [cid for cid in self._wanted if self._is_unknown(state, cid, now)][:MOST_HAVE]
            if unknown:
                state.asked = True
                yield Ask(source, tuple(unknown))

    def _is_unknown(self, state: _State, cid: Cid, now: float) -> bool:
        if cid in state.has:
            return False
        said = state.lacks.get(cid)
        return said is None or now - said >= state.ask_again

    def _may_have(self, state: _State, cid: Cid) -> bool | None:
        """None: it was not asked yet."""
        if cid in state.lacks:
            return False
        return True if cid in state.has or state.assumed else None

    def _fetch(self, now: float) -> Iterator[Fetch[Source]]:
        ready = [
            (source, state)
            for source, state in self._sources.items()
            if state.not_before <= now and len(state.flights) < state.window
        ]
        if not ready:
            return
        flying = {cid for state in self._sources.values() for cid in state.flights}
        free = [cid for cid in self._wanted if cid not in flying]
        room = self._rules.in_flight - len(flying)
        # One after the other, the faster first, so that a few blocks do not all go to one source.
        ready.sort(key=lambda one: (one[1].preference, -(one[1].rate or 0.0)))
        while ready and free and room > 0:
            left = []
            for source, state in ready:
                cid = self._choice(state, free)
                if cid is None or room <= 0:
                    continue
                free.remove(cid)
                room -= 1
                state.flights[cid] = _Flight(self._wanted[cid], now, now)
                yield Fetch(source, cid)
                if len(state.flights) < state.window:
                    left.append((source, state))
            ready = left

    def _choice(self, state: _State, free: Sequence[Cid]) -> Cid | None:
        """The rarest of the next blocks that a source has; of equally rare ones the first."""
        best: Cid | None = None
        least = 0
        seen = 0
        for cid in free:
            if not self._may_have(state, cid):
                continue
            holders = sum(
                bool(self._may_have(other, cid)) and cid not in other.passed
                for other in self._sources.values()
            )
            if cid in state.passed:
                if holders:
                    continue
                holders = len(self._sources) + 1
            if best is None or holders < least:
                best, least = cid, holders
            seen += 1
            if seen >= self._rules.look_ahead or least <= 1:
                break
        return best

    def _give_up(self, now: float) -> Iterator[GiveUp[Source]]:
        if len(self._sources) < 2:
            return
        flying = {cid for state in self._sources.values() for cid in state.flights}
        free = [cid for cid in self._wanted if cid not in flying]
        head = next(iter(self._wanted), None)
        promised: dict[Source, int] = {}
        for source, state in self._sources.items():
            for cid, flight in state.flights.items():
                if flight.given_up:
                    continue
                silent = now - flight.moved_at
                stalled = silent >= self._rules.stall
                for other, better in self._sources.items():
                    slots = better.window - len(better.flights) - promised.get(other, 0)
                    if other == source or better.not_before > now or not self._may_have(better, cid):
                        continue
                    goes_back = cid in better.passed
                    if goes_back and silent < self._patience(cid):
                        continue
                    if stalled or self._is_too_slow(state, flight, better, now, cid == head, slots, free):
                        if goes_back:
                            better.passed.discard(cid)
                            self._handed_back[cid] = self._handed_back.get(cid, 0) + 1
                        promised[other] = promised.get(other, 0) + 1
                        flight.given_up = True
                        yield GiveUp(source, cid)
                        break

    def _patience(self, cid: Cid) -> float:
        """Seconds of silence after which a block goes back to a source that gave it up."""
        rules = self._rules
        return _doubled(rules.stall, self._handed_back.get(cid, 0), rules.most_stall)

    def _is_too_slow(
        self,
        state: _State,
        flight: _Flight,
        better: _State,
        now: float,
        is_head: bool,
        slots: int,
        free: Sequence[Cid],
    ) -> bool:
        rules = self._rules
        if better.rate is None:
            return False
        left = flight.size - flight.received
        here = self._speed(state, flight, now)
        needs = left / here if here > 0 else math.inf
        there = left * max(1, len(better.flights) + 1) / better.rate
        if needs < there + rules.margin:
            return False
        if is_head and needs > rules.overdue * there and now - flight.began > rules.margin:
            return True
        idle = slots > 0 and not any(self._may_have(better, cid) for cid in free)
        return idle and needs > rules.end_game * there

    @staticmethod
    def _speed(state: _State, flight: _Flight, now: float) -> float:
        """Bytes a second of one flight, as far as can be told."""
        spent = now - flight.began
        if flight.received and spent > 0:
            return flight.received / spent
        if state.rate is not None and spent < flight.size * len(state.flights) / state.rate:
            return state.rate / max(1, len(state.flights))
        return 0.0


def _doubled(seconds: float, times: int, most: float) -> float:
    return min(most, seconds * 2.0 ** min(times, 64))
