"""Virtual time: what happens next, in an order that the seed alone decides."""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any, TypeAlias

Act: TypeAlias = Callable[..., None]


class Events:
    """A queue of acts by time. `now` is in ms since the simulation began; acts of one instant happen in the
    order in which they were put in."""

    __slots__ = ("_number", "_queue", "done", "now")

    def __init__(self) -> None:
        self.now = 0.0
        self.done = 0
        self._number = 0
        self._queue: list[tuple[float, int, Act, tuple[Any, ...]]] = []

    def at(self, when: float, act: Act, *arguments: Any) -> None:
        """Do something at an instant; at once, but after the present act, if that has passed."""
        self._number += 1
        heappush(self._queue, (max(when, self.now), self._number, act, arguments))

    def after(self, delay: float, act: Act, *arguments: Any) -> None:
        self.at(self.now + delay, act, *arguments)

    def run_until(self, end: float) -> None:
        """Everything that is due up to an instant, which is then the present one."""
        queue = self._queue
        while queue and queue[0][0] <= end:
            self.now, _, act, arguments = heappop(queue)
            self.done += 1
            act(*arguments)
        self.now = max(self.now, end)

    def __len__(self) -> int:
        return len(self._queue)
