"""A bounded queue that can end: whoever waits at either side then learns why."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")


class Mailbox(Generic[T]):
    """Bounded in items and in bytes. One item is always taken, however large."""

    def __init__(self, most_items: int, most_bytes: int | None = None) -> None:
        self._most_items = most_items
        self._most_bytes = most_bytes
        self._items: deque[tuple[T, int]] = deque()
        self._bytes = 0
        self._ended: Exception | None = None
        self._filled = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()

    def __len__(self) -> int:
        return len(self._items)

    async def put(self, item: T, size: int = 0) -> None:
        """Wait for room, then put.

        Raises:
            Exception: what `end` was given.
        """
        while self._ended is None and not self._fits(size):
            self._room.clear()
            await self._room.wait()
        if self._ended is not None:
            raise self._ended
        self._put(item, size, first=False)

    def put_first(self, item: T, size: int = 0) -> bool:
        """Put before everything else, if there is room in items at all; whether it was."""
        if self._ended is not None or len(self._items) >= 2 * self._most_items:
            return False
        self._put(item, size, first=True)
        return True

    async def get(self) -> T:
        """The next item.

        Raises:
            Exception: what `end` was given, once all items are taken.
        """
        while not self._items:
            if self._ended is not None:
                raise self._ended
            self._filled.clear()
            await self._filled.wait()
        item, size = self._items.popleft()
        self._bytes -= size
        self._room.set()
        return item

    def end(self, error: Exception) -> None:
        """Take nothing more; items that are there can still be had."""
        if self._ended is None:
            self._ended = error
        self._filled.set()
        self._room.set()

    def _fits(self, size: int) -> bool:
        if not self._items:
            return True
        if len(self._items) >= self._most_items:
            return False
        return self._most_bytes is None or self._bytes + size <= self._most_bytes

    def _put(self, item: T, size: int, *, first: bool) -> None:
        if first:
            self._items.appendleft((item, size))
        else:
            self._items.append((item, size))
        self._bytes += size
        self._filled.set()
