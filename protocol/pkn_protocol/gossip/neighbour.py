"""One neighbour: whether records go to it whole or as ids, and the ids that wait to be told.

There is one tree for all authors, since most neighbours want the same ones and a tree is only worth having
when it is there before the record. Interests differ all the same, so that an author's tree may leave the
shared one; where it does is remembered as exceptions, a bounded number.
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
    """Whether a link belongs to the shared tree, and the authors for whom it is otherwise."""

    most_exceptions: int
    shared: bool = False
    _exceptions: OrderedDict[AuthorId, None] = field(default_factory=OrderedDict)
    _duplicate_of: AuthorId | None = None

    def is_eager(self, author: AuthorId) -> bool:
        return self.shared != (author in self._exceptions)

    def set_eager(self, author: AuthorId, eager: bool, tree: Tree) -> None:
        """The link joins or leaves the author's tree, or everybody's."""
        if tree is Tree.NOBODY:
            return
        if tree is Tree.EVERYBODY and self.shared is not eager:
            # What were exceptions agree with the rule now, and nobody is known to differ from it.
            self.shared = eager
            self._exceptions.clear()
            self._duplicate_of = None
        self._exceptions.pop(author, None)
        if self.shared is not eager:
            self._exceptions[author] = None
            if len(self._exceptions) > self.most_exceptions:
                self._exceptions.popitem(last=False)

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
        return cls(device, bit, speaks, Branch(limits.exceptions))

    def is_new(self, now: int) -> bool:
        return self.settled_at is None or now < self.settled_at

    def is_eager(self, author: AuthorId) -> bool:
        return not self.speaks or self.branch.is_eager(author)
