"""Ids that are told to neighbours: to whom, when, and gathered into messages."""

from __future__ import annotations

from collections.abc import Callable

from pkn_protocol.gossip.effects import CompareDue, Effect, Interests
from pkn_protocol.gossip.history import History, Name
from pkn_protocol.gossip.limits import BroadcastLimits
from pkn_protocol.gossip.neighbour import Neighbour
from pkn_protocol.gossip.neighbours import Neighbours
from pkn_protocol.gossip.parcels import Parcels, announcements, next_hop
from pkn_protocol.records.ids import AuthorId, ShortId


class Telling:
    """What waits to be told is kept with each neighbour, a bounded number of ids."""

    def __init__(
        self,
        neighbours: Neighbours,
        history: History,
        interests: Interests,
        chance: Callable[[], float],
        limits: BroadcastLimits,
    ) -> None:
        self._neighbours = neighbours
        self._history = history
        self._interests = interests
        self._chance = chance
        self._limits = limits

    def next_due(self) -> int | None:
        return min((n.flush_at for n in self._neighbours if n.flush_at is not None), default=None)

    def tell(self, now: int, effects: list[Effect]) -> None:
        """Tell the ids that have gathered."""
        for neighbour in self._neighbours:
            if neighbour.flush_at is not None and neighbour.flush_at <= now:
                self._flush(neighbour, now, effects)

    def chosen(
        self, neighbours: list[Neighbour], author: AuthorId, parcels: Parcels, now: int
    ) -> list[Neighbour]:
        """Those in the tree, those along whom it may grow, and a few others by chance, the same for all
        records that came together."""
        told = [n for n in neighbours if n.is_new(now) or n.is_eager(author)]
        others = [n for n in neighbours if not (n.is_new(now) or n.is_eager(author))]
        chosen = parcels.told.setdefault(author, set())
        few = [n for n in others if n.device in chosen]
        others = [n for n in others if n.device not in chosen]
        while others and len(few) < self._limits.lazy:
            few.append(others.pop(int(self._chance() * len(others))))
            chosen.add(few[-1].device)
        return told + few

    def tell_missed(self, neighbour: Neighbour, now: int, effects: list[Effect]) -> None:
        """Who joins the tree had no way to what went by just before, or heard of a part alone."""
        for name, entry in self._history.newest(now - self._limits.missed_for, self._limits.missed):
            if (
                entry.fresh is not None
                and not (entry.known_by | entry.told) & neighbour.bit
                and self._interests.takes(neighbour.device, entry.fresh)
            ):
                self.put(neighbour, name, True, now, effects)

    def put(
        self, neighbour: Neighbour, name: Name, is_awaited: bool, now: int, effects: list[Effect]
    ) -> None:
        if len(neighbour.queue) >= self._limits.queued_each:
            neighbour.queue.clear()
            neighbour.flush_at = None
            effects.append(CompareDue(neighbour.device))
            return
        neighbour.queue[name] = None
        if neighbour.is_new(now) or is_awaited:
            neighbour.flush_at = now
        elif neighbour.flush_at is None:
            neighbour.flush_at = now + int(self._limits.announce_after * (1 + self._chance()))

    def _flush(self, neighbour: Neighbour, now: int, effects: list[Effect]) -> None:
        found: dict[tuple[AuthorId, int], list[ShortId]] = {}
        for name in neighbour.queue:
            entry = self._history.get(name, now)
            if entry is None or entry.fresh is None or entry.known_by & neighbour.bit:
                continue
            entry.told |= neighbour.bit
            found.setdefault((name.author, next_hop(entry.hops)), []).append(name.short)
        neighbour.queue.clear()
        neighbour.flush_at = None
        if found and neighbour.settled_at is None:
            neighbour.settled_at = now + self._limits.new_for
        effects += announcements(neighbour.device, found)
