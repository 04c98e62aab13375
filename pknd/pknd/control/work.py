"""Routes of long works, which tell their progress: import and verify."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from aiohttp import web

from pkn_protocol.control.codec import Json, to_json
from pkn_protocol.control.errors import ErrorCode
from pkn_protocol.control.items import FetchSummary
from pkn_protocol.control.stream import StreamEvent
from pkn_protocol.control.work import ImportRequest, ImportSummary, Progress, VerifyRequest, VerifySummary
from pknd.control.replies import Streams
from pknd.control.requests import TEXT_BODY_BYTES, check_path, read_shape
from pknd.control.services import WorkService
from pknd.errors import DomainError


def routes(work: WorkService, streams: Streams) -> list[web.RouteDef]:
    async def import_paths(request: web.Request) -> web.StreamResponse:
        # A shell's glob gives thousands of paths.
        wanted = await read_shape(request, ImportRequest, TEXT_BODY_BYTES)
        if not wanted.paths:
            raise DomainError(ErrorCode.BAD_REQUEST, "nothing to import", "give files or folders")
        for path in wanted.paths:
            check_path(path)
        return await streams.answer(request, work_events(work.import_paths(wanted)))

    async def verify(request: web.Request) -> web.StreamResponse:
        wanted = await read_shape(request, VerifyRequest)
        return await streams.answer(request, work_events(work.verify(wanted)))

    return [web.post("/v1/import", import_paths), web.post("/v1/verify", verify)]


async def work_events(
    steps: AsyncGenerator[Progress | ImportSummary, None]
    | AsyncGenerator[Progress | VerifySummary, None]
    | AsyncGenerator[Progress | FetchSummary, None],
) -> AsyncGenerator[dict[str, Json], None]:
    """The lines of a long work: progress, then its summary."""
    async with aclosing(steps):
        async for step in steps:
            if isinstance(step, Progress):
                yield {"event": StreamEvent.PROGRESS.value, "progress": to_json(step)}
            else:
                yield {"event": StreamEvent.SUMMARY.value, "summary": to_json(step)}
