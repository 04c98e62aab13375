"""Routes of the daemon itself: status, shutdown and log."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator
from contextlib import aclosing

from aiohttp import web

from pkn_protocol.control.codec import Json, to_json
from pkn_protocol.control.status import Stopping
from pknd.control.replies import Streams, reply
from pknd.control.requests import Parameters
from pknd.control.services import Lifecycle, LogService, StatusService
from pknd.log import HISTORY_EVENTS

DEFAULT_LINES = 100


def routes(
    status: StatusService, log: LogService, lifecycle: Lifecycle, streams: Streams
) -> list[web.RouteDef]:
    async def show_status(request: web.Request) -> web.StreamResponse:
        Parameters(request).done()
        return reply(await status.status())

    async def shut_down(request: web.Request) -> web.StreamResponse:
        lifecycle.stop()
        return reply(Stopping(True, os.getpid()))

    async def show_log(request: web.Request) -> web.StreamResponse:
        parameters = Parameters(request)
        lines = parameters.number("lines", least=0, most=HISTORY_EVENTS)
        follow = parameters.flag("follow", default=False)
        parameters.done()
        entries = _lines(log, DEFAULT_LINES if lines is None else lines, follow)
        return await streams.answer(request, entries, at_once=True)

    return [
        web.get("/v1/status", show_status),
        web.post("/v1/shutdown", shut_down),
        web.get("/v1/log", show_log),
    ]


async def _lines(log: LogService, lines: int, follow: bool) -> AsyncGenerator[dict[str, Json], None]:
    async with aclosing(log.entries(lines=lines, follow=follow)) as entries:
        async for entry in entries:
            yield to_json(entry)
