"""Asking for what was announced and does not come: when, whom, and what follows if that is in vain."""

from __future__ import annotations

from collections.abc import Callable

from pkn_protocol.channel.messages import MOST_FETCHED, Tree
from pkn_protocol.gossip.effects import Charge, Effect, SendGraft
from pkn_protocol.gossip.history import History, Name
from pkn_protocol.gossip.limits import BroadcastLimits
from pkn_protocol.gossip.missing import MissingRecords
from pkn_protocol.gossip.neighbours import Neighbours
from pkn_protocol.gossip.trees import Trees
from pkn_protocol.records.ids import AuthorId, ShortId

_LONGER, _SHORTER = 1.2, 0.98


class Asking:
    """Of one node; `patience` in ms follows from how often it was too short."""

    def __init__(
        self,
        neighbours: Neighbours,
        history: History,
        missing: MissingRecords,
        trees: Trees,
        chance: Callable[[], float],
        limits: BroadcastLimits,
    ) -> None:
        self._neighbours = neighbours
        self._history = history
        self._missing = missing
        self._trees = trees
        self._chance = chance
        self._limits = limits
        self._patience: float = limits.patience

    def wait(self) -> int:
        """For how long an announced record may come along the tree."""
        return int(self._patience * (1 + self._chance()))

    def look_at_doubts(self, now: int, effects: list[Effect]) -> None:
        """What was given beside the tree some time ago and never came along it."""
        for doubt in self._trees.ways.doubts_due(now):
            entry = self._history.get(doubt.name, now)
            if entry is not None and not entry.is_late:
                effects += self._trees.missed(doubt.giver, doubt.name.author)

    def learn_patience(self, *, in_vain: bool) -> None:
        """Settles where one message in ten brings what is there already: asking sooner would cost more, and
        later would leave records waiting that the tree has lost."""
        limits = self._limits
        patience = self._patience * (_LONGER if in_vain else _SHORTER)
        self._patience = min(limits.most_patience, max(limits.patience, patience))

    def ask(self, now: int, effects: list[Effect]) -> None:
        """Ask for what is due, and charge who was asked in vain."""
        due = self._missing.due(now, max(self._limits.graft_again, int(3 * self._patience)))
        for device, author in due.no_way:
            if (neighbour := self._neighbours.get(device)) is not None:
                self._trees.gave_nothing(neighbour, author)
        for device, names in due.asks.items():
            neighbour = self._neighbours.get(device)
            if neighbour is None:
                continue
            by_author: dict[AuthorId, list[ShortId]] = {}
            for name in names:
                by_author.setdefault(name.author, []).append(name.short)
            for author, shorts in by_author.items():
                tree = self._trees.asked(neighbour, author)
                if tree is Tree.NOBODY:
                    for short in shorts:
                        self._missing.asked_beside(Name(author, short), device)
                effects += (
                    SendGraft(device, author, tuple(shorts[at : at + MOST_FETCHED]), tree)
                    for at in range(0, len(shorts), MOST_FETCHED)
                )
        for device, names in due.in_vain.items():
            neighbour = self._neighbours.get(device)
            if neighbour is None:
                continue
            effects.append(Charge(device, "announced what it did not give", len(names)))
            neighbour.undelivered += len(names)
            if neighbour.undelivered >= self._limits.undelivered:
                neighbour.undelivered = 0
                neighbour.ignored_until = now + self._limits.ignored_for
