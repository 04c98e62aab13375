"""One neighbour: whether records go to it whole or as ids, and the ids that wait to be told.

There is one tree for all authors, since most neighbours want the same ones and a tree is only worth having
when it is there before the record. Yet interests differ, and the shortest tree is another for each author: so
those whose records came by lately have trees of their own, a bounded number, which began as the shared one.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

from pkn_protocol.channel.messages import Tree
from pkn_protocol.gossip.history import Name
from pkn_protocol.gossip.limits import BroadcastLimits
from pkn_protocol.records.ids import AuthorId, DeviceId


@dataclass(slots=True)
class Branch:
    """Whether a link belongs to the shared tree, and to those of the authors whose records came by last."""

    most_authors: int
    shared: bool = False
    _own: OrderedDict[AuthorId, bool] = field(default_factory=OrderedDict)
    _duplicate_of: AuthorId | None = None

    def is_eager(self, author: AuthorId) -> bool:
        return self._own.get(author, self.shared)

    def set_eager(self, author: AuthorId, eager: bool, tree: Tree) -> None:
        """The link joins or leaves the author's tree, or everybody's but those that are their own already."""
        if tree is Tree.NOBODY:
            return
        if tree is Tree.EVERYBODY and self.shared is not eager:
            self.shared = eager
            self._duplicate_of = None
        self._keep(author, eager)

    def used(self, author: AuthorId) -> None:
        """A record went along the author's tree: it does not change with the shared one any more."""
        if self.is_eager(author):
            self._keep(author, True)

    def _keep(self, author: AuthorId, eager: bool) -> None:
        self._own[author] = eager
        self._own.move_to_end(author)
        if len(self._own) > self.most_authors:
            self._own.popitem(last=False)

    def leaves(self, author: AuthorId) -> Tree:
        """Which tree a link that brought a duplicate is to leave: with the second author everybody's."""
        if not self.shared:
            return Tree.AUTHOR
        before, self._duplicate_of = self._duplicate_of, author
        return Tree.AUTHOR if before in (None, author) else Tree.EVERYBODY


@dataclass(slots=True)
class Neighbour:
    """`bit`: its place in sets of neighbours; `speaks`: it knows announcements, and is not just pushed to."""

    device: DeviceId
    bit: int
    speaks: bool
    branch: Branch
    queue: dict[Name, None] = field(default_factory=dict)
    flush_at: int | None = None
    settled_at: int | None = None
    """Until then ids go at once, since the tree grows along them; None while none went."""
    pruned: OrderedDict[AuthorId, int] = field(default_factory=OrderedDict)
    undelivered: int = 0
    ignored_until: int = 0

    @classmethod
    def make(cls, device: DeviceId, bit: int, *, speaks: bool, limits: BroadcastLimits) -> Neighbour:
        return cls(device, bit, speaks, Branch(limits.trees))

    def is_new(self, now: int) -> bool:
        return self.settled_at is None or now < self.settled_at

    def is_eager(self, author: AuthorId) -> bool:
        return not self.speaks or self.branch.is_eager(author)
