"""What runs as long as the daemon does, and is not ended by an error of one turn."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from pkn_protocol.control.status import LogLevel
from pknd import log
from pknd.errors import DomainError

PAUSE_SECONDS = 5.0
"""Before a loop that failed begins anew: a volume that is full stays so for a while."""


async def kept_up(name: str, loop: Callable[[], Awaitable[None]], *, pause: float = PAUSE_SECONDS) -> None:
    """Run a loop; when it fails, log why and begin it anew. Returns when the loop does.

    A fault of one part must not end the others: nothing that was stored is at risk, and what the turn was to
    do is done by a later one.
    """
    while True:
        try:
            await loop()
            return
        except DomainError as error:
            # Expected ones, as when the volume is full, say themselves what to do.
            log.event("daemon.loop_failed", LogLevel.WARNING, loop=name, error=str(error), hint=error.hint)
        except Exception as error:
            log.failure("daemon.loop_failed", error, loop=name)
        await asyncio.sleep(pause)
