"""Routes of items: publish, list, show, content, history, edit, retract; and tags."""

from __future__ import annotations

import re
from contextlib import aclosing
from urllib.parse import quote

from aiohttp import web

from pkn_protocol.control.errors import ErrorCode
from pkn_protocol.control.items import EditRequest, PublishRequest
from pkn_protocol.control.kinds import Kind
from pkn_protocol.control.status import LogLevel
from pkn_protocol.control.summaries import ListFilter
from pkn_protocol.records.limits import TIME_MOST
from pknd import log
from pknd.control.acts import Acts
from pknd.control.replies import Streams, explained, reply
from pknd.control.requests import TEXT_BODY_BYTES, Parameters, check_path, read_shape, reference
from pknd.control.services import ItemsService, PayloadContent
from pknd.control.work import work_events
from pknd.errors import DomainError

MOST_LISTED = 1_000
MOST_TAGS = 10_000
DEFAULT_TAGS = 200
DEFAULT_SHOW_MS = 5_000
DEFAULT_PAYLOAD_MS = 30_000
MOST_WAIT_MS = 600_000
_PLAIN = "application/octet-stream"
_RANGE = re.compile(r"bytes=([0-9]{1,13})-([0-9]{1,13})?")
# RFC 6838, section 4.2; the record's media type is foreign text and goes into a header.
_MEDIA_TYPE = re.compile(r"[A-Za-z0-9][\w!#$&^.+-]{0,126}/[A-Za-z0-9][\w!#$&^.+-]{0,126}", re.ASCII)


def routes(items: ItemsService, acts: Acts, streams: Streams) -> list[web.RouteDef]:
    async def publish(request: web.Request) -> web.StreamResponse:
        wanted = await read_shape(request, PublishRequest, TEXT_BODY_BYTES)
        _check_source(wanted)
        return reply(await items.publish(wanted), 201)

    async def listed(request: web.Request) -> web.StreamResponse:
        return reply(await items.listed(_filter(Parameters(request))))

    async def show(request: web.Request) -> web.StreamResponse:
        parameters = Parameters(request)
        fetch = parameters.flag("fetch", default=True)
        wait = parameters.number("timeout_ms", least=1, most=MOST_WAIT_MS) or DEFAULT_SHOW_MS
        parameters.done()
        return reply(await items.show(reference(request, "item"), fetch=fetch, timeout_s=wait / 1000))

    async def payload(request: web.Request) -> web.StreamResponse:
        parameters = Parameters(request)
        wait = parameters.number("timeout_ms", least=1, most=MOST_WAIT_MS) or DEFAULT_PAYLOAD_MS
        parameters.done()
        first, last = _range(request)
        item = reference(request, "item")
        content = await items.payload(item, timeout_s=wait / 1000, first=first, last=last)
        return await _send(request, content)

    async def fetch(request: web.Request) -> web.StreamResponse:
        parameters = Parameters(request)
        wait = parameters.number("timeout_ms", least=1, most=MOST_WAIT_MS) or DEFAULT_PAYLOAD_MS
        parameters.done()
        work = items.fetch(reference(request, "item"), timeout_s=wait / 1000)
        return await streams.answer(request, work_events(work))

    async def history(request: web.Request) -> web.StreamResponse:
        return reply(await items.history(reference(request, "item")))

    async def edit(request: web.Request) -> web.StreamResponse:
        wanted = await read_shape(request, EditRequest, TEXT_BODY_BYTES)
        _check_edit(wanted)
        return reply(await items.edit(reference(request, "item"), wanted))

    async def retract(request: web.Request) -> web.StreamResponse:
        return reply(await items.retract(reference(request, "item")))

    async def tags(request: web.Request) -> web.StreamResponse:
        parameters = Parameters(request)
        author = parameters.text("author")
        limit = parameters.number("limit", least=1, most=MOST_TAGS) or DEFAULT_TAGS
        parameters.done()
        return reply(await items.tags(author=author, limit=limit))

    return [
        web.post("/v1/items", acts.whole(publish)),
        web.get("/v1/items", listed),
        web.get("/v1/items/{item}", show),
        web.get("/v1/items/{item}/payload", payload),
        web.post("/v1/items/{item}/fetch", fetch),
        web.get("/v1/items/{item}/history", history),
        web.put("/v1/items/{item}", acts.whole(edit)),
        web.delete("/v1/items/{item}", acts.whole(retract)),
        web.get("/v1/tags", tags),
    ]


