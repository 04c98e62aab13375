"""Waiting for the next change of something."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field


@dataclass(slots=True)
class Changes:
    """Counts what has changed, for those who wait for the next change."""

    count: int = 0
    _event: asyncio.Event = field(default_factory=asyncio.Event)

    def tell(self) -> None:
        self.count += 1
        event, self._event = self._event, asyncio.Event()
        event.set()

    async def since(self, count: int) -> None:
        """Until there has been a change after that count."""
        while self.count == count:
            await self._event.wait()
