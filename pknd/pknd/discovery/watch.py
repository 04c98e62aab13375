"""Noticing that this machine slept, or has other addresses than before."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable

from pkn_protocol.control.status import LogLevel
from pknd import log

POLL_SECONDS = 5.0
"""A change is acted upon within 15 s: at the next poll, with time to spare for the announcement."""
SLEPT_SECONDS = 10.0
"""Clocks that drift apart by more between two polls have been asleep (or were set)."""

ADDRESSES = "addresses"
SLEPT = "slept"


class Changes:
    """Compares each look at clocks and addresses with the one before. Clocks are in seconds."""

    def __init__(self, addresses: Iterable[str], *, wall: float, monotonic: float) -> None:
        self._addresses = frozenset(addresses)
        self._wall = wall
        self._monotonic = monotonic

    def look(
        self, addresses: Iterable[str], *, wall: float, monotonic: float, expected_seconds: float
    ) -> str | None:
        """What happened since the last look, which should be `expected_seconds` ago."""
        seen = frozenset(addresses)
        # Linux and macOS stop the monotonic clock while asleep; where it runs on, the look comes too late.
        asleep = (wall - self._wall) - (monotonic - self._monotonic)
        late = monotonic - self._monotonic - expected_seconds
        others = seen != self._addresses
        self._addresses, self._wall, self._monotonic = seen, wall, monotonic
        if others:
            return ADDRESSES
        return SLEPT if abs(asleep) > SLEPT_SECONDS or late > SLEPT_SECONDS else None


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
        self._list = addresses
        self._changed = changed
        self._poll_seconds = poll_seconds
        self._last: list[str] = []

    async def run(self) -> None:
        """Look at each poll, as long as the daemon runs."""
        changes = Changes(await self._addresses(), wall=self._wall(), monotonic=self._monotonic())
        while True:
            await asyncio.sleep(self._poll_seconds)
            addresses = await self._addresses()
            reason = changes.look(
                addresses,
                wall=self._wall(),
                monotonic=self._monotonic(),
                expected_seconds=self._poll_seconds,
            )
            if reason is not None:
                await self._changed(reason)

    async def _addresses(self) -> list[str]:
        try:
            self._last = await asyncio.to_thread(self._list)
        except OSError as error:
            # As on a network that is being set up: the next look will tell.
            log.event("network.addresses_unknown", LogLevel.DEBUG, error=str(error))
        return self._last
