"""All neighbours of a node, and what is asked of them together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pkn_protocol.gossip.effects import Fresh, Interests
from pkn_protocol.gossip.limits import BroadcastLimits
from pkn_protocol.gossip.neighbour import Neighbour
from pkn_protocol.records.ids import AuthorId, DeviceId


class Neighbours:
    """By device."""

    def __init__(self, interests: Interests, limits: BroadcastLimits) -> None:
        self._interests = interests
        self._limits = limits
        self._all: dict[DeviceId, Neighbour] = {}

    def __iter__(self) -> Iterator[Neighbour]:
        return iter(self._all.values())

    def __len__(self) -> int:
        return len(self._all)

    def get(self, device: DeviceId | None) -> Neighbour | None:
        return None if device is None else self._all.get(device)

    def add(self, device: DeviceId, *, speaks: bool) -> Neighbour:
        taken = self.bits(self._all)
        bit = 1
        while bit & taken:
            bit <<= 1
        neighbour = self._all[device] = Neighbour.make(device, bit, speaks=speaks, limits=self._limits)
        return neighbour

    def remove(self, device: DeviceId) -> Neighbour | None:
        return self._all.pop(device, None)

    def bits(self, devices: Iterable[DeviceId]) -> int:
        """A set of them; who is gone is left out."""
        return sum({self._all[device].bit for device in devices if device in self._all})

    def takers(self, fresh: Fresh, known_by: int) -> list[Neighbour]:
        """Who wants a record, may see it, and does not know it."""
        return [n for n in self if not known_by & n.bit and self._interests.takes(n.device, fresh)]

    def has_way(self, author: AuthorId) -> bool:
        """Whether somebody is expected to push an author's records to us."""
        return any(n.is_eager(author) and self._interests.brings(n.device, author) for n in self)

    def is_wide(self, author: AuthorId) -> bool:
        """Whether all in the shared tree want an author."""
        return all(self._interests.brings(n.device, author) for n in self if n.branch.shared)
