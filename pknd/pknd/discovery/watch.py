"""Noticing that this machine slept, or has other addresses than before."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

POLL_SECONDS = 5.0
"""A change is acted upon within 15 s: at the next poll, with time to spare for the announcement."""
SLEPT_SECONDS = 10.0
"""Clocks that drift apart by more between two polls have been asleep (or were set)."""


class Watch:
    """`wall` and `monotonic` give seconds; `changed` is awaited with the reason."""

    def __init__(
        self,
        *,
        wall: Callable[[], float],
        monotonic: Callable[[], float],
        addresses: Callable[[], list[str]],
        changed: Callable[[str], Awaitable[None]],
        poll_seconds: float = POLL_SECONDS,
    ) -> None:
        self._wall = wall
        self._monotonic = monotonic
        self._addresses = addresses
        self._changed = changed
        self._poll_seconds = poll_seconds

    async def run(self) -> None:
        known = await asyncio.to_thread(self._addresses)
        offset = self._wall() - self._monotonic()
        last = self._monotonic()
        while True:
            await asyncio.sleep(self._poll_seconds)
            seen = await asyncio.to_thread(self._addresses)
            now_offset = self._wall() - self._monotonic()
            late = self._monotonic() - last - self._poll_seconds
            if sorted(seen) != sorted(known):
                await self._changed("addresses")
            elif abs(now_offset - offset) > SLEPT_SECONDS or late > SLEPT_SECONDS:
                await self._changed("slept")
            known, offset, last = seen, now_offset, self._monotonic()
