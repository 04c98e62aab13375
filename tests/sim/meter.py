"""What is counted while a run lasts: messages, bytes, records on their ways."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum

from pkn_protocol.records.ids import Cid
from pkn_protocol.records.model import Record
from tests.sim.measure import Journey


class Way(StrEnum):
    """How a record came in full."""

    PUSHED = "pushed along the tree"
    ASKED_FOR = "asked for after its id was told"
    FETCHED = "fetched after a comparison"


@dataclass(frozen=True, slots=True)
class Early:
    """Bytes of the first phase: of messages by type, and of records, new ones and all."""

    bytes: Mapping[str, int]
    new_bytes: int
    full_bytes: int


class Meter:
    """Counts for the whole run. Bytes are those of encoded messages with their framing."""

    def __init__(self, nodes: int) -> None:
        self.sent = [0] * nodes
        self.messages: Counter[str] = Counter()
        self.bytes: Counter[str] = Counter()
        self.early: Early | None = None
        self.full = 0
        """Records received in full."""
        self.full_bytes = 0
        self.first: Counter[Way] = Counter()
        self.again: Counter[Way] = Counter()
        """By the way they came: records that were not in the store, and those that were."""
        self.new = 0
        """Records that were new where they arrived."""
        self.new_bytes = 0
        self.journeys: dict[Cid, Journey] = {}
        self.stops: dict[int, list[float]] = {}
        self.connections = 0
        self.comparisons: Counter[str] = Counter()
        self.closed: Counter[str] = Counter()

    def message(self, node: int, name: str, size: int) -> None:
        self.sent[node] += size
        self.messages[name] += 1
        self.bytes[name] += size

    def received(self, record: Record, way: Way, *, is_known: bool) -> None:
        """A record came in full; `is_known`: it is in the store already."""
        self.full += 1
        self.full_bytes += len(record.block)
        (self.again if is_known else self.first)[way] += 1
        journey = self.journeys.get(record.id)
        if journey is not None:
            journey.full += 1

    def arrived(self, record: Record, node: int, source: int | None, now: float) -> None:
        """A record is new at a node, and in its store."""
        self.new += 1
        self.new_bytes += len(record.block)
        journey = self.journeys.get(record.id)
        if journey is not None:
            hops = 0 if source is None else journey.arrived.get(source, (0.0, 0))[1]
            journey.arrived[node] = (now, hops + 1)

    def first_phase_ends(self) -> None:
        """All nodes but newcomers have met by now; what was counted so far is told apart."""
        self.early = Early(Counter(self.bytes), self.new_bytes, self.full_bytes)

    def wrote(self, record: Record, node: int, now: float, wanted_by: Collection[int]) -> None:
        self.journeys[record.id] = Journey(record, node, now, set(wanted_by), {node: (now, 0)})

    def stopped(self, node: int, now: float) -> None:
        self.stops.setdefault(node, []).append(now)

    def settled(self) -> list[Journey]:
        """All journeys, without the nodes that were away."""
        for journey in self.journeys.values():
            journey.without_stopped(self.stops)
        return list(self.journeys.values())
