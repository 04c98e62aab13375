"""Records of the last two minutes: which neighbours know them, have been told, have asked."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto
from itertools import islice
from typing import NamedTuple

from pkn_protocol.gossip.effects import Fresh
from pkn_protocol.gossip.limits import BroadcastLimits
from pkn_protocol.records.ids import AuthorId, Cid, DeviceId, ShortId


class Name(NamedTuple):
    """How neighbours name a record to one another."""

    author: AuthorId
    short: ShortId


class State(Enum):
    """Where a record is on its way."""

    ARRIVING = auto()
    """Came in full, is being checked."""
    ASKED = auto()
    """Came in full since it was asked for beside the tree; the tree may bring it yet."""
    PASSED_ON = auto()
    FETCHED = auto()
    """Passed on too; it came by a question or a comparison, so that a push of it is no sign of a circle."""
    KEPT = auto()
    """Not passed on: refused, or by a stranger."""


@dataclass(slots=True)
class Entry:
    """One record. `known_by`, `told` and so on: sets of neighbours as bits."""

    id: Cid
    state: State
    since: int
    fresh: Fresh | None = None
    hops: int | None = None
    """From whoever published it; None: not known."""
    by: DeviceId | None = None
    """Who brought it along the tree."""
    known_by: int = 0
    told: int = 0
    asked: int = 0
    """They asked us."""
    asked_again: int = 0
    """And once more; nobody is given a record a third time."""
    is_late: bool = False
    """The tree brought it after it had been asked for beside it."""
    answering: int = 0
    """We asked them beside the tree: what they send is no sign of a circle."""


class History:
    """Bounded by count and time; the oldest go first."""

    def __init__(self, limits: BroadcastLimits) -> None:
        self._limits = limits
        self._entries: OrderedDict[Name, Entry] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, name: Name, now: int) -> Entry | None:
        """What is remembered; what began to arrive long ago and was never stored is not."""
        entry = self._entries.get(name)
        if entry is None or (
            entry.state in (State.ARRIVING, State.ASKED) and now - entry.since > self._limits.arriving_for
        ):
            return None
        return entry

    def add(self, name: Name, entry: Entry) -> None:
        self._entries.pop(name, None)
        self._entries[name] = entry
        oldest = entry.since - self._limits.history_for
        while self._entries:
            first = next(iter(self._entries.values()))
            if len(self._entries) <= self._limits.history and first.since >= oldest:
                break
            self._entries.popitem(last=False)

    def newest(self, since: int, most: int) -> Iterator[tuple[Name, Entry]]:
        for name, entry in islice(reversed(self._entries.items()), most):
            if entry.since < since:
                return
            yield name, entry

    def forget_neighbour(self, bit: int) -> None:
        """The bit will be another neighbour's."""
        for entry in self._entries.values():
            entry.known_by &= ~bit
            entry.told &= ~bit
            entry.asked &= ~bit
            entry.asked_again &= ~bit
            entry.answering &= ~bit