def _check_source(wanted: PublishRequest) -> None:
    if wanted.path is not None:
        check_path(wanted.path)
        if wanted.text is not None or wanted.url is not None:
            raise DomainError(ErrorCode.BAD_REQUEST, "path goes with neither text nor url")
    elif wanted.text is None and wanted.url is None:
        raise DomainError(ErrorCode.BAD_REQUEST, "nothing to publish", "give a path, a text or a url")


def _check_edit(wanted: EditRequest) -> None:
    if wanted == EditRequest():
        raise DomainError(ErrorCode.BAD_REQUEST, "nothing to change", "give a path, a text, a title or tags")
    if wanted.path is not None:
        check_path(wanted.path)
        if wanted.text is not None:
            raise DomainError(ErrorCode.BAD_REQUEST, "path does not go with text")


def _filter(parameters: Parameters) -> ListFilter:
    kind = parameters.text("kind")
    if kind is not None and kind not in list(Kind):
        raise DomainError(ErrorCode.BAD_REQUEST, f"there is no kind {kind!r}", f"kinds are {', '.join(Kind)}")
    wanted = ListFilter(
        tags=parameters.texts("tag"),
        author=parameters.text("author"),
        kind=None if kind is None else Kind(kind),
        since=parameters.number("since", least=0, most=TIME_MOST),
        audience=parameters.text("audience"),
        mine=parameters.flag("mine", default=False),
        limit=parameters.number("limit", least=1, most=MOST_LISTED) or ListFilter().limit,
        cursor=parameters.text("cursor"),
    )
    parameters.done()
    return wanted


def _range(request: web.Request) -> tuple[int, int | None]:
    """First byte and the end (exclusive) of `Range: bytes=FIRST-[LAST]`; the whole without one. Other ranges
    are passed over, as RFC 9110 allows: the answer is the whole, then."""
    found = _RANGE.fullmatch(request.headers.get("Range", ""))
    if found is None:
        return 0, None
    first, last = int(found[1]), int(found[2]) + 1 if found[2] else None
    return (0, None) if last is not None and last <= first else (first, last)


async def _send(request: web.Request, content: PayloadContent) -> web.StreamResponse:
    """The content as the body. When it breaks off, the connection is cut before Content-Length is reached."""
    response = web.StreamResponse()
    response.content_type = content.media_type if _MEDIA_TYPE.fullmatch(content.media_type) else _PLAIN
    last = content.size if content.last is None else content.last
    size = last - content.first
    if _RANGE.fullmatch(request.headers.get("Range", "")) and (content.first or last < content.size):
        if not size:
            raise DomainError(
                ErrorCode.BAD_RANGE, f"the content has {content.size} bytes", "ask for some of them"
            )
        response.set_status(206)
        response.headers["Content-Range"] = f"bytes {content.first}-{last - 1}/{content.size}"
    response.headers["Accept-Ranges"] = "bytes"
    response.content_length = size
    if content.name is not None:
        name = quote(content.name.encode("utf-8", "replace"), safe="")
        response.headers["Content-Disposition"] = f"attachment; filename*=UTF-8''{name}"
    sent = 0
    async with aclosing(content.chunks) as chunks:
        chunk = await anext(chunks, None)
        await response.prepare(request)
        try:
            while chunk is not None and sent + len(chunk) <= size:
                await response.write(chunk)
                sent += len(chunk)
                chunk = await anext(chunks, None)
        except Exception as error:
            # Too late for an error reply: whatever is sent now would be taken for content.
            if request.transport is not None and not request.transport.is_closing():
                told = explained(error, request)
                log.event("control.content_broken", LogLevel.WARNING, sent=sent, error=told.message)
    if sent != size or chunk is not None:
        response.force_close()
        if request.transport is not None:
            request.transport.abort()
        return response
    await response.write_eof()
    return response
