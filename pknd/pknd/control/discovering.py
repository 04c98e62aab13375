"""Routes of discovering: who knows about something, what is like an item."""

from __future__ import annotations

from aiohttp import web

from pkn_protocol.control.discovering import DEFAULT_RELATED, MOST_EXPERTS, MOST_RELATED, WhoRequest
from pkn_protocol.control.errors import ErrorCode
from pknd.control.query import FEWER_WORDS
from pknd.control.replies import reply
from pknd.control.requests import Parameters, read_shape, reference
from pknd.control.services import DiscoveringService
from pknd.errors import DomainError


def routes(discovering: DiscoveringService) -> list[web.RouteDef]:
    async def who(request: web.Request) -> web.StreamResponse:
        wanted = await read_shape(request, WhoRequest, shorter=FEWER_WORDS)
        if not 1 <= wanted.limit <= MOST_EXPERTS:
            raise DomainError(ErrorCode.BAD_REQUEST, f"limit must be a whole number from 1 to {MOST_EXPERTS}")
        return reply(await discovering.who(wanted))

    async def related(request: web.Request) -> web.StreamResponse:
        parameters = Parameters(request)
        limit = parameters.number("limit", least=1, most=MOST_RELATED) or DEFAULT_RELATED
        parameters.done()
        return reply(await discovering.related(reference(request, "item"), limit=limit))

    return [web.post("/v1/who", who), web.get("/v1/items/{item}/related", related)]
