"""How the trees change: who joins, who leaves, when a shorter way takes the place of a longer one."""

from __future__ import annotations

from pkn_protocol.channel.messages import Tree
from pkn_protocol.gossip.effects import Effect, Interests, SendGraft, SendPrune
from pkn_protocol.gossip.limits import BroadcastLimits
from pkn_protocol.gossip.neighbour import Neighbour
from pkn_protocol.gossip.neighbours import Neighbours
from pkn_protocol.gossip.ways import Ways
from pkn_protocol.records.ids import AuthorId, DeviceId

_PRUNE_AGAIN = 1000
"""Milliseconds: what was under way when a neighbour was told to send ids needs no second word."""
_MOST_PRUNED = 64
_SLACK = 2
"""Hops by which the shared tree may be longer still than a good one."""


class Trees:
    """Of one node."""

    def __init__(self, neighbours: Neighbours, interests: Interests, limits: BroadcastLimits) -> None:
        self.ways = Ways()
        self._neighbours = neighbours
        self._interests = interests
        self._limits = limits

    def begin(self, author: AuthorId, chosen: list[Neighbour]) -> None:
        """Some get an author's records in full, as nobody has a place in its tree."""
        is_first = not any(n.branch.shared for n in self._neighbours)
        for neighbour in chosen:
            neighbour.branch.set_eager(author, True, Tree.EVERYBODY if is_first else Tree.AUTHOR)

    def brought(self, neighbour: Neighbour, author: AuthorId) -> None:
        """A neighbour pushed what was new and nobody had asked for."""
        if not neighbour.is_eager(author):
            neighbour.branch.set_eager(author, True, self._tree_of_new_way(neighbour, author))
        neighbour.branch.used(author)

    def asked(self, neighbour: Neighbour, author: AuthorId) -> Tree:
        """A neighbour is asked for an author's records: which tree it joins by that."""
        if neighbour.is_eager(author):
            return Tree.NOBODY
        if self._neighbours.has_way(author):
            tree = self.ways.overdue(author, self._neighbours.is_wide(author))
        else:
            tree = self._tree_of_new_way(neighbour, author)
        neighbour.branch.set_eager(author, True, tree)
        return tree

    def missed(self, giver: DeviceId, author: AuthorId) -> list[Effect]:
        """The tree did not bring what a neighbour had: that one joins it."""
        neighbour = self._neighbours.get(giver)
        if neighbour is None or neighbour.is_eager(author) or not self._interests.brings(giver, author):
            return []
        if not self.ways.is_broken():
            return []
        tree = Tree.EVERYBODY if self._neighbours.is_wide(author) else Tree.AUTHOR
        if neighbour.branch.shared:
            tree = Tree.AUTHOR
        neighbour.branch.set_eager(author, True, tree)
        return [SendGraft(giver, author, (), tree)]

    def gave_nothing(self, neighbour: Neighbour, author: AuthorId) -> None:
        """Who joined by being asked did not answer: it is no way to the author."""
        tree = Tree.EVERYBODY if neighbour.branch.shared else Tree.AUTHOR
        neighbour.branch.set_eager(author, False, tree)

    def prune(self, neighbour: Neighbour, author: AuthorId, now: int) -> list[Effect]:
        """A neighbour pushed what was here: ask it for ids alone."""
        told = neighbour.pruned.get(author)
        if told is not None and now - told < _PRUNE_AGAIN and not neighbour.is_eager(author):
            return []
        tree = neighbour.branch.leaves(author)
        if neighbour.branch.shared and self._neighbours.is_wide(author):
            # Two ways to an author whom all in the tree want are two ways to everybody.
            tree = Tree.EVERYBODY
        neighbour.branch.set_eager(author, False, tree)
        neighbour.pruned.pop(author, None)
        neighbour.pruned[author] = now
        if len(neighbour.pruned) > _MOST_PRUNED:
            neighbour.pruned.popitem(last=False)
        return [SendPrune(neighbour.device, author, tree)]

    def shorten(
        self, parent: Neighbour, author: AuthorId, hops: int, nearest: tuple[int, DeviceId]
    ) -> list[Effect]:
        """Change over to a neighbour that has a record over a shorter way than the tree's: over `nearest[0]`
        hops instead of `hops`. It cannot lie behind us, as it is nearer to whoever published the record."""
        shorter, device = nearest
        other = self._neighbours.get(device)
        if (
            other is None
            or not 0 < shorter <= hops - self._limits.shorter_by
            or not parent.speaks
            or not parent.is_eager(author)
            or other.is_eager(author)
            or not self._interests.brings(device, author)
        ):
            return []
        if parent.branch.shared and not other.branch.shared and hops > 2 * (shorter + _SLACK):
            # In a good tree of all, the way from one to another is up to twice the shortest.
            tree = Tree.EVERYBODY
        elif self.ways.is_known(author):
            tree = Tree.AUTHOR
        else:
            # It is not worth it for one record.
            return []
        parent.branch.set_eager(author, False, tree)
        other.branch.set_eager(author, True, tree)
        return [SendPrune(parent.device, author, tree), SendGraft(device, author, (), tree)]

    def _tree_of_new_way(self, neighbour: Neighbour, author: AuthorId) -> Tree:
        """Which tree a link joins that brings an author's records: everybody's, unless the shared tree leaves
        this author out here, because those who are in it do not want the author."""
        others = [n for n in self._neighbours if n is not neighbour and n.branch.shared]
        if not others or neighbour.branch.shared:
            return Tree.EVERYBODY
        reached = any(n.branch.is_eager(author) and self._interests.brings(n.device, author) for n in others)
        return Tree.EVERYBODY if reached else Tree.AUTHOR
