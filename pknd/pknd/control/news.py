"""Routes of news and standing questions."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from aiohttp import web

from pkn_protocol.control.codec import Json, to_json
from pkn_protocol.control.errors import ErrorCode
from pkn_protocol.control.news import DEFAULT_LINES, MOST_LINES, News, SeenRequest, WatchMatch, WatchRequest
from pkn_protocol.control.stream import StreamEvent
from pkn_protocol.records.limits import TIME_MOST
from pknd.control.acts import Acts
from pknd.control.replies import Streams, reply
from pknd.control.requests import Parameters, read_shape, reference
from pknd.control.services import NewsService
from pknd.errors import DomainError


def routes(news: NewsService, acts: Acts, streams: Streams) -> list[web.RouteDef]:
    async def show(request: web.Request) -> web.StreamResponse:
        parameters = Parameters(request)
        limit = parameters.number("limit", least=1, most=MOST_LINES) or DEFAULT_LINES
        bundled = parameters.flag("bundle", default=True)
        follow = parameters.flag("follow", default=False)
        parameters.done()
        if follow:
            return await streams.answer(request, _news(news.follow(limit=limit, bundled=bundled)))
        return reply(await news.news(limit=limit, bundled=bundled))

    async def seen(request: web.Request) -> web.StreamResponse:
        wanted = await read_shape(request, SeenRequest)
        if not 0 <= wanted.upto <= TIME_MOST:
            raise DomainError(ErrorCode.BAD_REQUEST, "upto is that of the news that were shown")
        return reply(await news.seen(wanted.upto))

    async def watch(request: web.Request) -> web.StreamResponse:
        wanted = await read_shape(request, WatchRequest)
        return await streams.answer(request, _matches(news.watch(wanted)))

    async def watches(request: web.Request) -> web.StreamResponse:
        Parameters(request).done()
        return reply(await news.watches())

    async def save(request: web.Request) -> web.StreamResponse:
        wanted = await read_shape(request, WatchRequest)
        return reply(await news.save(reference(request, "name"), wanted), 201)

    async def remove(request: web.Request) -> web.StreamResponse:
        return reply(await news.remove(reference(request, "name")))

    return [
        web.get("/v1/news", show),
        web.post("/v1/news/seen", acts.whole(seen)),
        web.post("/v1/watch", watch),
        web.get("/v1/watches", watches),
        web.put("/v1/watches/{name}", acts.whole(save)),
        web.delete("/v1/watches/{name}", acts.whole(remove)),
    ]


async def _news(news: AsyncGenerator[News, None]) -> AsyncGenerator[dict[str, Json], None]:
    async with aclosing(news):
        async for one in news:
            yield {"event": StreamEvent.NEWS.value, "news": to_json(one)}


async def _matches(
    found: AsyncGenerator[WatchMatch | int | None, None],
) -> AsyncGenerator[dict[str, Json], None]:
    async with aclosing(found):
        async for one in found:
            if one is None:
                yield {"event": StreamEvent.WATCHING.value}
            elif isinstance(one, int):
                yield {"event": StreamEvent.MISSED.value, "missed": one}
            else:
                yield {"event": StreamEvent.MATCH.value, "match": to_json(one)}
