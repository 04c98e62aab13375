"""Ids that are told to neighbours: to whom, when, and gathered into messages."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from pkn_protocol.gossip.effects import CompareDue, Effect, Interests
from pkn_protocol.gossip.history import History, Name
from pkn_protocol.gossip.limits import BroadcastLimits
from pkn_protocol.gossip.neighbour import Neighbour
from pkn_protocol.gossip.neighbours import Neighbours
from pkn_protocol.gossip.parcels import announcements, next_hop
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

    def choose(
        self, neighbours: list[Neighbour], name: Name, now: int, *, is_old: bool
    ) -> Iterator[tuple[Neighbour, bool]]:
        """Those in the tree, those along whom it may grow, and a few others by lot; and whether the first
        word is ours. Both ends of a link draw the same: if both have the record, one is to tell the other.

        `is_old`: it may be one of many, of which the same neighbours are told, in one message.
        """
        certain = [n.is_new(now) or n.is_eager(name.author) for n in neighbours]
        others = len(certain) - sum(certain)
        for neighbour, is_certain in zip(neighbours, certain, strict=True):
            if is_certain:
                yield neighbour, True
                continue
            lot = self._interests.lot(neighbour.device, name.author if is_old else name.short)
            if lot.share * others < self._limits.lazy:
                yield neighbour, is_old or lot.is_first

    def tell_missed(self, neighbour: Neighbour, now: int, effects: list[Effect]) -> None:
        """Who joins the tree had no way to what went by just before, or heard of a part alone."""
        for name, entry in self._history.newest(now - self._limits.missed_for, self._limits.missed):
            if (
                entry.fresh is not None
                and not (entry.known_by | entry.told) & neighbour.bit
                and self._interests.takes(neighbour.device, entry.fresh)
            ):
                self.put(neighbour, name, now, effects, is_awaited=True)

    def put(
        self,
        neighbour: Neighbour,
        name: Name,
        now: int,
        effects: list[Effect],
        *,
        is_awaited: bool,
        is_first: bool = True,
    ) -> None:
        if len(neighbour.queue) >= self._limits.queued_each:
            neighbour.queue.clear()
            neighbour.flush_at = None
            effects.append(CompareDue(neighbour.device))
            return
        due = now
        if not neighbour.is_new(now) and not is_awaited:
            due += int(self._limits.announce_after * (1 + self._chance()))
            if not is_first:
                due += self._limits.second_after
        neighbour.queue[name] = min(due, neighbour.queue.get(name, due))
        neighbour.flush_at = min(due, due if neighbour.flush_at is None else neighbour.flush_at)

    def _flush(self, neighbour: Neighbour, now: int, effects: list[Effect]) -> None:
        found: dict[tuple[AuthorId, int], list[ShortId]] = {}
        soon = now + self._limits.announce_after
        due = [name for name, at in neighbour.queue.items() if at <= soon]
        for name in due:
            del neighbour.queue[name]
            entry = self._history.get(name, now)
            if entry is None or entry.fresh is None or entry.known_by & neighbour.bit:
                continue
            entry.told |= neighbour.bit
            found.setdefault((name.author, next_hop(entry.hops)), []).append(name.short)
        neighbour.flush_at = min(neighbour.queue.values(), default=None)
        if found and neighbour.settled_at is None:
            neighbour.settled_at = now + self._limits.new_for
        effects += announcements(neighbour.device, found)
