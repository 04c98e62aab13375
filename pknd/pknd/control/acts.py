"""Acts that change something: once begun they are finished, whether or not the client is still there."""

from __future__ import annotations

import asyncio
from typing import Any

from aiohttp import web

from pknd.control.replies import CLOSE_SECONDS, Handler


class Acts:
    """The changing requests under way. A client that goes away ends its reading requests, but not these."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    def whole(self, handler: Handler) -> Handler:
        """The handler as one that a client's going away does not stop halfway."""

        async def run(request: web.Request) -> web.StreamResponse:
            task = asyncio.ensure_future(handler(request))
            self._tasks.add(task)
            task.add_done_callback(self._done)
            return await asyncio.shield(task)

        return run

    async def close(self) -> None:
        """Wait for the acts under way; cancel what takes too long."""
        tasks = set(self._tasks)
        if not tasks:
            return
        _, late = await asyncio.wait(tasks, timeout=CLOSE_SECONDS)
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late, timeout=CLOSE_SECONDS)

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            # Marks the exception as seen: if the client is still there it was told; else nobody can be.
            task.exception()
