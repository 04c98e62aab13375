"""Records that neighbours announced and that have not come: who is asked for them, and when."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush

from pkn_protocol.gossip.history import Name
from pkn_protocol.gossip.limits import BroadcastLimits
from pkn_protocol.gossip.neighbour import Neighbour
from pkn_protocol.records.ids import AuthorId, DeviceId


@dataclass(slots=True)
class Missing:
    """One record: `waiting` are those who announced it and were not asked yet, `charged` the first of all."""

    since: int
    charged: DeviceId
    waiting: list[DeviceId]
    due: int
    tellers: int = 0
    """All who announced it, as bits."""
    asked: DeviceId | None = None
    nearest: tuple[int, DeviceId] | None = None
    """Who would be the shortest way to us, and how many hops that would be."""
    beside: list[DeviceId] = field(default_factory=list)
    """Who was asked for it beside the tree."""

    def note(self, hops: int, neighbour: Neighbour) -> None:
        self.tellers |= neighbour.bit
        device = neighbour.device
        if hops and (self.nearest is None or hops < self.nearest[0]):
            self.nearest = (hops, device)


@dataclass(slots=True)
class Due:
    """What has become due: whom to ask for what, and who was asked in vain."""

    asks: dict[DeviceId, list[Name]] = field(default_factory=dict)
    in_vain: dict[DeviceId, list[Name]] = field(default_factory=dict)
    no_way: set[tuple[DeviceId, AuthorId]] = field(default_factory=set)
    """Who joined an author's tree by being asked, and gave nothing."""


class MissingRecords:
    """Bounded by neighbour, by what was on its word alone at first."""

    def __init__(self, limits: BroadcastLimits) -> None:
        self._limits = limits
        self._missing: dict[Name, Missing] = {}
        self._count: dict[DeviceId, int] = {}
        self._heap: list[tuple[int, Name]] = []

    def __len__(self) -> int:
        return len(self._missing)

    def get(self, name: Name) -> Missing | None:
        return self._missing.get(name)

    def announce(self, name: Name, neighbour: Neighbour, hops: int, now: int, due: int) -> bool:
        """A neighbour has a record that is lacking here. False: too many are waited for on its word."""
        device = neighbour.device
        missing = self._missing.get(name)
        if missing is not None:
            missing.note(hops, neighbour)
            if device not in missing.waiting and device != missing.asked:
                if len(missing.waiting) < self._limits.announcers:
                    missing.waiting.append(device)
                if missing.asked is None and due < missing.due:
                    self._schedule(name, missing, due)
            return True
        if self._count.get(device, 0) >= self._limits.missing_each:
            return False
        self._count[device] = self._count.get(device, 0) + 1
        self._missing[name] = missing = Missing(now, device, [device], due)
        missing.note(hops, neighbour)
        self._schedule(name, missing, due)
        return True

    def came(self, name: Name) -> Missing | None:
        """It is missing no more."""
        missing = self._missing.pop(name, None)
        if missing is not None:
            self._count[missing.charged] -= 1
            if not self._count[missing.charged]:
                del self._count[missing.charged]
        return missing

    def asked_beside(self, name: Name, device: DeviceId) -> None:
        """The neighbour was asked and does not join the tree by that."""
        self._missing[name].beside.append(device)

    def due(self, now: int, again_after: int) -> Due:
        """Whom to ask now; whoever was asked before has not given it."""
        found = Due()
        while self._heap and self._heap[0][0] <= now:
            at, name = heappop(self._heap)
            missing = self._missing.get(name)
            if missing is None or missing.due != at:
                continue
            if missing.asked is not None:
                found.in_vain.setdefault(missing.asked, []).append(name)
                if missing.asked not in missing.beside:
                    found.no_way.add((missing.asked, name.author))
            if not missing.waiting:
                self.came(name)
                continue
            missing.asked = missing.waiting.pop(0)
            found.asks.setdefault(missing.asked, []).append(name)
            self._schedule(name, missing, now + again_after)
        return found

    def gone(self, neighbour: Neighbour, now: int, is_urgent: Callable[[Name], bool]) -> None:
        """A neighbour is gone: what it was asked for is asked of others; `is_urgent`: the tree brings it no
        more."""
        device = neighbour.device
        for name, missing in list(self._missing.items()):
            missing.tellers &= ~neighbour.bit
            if device in missing.waiting:
                missing.waiting.remove(device)
            was_asked = missing.asked == device
            if was_asked:
                missing.asked = None
            if not missing.waiting and missing.asked is None:
                self.came(name)
            elif was_asked or (missing.asked is None and is_urgent(name)):
                self._schedule(name, missing, now)
        count = self._count.pop(device, 0)
        if count:
            self._recharge(device)

    def next_due(self) -> int | None:
        while self._heap:
            at, name = self._heap[0]
            missing = self._missing.get(name)
            if missing is not None and missing.due == at:
                return at
            heappop(self._heap)
        return None

    def _schedule(self, name: Name, missing: Missing, due: int) -> None:
        missing.due = due
        heappush(self._heap, (due, name))
        if len(self._heap) > 4 * len(self._missing) + 64:
            self._heap = [(missing.due, name) for name, missing in self._missing.items()]
            heapify(self._heap)

    def _recharge(self, device: DeviceId) -> None:
        """What was on the word of one who is gone is on that of another who announced it."""
        for missing in self._missing.values():
            if missing.charged == device:
                missing.charged = missing.asked if missing.asked is not None else missing.waiting[0]
                self._count[missing.charged] = self._count.get(missing.charged, 0) + 1
