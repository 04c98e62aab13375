"""What came from a peer and waits to be stored, joined to batches (SPEC, Sync)."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from pkn_protocol.sync.spreading import How

STORED_AT_ONCE = 1024
"""Records in a batch: its transaction's fsync is then a small part of the work."""
STORED_BYTES_AT_ONCE = 4 * 1024 * 1024
MOST_BATCHES = 2
"""Batches of one connection under way: one is verified while the other is written."""


@dataclass(frozen=True, slots=True)
class _Part:
    """Blocks in the order in which they came. `ordered`: what comes after may need them."""

    blocks: tuple[bytes, ...]
    how: How
    ordered: bool
    size: int


class Arrivals:
    """One connection's. While a batch is stored the next gathers, so that the slower the disk is, the fewer
    transactions it has to do."""

    def __init__(self) -> None:
        self._ordered: deque[_Part] = deque()
        self._others: deque[_Part] = deque()
        self._storing: dict[int, _Part] = {}
        self.count = 0
        """Records that are not on disk yet."""

    def put(self, blocks: Sequence[bytes], how: How, *, ordered: bool) -> None:
        if blocks:
            queue = self._ordered if ordered else self._others
            queue.append(_Part(tuple(blocks), how, ordered, sum(map(len, blocks))))
            self.count += len(blocks)

    def next_batch(self, number: int, *, only_ordered: bool) -> tuple[bytes, ...] | None:
        """What to store next, under that number; None while enough is under way, or nothing waits.

        `only_ordered`: what the others may need is still on its way.
        """
        if self._ordered:
            queue = self._ordered
            if self._storing:
                return None
        else:
            queue = self._others
            ordered_under_way = any(part.ordered for part in self._storing.values())
            if not queue or only_ordered or ordered_under_way or len(self._storing) >= MOST_BATCHES:
                return None
        first = queue[0]
        blocks: list[bytes] = []
        size = 0
        while queue and queue[0].how is first.how:
            too_many = len(blocks) + len(queue[0].blocks) > STORED_AT_ONCE
            if blocks and (too_many or size + queue[0].size > STORED_BYTES_AT_ONCE):
                break
            part = queue.popleft()
            blocks += part.blocks
            size += part.size
        self._storing[number] = _Part(tuple(blocks), first.how, first.ordered, size)
        return tuple(blocks)

    def stored(self, number: int) -> None:
        part = self._storing.pop(number, None)
        if part is not None:
            self.count -= len(part.blocks)

    def how(self, number: int) -> How:
        """How the records of a batch under way came here."""
        part = self._storing.get(number)
        return How.FETCHED if part is None else part.how
