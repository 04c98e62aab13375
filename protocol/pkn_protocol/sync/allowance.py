"""How often something may happen: so many times at once, and then once in so long (a generic cell rate, as in
ITU-T I.371)."""

from __future__ import annotations


class Allowance:
    """`burst` times at once, and one more for each `every` ms."""

    __slots__ = ("_every", "_full", "_window")

    def __init__(self, burst: int, every: int) -> None:
        self._every = every
        self._window = burst * every
        self._full = 0
        """When the whole burst is there again."""

    def earliest(self, now: int) -> int:
        """When the next one may be; not after `now` if it may be at once."""
        # A time far ahead was named before the clock was set back.
        if self._full > now + self._window + self._every:
            self._full = now
        return self._full - self._window + self._every

    def take(self, now: int) -> None:
        self._full = max(self._full, now) + self._every
