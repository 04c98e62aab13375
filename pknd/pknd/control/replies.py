"""Answering: shapes as JSON, streams as one JSON object a line, and every failure in one form."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Any

from aiohttp import web

from pkn_protocol.control.codec import Json, to_json
from pkn_protocol.control.errors import ErrorBody, ErrorCode, ErrorReply, http_status
from pkn_protocol.control.stream import StreamEvent
from pknd import log
from pknd.errors import DomainError

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_JSON = "application/json"
_NDJSON = "application/x-ndjson"
# How long the work behind streams and acts may take to end when the daemon stops; it has 2 s in all.
CLOSE_SECONDS = 0.7


def reply(shape: object, status: int = 200) -> web.Response:
    """A shape as the whole answer."""
    return web.Response(body=_line(to_json(shape)), status=status, content_type=_JSON, charset="utf-8")


class Streams:
    """The streaming answers under way; `close` ends them all, so that the daemon can stop at once."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()
        self._closing = False

    async def answer(
        self,
        request: web.Request,
        events: AsyncGenerator[dict[str, Json], None],
        *,
        at_once: bool = False,
    ) -> web.StreamResponse:
        """`events` as lines, until they end or the client goes away; both end the work.

        What fails before the first event is raised, so that it becomes an ordinary error reply; later it
        becomes the last line. `at_once` answers before there is a first event. The generator runs in one
        task from beginning to end, so it may hold task groups and timeouts across its yields.
        """
        task = asyncio.current_task()
        if task is None or self._closing:
            raise DomainError(ErrorCode.BUSY, "pknd is stopping", "start it again with pkn up")
        self._tasks.add(task)
        response = web.StreamResponse()
        response.content_type = _NDJSON
        try:
            async with aclosing(events):
                if at_once:
                    await response.prepare(request)
                await self._send(request, response, events)
        except _ClientGone:
            pass
        except asyncio.CancelledError:
            await self._end(response)
            raise
        finally:
            self._tasks.discard(task)
        return response

    async def close(self) -> None:
        """Cancel the streams and wait until their work has ended."""
        self._closing = True
        tasks = set(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=CLOSE_SECONDS)

    async def _end(self, response: web.StreamResponse) -> None:
        if self._closing and response.prepared:
            await response.write_eof()

    @staticmethod
    async def _send(
        request: web.Request,
        response: web.StreamResponse,
        events: AsyncGenerator[dict[str, Json], None],
    ) -> None:
        while True:
            try:
                event = await anext(events, None)
            except Exception as error:
                if not response.prepared:
                    raise
                body = to_json(explained(error, request))
                await _write(response, {"event": StreamEvent.ERROR.value, "error": body})
                break
            if not response.prepared:
                await response.prepare(request)
            if event is None:
                break
            await _write(response, event)
        await response.write_eof()


class _ClientGone(Exception):
    """The client went away between two lines; there is nobody to tell."""


async def _write(response: web.StreamResponse, event: dict[str, Json]) -> None:
    try:
        await response.write(_line(event))
    except ConnectionResetError:
        raise _ClientGone from None


def explained(error: Exception, request: web.Request) -> ErrorBody:
    """What to tell the user of any error; an unexpected one is logged and named by the id in the log."""
    if isinstance(error, DomainError):
        return error.body()
    if isinstance(error, TimeoutError):
        return ErrorBody(ErrorCode.TIMED_OUT, "it took too long", "try again, or allow more time")
    identifier = log.failure("control.failed", error, method=request.method, path=request.path)
    return ErrorBody(
        ErrorCode.INTERNAL,
        f"pknd failed at this (error {identifier})",
        "pkn log shows more; with log_level = debug it says where",
    )


def error_reply(body: ErrorBody) -> web.Response:
    response = reply(ErrorReply(body), http_status(body.code))
    if body.code == ErrorCode.TOO_LARGE:
        # The rest of the body is still coming, and nobody will read it.
        response.force_close()
    return response


@web.middleware
async def errors_as_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn every failure of a route into the error reply of the control API."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        return error_reply(_of_http(error, request))
    except Exception as error:
        if request.transport is None or request.transport.is_closing():
            raise ConnectionResetError("the client went away") from None
        return error_reply(explained(error, request))


def _of_http(error: web.HTTPException, request: web.Request) -> ErrorBody:
    if isinstance(error, web.HTTPMethodNotAllowed):
        allowed = ", ".join(sorted(error.allowed_methods))
        return ErrorBody(
            ErrorCode.WRONG_METHOD, f"{request.path} has no {request.method}", f"it has {allowed}"
        )
    if error.status == 404:
        return ErrorBody(
            ErrorCode.NO_SUCH_ROUTE, f"there is no {request.method} {request.path}", "see docs/control-api.md"
        )
    if error.status == 413:
        return ErrorBody(ErrorCode.TOO_LARGE, "the request is too large")
    return ErrorBody(ErrorCode.BAD_REQUEST, error.reason or "the request cannot be read")


def _line(value: Json) -> bytes:
    # Escapes of everything beyond ASCII: file names that are not UTF-8 survive as lone surrogates.
    return json.dumps(value, separators=(",", ":")).encode("ascii") + b"\n"
