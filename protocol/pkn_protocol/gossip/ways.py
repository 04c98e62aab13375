"""Whether the tree still brings what it should, so that a slow link does not count as a broken one.

A record that is late is asked for beside the tree, which stays as it is: with the original rule each lost
packet rewires the tree at random, until its paths are three times as long (measured with 200 nodes and one
packet in ten lost). What the tree brings after all shows that it is whole; if nothing comes, it is not.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterator
from typing import NamedTuple

from pkn_protocol.channel.messages import Tree
from pkn_protocol.gossip.history import Name
from pkn_protocol.records.ids import AuthorId, DeviceId

LATE_MS = 2000
"""For a record that was asked for beside the tree to come along it too: a packet that is lost twice is there
after 0.9 s (RFC 6298 with Linux's least timeout)."""
_BROKEN = 2.0
"""Records that the tree did not bring, until it is changed: one of them may have been late for all who are
near in the tree, so that none of them brought it."""
_FORGIVEN = 1 / 3
"""Of that for each record that it does bring: a tree that lacks a third of all records is broken."""
_AT_FIRST = 1.0
"""A tree that has brought nothing yet is worth less."""
_MOST_DOUBTS = 1024
_MOST_BROUGHT = 1024


class Doubt(NamedTuple):
    """A record that `giver` gave beside the tree; whether that brings it shows by `due`."""

    due: int
    name: Name
    giver: DeviceId


class Ways:
    """What one node knows of the ways along which records come."""

    def __init__(self) -> None:
        self._parents: OrderedDict[AuthorId, DeviceId] = OrderedDict()
        self._doubts: deque[Doubt] = deque()
        self._is_cut = False
        self._missed = _AT_FIRST

    def lost_link(self) -> None:
        """A neighbour in the shared tree is gone."""
        self._is_cut = True

    def brought(self, author: AuthorId, by: DeviceId) -> None:
        """The tree has brought a record, if late."""
        self._missed = max(0.0, self._missed - _FORGIVEN)
        self._parents[author] = by
        self._parents.move_to_end(author)
        if len(self._parents) > _MOST_BROUGHT:
            self._parents.popitem(last=False)

    def parent(self, author: AuthorId) -> DeviceId | None:
        """Who brought an author's last record along the tree."""
        return self._parents.get(author)

    def is_known(self, author: AuthorId) -> bool:
        """Whether the tree has brought the author's records before."""
        return author in self._parents

    def overdue(self, author: AuthorId, is_wide: bool) -> Tree:
        """A record is asked for since it did not come: which tree to change by that. `is_wide`: all in the
        tree want it."""
        if self._is_cut:
            self._is_cut = False
            return Tree.EVERYBODY
        if not is_wide and author not in self._parents:
            # Who wants the author in the tree may lie behind us: perhaps there is no way at all.
            return Tree.AUTHOR
        return Tree.NOBODY

    def doubt(self, name: Name, giver: DeviceId, now: int) -> None:
        """A record came beside the tree, along which it may still come."""
        if len(self._doubts) < _MOST_DOUBTS:
            self._doubts.append(Doubt(now + LATE_MS, name, giver))

    def is_broken(self) -> bool:
        """The tree did not bring a record at all: whether that is to be the last one."""
        self._missed += 1
        if self._missed < _BROKEN:
            return False
        self._missed = 0.0
        return True

    def doubts_due(self, now: int) -> Iterator[Doubt]:
        while self._doubts and self._doubts[0].due <= now:
            yield self._doubts.popleft()

    def next_due(self) -> int | None:
        return self._doubts[0].due if self._doubts else None
