"""Giving blocks over HTTP (SPEC, Transport, Blocks): to whom holds the token of a living connection, with the
same answer for a block that is absent and for one that may not be seen."""

from __future__ import annotations

import asyncio
import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Awaitable, Callable

from aiohttp import web

from pkn_protocol.channel.errors import CloseCode
from pkn_protocol.control.status import LogLevel
from pkn_protocol.records.ids import AuthorId, BadId, Cid, parse_cid
from pknd import log
from pknd.channel.budgets import BulkBudget
from pknd.channel.limits import PIECE_BYTES, Limits
from pknd.channel.link import Link
from pknd.channel.listener import BLOCKS_PATH, Guest, plain
from pknd.channel.registry import Registry

_SCHEME = "Bearer "
_MOST_TOKEN_CHARS = 128


def token_text(token: bytes) -> str:
    """The token as it stands in `Authorization` (RFC 6750): base64url without padding."""
    return urlsafe_b64encode(token).decode("ascii").rstrip("=")


def parse_token(header: str) -> bytes | None:
    """The token of an `Authorization` header; None where it holds none."""
    text = header.removeprefix(_SCHEME)
    if text == header or len(text) > _MOST_TOKEN_CHARS:
        return None
    try:
        return urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError):
        return None


class BlockServer:
    """`read` gives a block that a peer may see, and None alike for what is absent and what is not its."""

    def __init__(
        self,
        registry: Registry,
        read: Callable[[Link, Cid], Awaitable[bytes | None]],
        is_near: Callable[[AuthorId], bool],
        limits: Limits,
        clock: Callable[[], float],
    ) -> None:
        self._registry = registry
        self._read = read
        self._is_near = is_near
        self._limits = limits
        self._clock = clock
        self._budget = BulkBudget(limits, clock())

    async def answer(self, request: web.BaseRequest, guest: Guest) -> web.StreamResponse:
        """One request for a block, or for a part of it."""
        token = parse_token(request.headers.get("Authorization", ""))
        link = self._registry.by_token(token) if token is not None else None
        if link is None:
            guest.refused("a request for a block without the token of a connection", LogLevel.DEBUG)
            response = plain(401)
            response.force_close()
            return response
        guest.settle()
        is_near = self._is_near(link.peer.author)
        reason = self._budget.enter(link.address, is_near=is_near, given=link.blocks_being_given)
        if reason is not None:
            return await self._refused(link, reason)
        link.blocks_refused = 0
        link.blocks_being_given += 1
        try:
            block = await self._block(request, link)
            return plain(404) if block is None else await self._give(request, link, block, is_near)
        finally:
            link.blocks_being_given -= 1
            self._budget.leave(link.address, is_near=is_near)

    async def _refused(self, link: Link, reason: str) -> web.StreamResponse:
        log.event("channel.block_refused", LogLevel.DEBUG, device=link.peer.device.hex()[:16], reason=reason)
        if link.blocks_being_given >= self._limits.bulk_at_once:
            # Its own doing. That others take all places is not.
            link.blocks_refused += 1
            if link.blocks_refused > self._limits.bulk_refusals:
                await link.close(CloseCode.OVER_BUDGET, reason)
        response = plain(429)
        response.headers["Retry-After"] = "1"
        return response

    async def _block(self, request: web.BaseRequest, link: Link) -> bytes | None:
        try:
            cid = parse_cid(request.rel_url.raw_path.removeprefix(BLOCKS_PATH))
        except BadId:
            return None
        try:
            return await self._read(link, cid)
        except Exception as error:
            log.failure("channel.block_failed", error)
            return None

    async def _give(
        self, request: web.BaseRequest, link: Link, block: bytes, is_near: bool
    ) -> web.StreamResponse:
        try:
            wanted = request.http_range
        except ValueError:
            return _unsatisfiable(block)
        start, stop, _ = wanted.indices(len(block))
        if start >= stop and (len(block) > 0 or wanted.start):
            return _unsatisfiable(block)
        partial = "Range" in request.headers
        response = web.StreamResponse(status=206 if partial else 200, headers={"Server": "pkn"})
        response.content_type = "application/octet-stream"
        response.content_length = stop - start
        response.headers["Accept-Ranges"] = "bytes"
        if partial:
            response.headers["Content-Range"] = f"bytes {start}-{stop - 1}/{len(block)}"
        await response.prepare(request)
        view = memoryview(block)
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(None) as patience:
            for at in range(start, stop, PIECE_BYTES):
                piece = view[at : min(stop, at + PIECE_BYTES)]
                if (wait := self._budget.pace(len(piece), is_near=is_near, now=self._clock())) > 0:
                    patience.reschedule(None)
                    await asyncio.sleep(wait)
                patience.reschedule(loop.time() + self._limits.bulk_write_seconds)
                await response.write(piece)
                link.bytes_out += len(piece)
        await response.write_eof()
        return response


def _unsatisfiable(block: bytes) -> web.Response:
    response = plain(416)
    response.headers["Content-Range"] = f"bytes */{len(block)}"
    return response
