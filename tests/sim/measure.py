"""How far and how fast records travelled."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf, log2
from statistics import mean, median

from pkn_protocol.records.model import Record

REACHED = 0.99
"""The part of those who want a record that it has to reach."""


@dataclass(slots=True)
class Journey:
    """A record that was written during the run. `wanted_by`: nodes that were up, on its side of any
    partition, and within whose horizon its author is. `arrived`: by node, when (ms) and over how many
    links."""

    record: Record
    origin: int
    written: float
    wanted_by: set[int]
    arrived: dict[int, tuple[float, int]] = field(default_factory=dict)
    full: int = 0
    """How often it was received in full."""

    def without_stopped(self, stops: Mapping[int, Sequence[float]]) -> None:
        """Take out who stopped between its writing and its arrival: the network is not to blame for that."""
        for node in stops.keys() & self.wanted_by:
            arrival = self.arrived.get(node, (inf, 0))[0]
            if any(self.written <= stop < arrival for stop in stops[node]):
                self.wanted_by.discard(node)

    def is_disturbed_by(self, beginnings: Sequence[float]) -> bool:
        """Whether a partition began while it was on its way."""
        last = max((self.arrived.get(node, (inf, 0))[0] for node in self.wanted_by), default=self.written)
        return any(self.written <= begin < last for begin in beginnings)

    def time_to_reach(self, part: float = REACHED) -> float:
        """Ms until so large a part of those who want it had it; infinite where it never did."""
        times = sorted(when for node, (when, _) in self.arrived.items() if node in self.wanted_by)
        needed = -int(-part * len(self.wanted_by) // 1)
        return times[needed - 1] - self.written if 0 < needed <= len(times) else (inf if needed else 0.0)

    def hops_to_reach(self, part: float = REACHED) -> float:
        """Links that the record had come over where so large a part had it."""
        hops = sorted(count for node, (_, count) in self.arrived.items() if node in self.wanted_by)
        needed = -int(-part * len(self.wanted_by) // 1)
        return float(hops[needed - 1]) if 0 < needed <= len(hops) else (inf if needed else 0.0)


@dataclass(frozen=True, slots=True)
class Spread:
    """How records spread that so many or more wanted: in rounds, and the limit that holds for them."""

    records: int
    wanted_by_mean: float
    rounds_median: float
    rounds_of_nine_in_ten: float
    rounds_worst: float
    hops_median: float
    hops_worst: float
    seconds_median: float


def spread(journeys: Sequence[Journey], delay_ms: float) -> Spread | None:
    """Rounds are times in mean delays of a message, with those that losses cause; None where there is nothing
    to measure."""
    if not journeys:
        return None
    times = [journey.time_to_reach() for journey in journeys]
    hops = [journey.hops_to_reach() for journey in journeys]
    return Spread(
        records=len(journeys),
        wanted_by_mean=mean(len(journey.wanted_by) for journey in journeys),
        rounds_median=median(times) / delay_ms,
        rounds_of_nine_in_ten=sorted(times)[len(times) * 9 // 10] / delay_ms,
        rounds_worst=max(times) / delay_ms,
        hops_median=median(hops),
        hops_worst=max(hops),
        seconds_median=median(times) / 1000,
    )


def receptions(journeys: Iterable[Journey]) -> float:
    """How often those who got a record from others got it in full, in the mean."""
    full = new = 0
    for journey in journeys:
        full += journey.full
        new += len(journey.arrived) - 1
    return full / max(1, new)


def rounds_limit(nodes: int) -> float:
    """At most so many rounds for a record to reach 99 % of so many nodes."""
    return log2(nodes) + 3
