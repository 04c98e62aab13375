"""Whether the tree still brings what it should, so that a slow link does not count as a broken one.

A record that is late is asked for beside the tree, which stays as it is: with the original rule each lost
packet rewires the tree at random, until its paths are three times as long (measured with 200 nodes and one
packet in ten lost). It is changed when a neighbour in it was lost, or when it has failed again and again.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from pkn_protocol.channel.messages import Tree
from pkn_protocol.records.ids import AuthorId

_APART_MS = 1000
"""What is late at once is late for one reason."""
_REMEMBERED_MS = 60_000
_MOST_FAILURES = 2
_MOST_AUTHORS_FAILING = 3
_MOST_BROUGHT = 1024


@dataclass(slots=True)
class _Failing:
    count: int
    last: int


class Ways:
    """Failures of the tree by author, of the last minute."""

    def __init__(self) -> None:
        self._failing: OrderedDict[AuthorId, _Failing] = OrderedDict()
        self._known: OrderedDict[AuthorId, None] = OrderedDict()
        self._brought = 0
        self._is_cut = False

    def __len__(self) -> int:
        return len(self._failing)

    def lost_link(self) -> None:
        """A neighbour in the shared tree is gone."""
        self._is_cut = True

    def brought(self, author: AuthorId) -> None:
        """The tree has brought a record, if late."""
        self._failing.pop(author, None)
        self._known[author] = None
        self._known.move_to_end(author)
        if len(self._known) > _MOST_BROUGHT:
            self._known.popitem(last=False)
        self._brought = self._brought + 1 if self._failing else 0

    def is_known(self, author: AuthorId) -> bool:
        """Whether the tree has brought the author's records before."""
        return author in self._known

    def failed(self, author: AuthorId, is_wide: bool, now: int) -> Tree:
        """A record is overdue: which tree to change by asking for it. `is_wide`: all in the tree want it."""
        if self._is_cut:
            self._is_cut = False
            return Tree.EVERYBODY
        while self._failing and next(iter(self._failing.values())).last < now - _REMEMBERED_MS:
            self._failing.popitem(last=False)
        failing = self._failing.get(author)
        if failing is None and not is_wide and author not in self._known:
            # Who wants the author in the tree may lie behind us: perhaps there is no way at all.
            return Tree.AUTHOR
        if failing is None:
            self._failing[author] = failing = _Failing(1, now)
        elif now - failing.last >= _APART_MS:
            failing.count, failing.last = failing.count + 1, now
            self._failing.move_to_end(author)
        if len(self._failing) > max(_MOST_AUTHORS_FAILING, self._brought):
            # Not one author's way is broken but most that there are.
            self._failing.clear()
            return Tree.EVERYBODY
        if failing.count > _MOST_FAILURES:
            del self._failing[author]
            return Tree.AUTHOR
        return Tree.NOBODY
