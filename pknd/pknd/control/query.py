"""The route of questions."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from aiohttp import web

from pkn_protocol.control.codec import Json, to_json
from pkn_protocol.control.errors import ErrorCode
from pkn_protocol.control.query import MOST_HITS, MOST_TIMEOUT_MS, QueryRequest
from pkn_protocol.control.stream import StreamEvent
from pknd.control.replies import Streams
from pknd.control.requests import read_shape
from pknd.control.services import QueryService, QueryUpdate
from pknd.errors import DomainError

FEWER_WORDS = "a question has at most 1,000 characters: use fewer words"


def routes(query: QueryService, streams: Streams) -> list[web.RouteDef]:
    async def ask(request: web.Request) -> web.StreamResponse:
        wanted = await read_shape(request, QueryRequest, shorter=FEWER_WORDS)
        if not 1 <= wanted.limit <= MOST_HITS:
            raise DomainError(ErrorCode.BAD_REQUEST, f"limit must be a whole number from 1 to {MOST_HITS}")
        if not 1 <= wanted.timeout_ms <= MOST_TIMEOUT_MS:
            raise DomainError(
                ErrorCode.BAD_REQUEST, f"timeout_ms must be a whole number from 1 to {MOST_TIMEOUT_MS}"
            )
        return await streams.answer(request, _events(query.query(wanted)))

    return [web.post("/v1/query", ask)]


async def _events(updates: AsyncGenerator[QueryUpdate, None]) -> AsyncGenerator[dict[str, Json], None]:
    async with aclosing(updates):
        async for update in updates:
            event = StreamEvent.FINAL if update.final else StreamEvent.SNAPSHOT
            yield {"event": event.value, "result": to_json(update.result)}
