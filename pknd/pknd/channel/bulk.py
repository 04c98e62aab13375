"""Blocks over HTTP: given to who may see them, taken only from the device that was authenticated."""

from __future__ import annotations

import asyncio
from base64 import urlsafe_b64encode
from collections.abc import Awaitable, Callable
from typing import Protocol

import aiohttp
from aiohttp import web

from pkn_protocol.records.ids import BadId, Cid, cid_text, matches, parse_cid
from pkn_protocol.records.walk import BadBlock
from pknd.sync.link import LinkClosed

PIECE_BYTES = 256 * 1024
"""Over TLS, writes of this size were several times faster than the library's file response."""
BLOCK_SECONDS = 60.0
_TRIES = 3


class FromPeer(Protocol):
    """What is known of the connection that a block is fetched for."""

    @property
    def remote(self) -> tuple[str, int]: ...

    @property
    def outbound(self) -> bool: ...

    @property
    def peer(self) -> PeerKnown: ...


class PeerKnown(Protocol):
    @property
    def token(self) -> bytes: ...

    @property
    def certificate(self) -> bytes: ...

    @property
    def port(self) -> int: ...


def token_text(token: bytes) -> str:
    return urlsafe_b64encode(token).decode("ascii").rstrip("=")


async def fetch_block(
    client: aiohttp.ClientSession, link: FromPeer, cid: Cid, most_bytes: int
) -> bytes | None:
    """A block from a peer's listener. A transfer that breaks off goes on where it stopped.

    The certificate's digest is compared before the request is sent, so the token reaches nobody else.

    Raises:
        LinkClosed: nothing can be had there. BadBlock: longer than announced, or not the block.
    """
    host = link.remote[0]
    port = link.remote[1] if link.outbound else link.peer.port
    if port == 0:
        return None
    address = f"[{host}]" if ":" in host else host
    url = f"https://{address}:{port}/v1/blocks/{cid_text(cid)}"
    data = bytearray()
    for attempt in range(_TRIES):
        try:
            async with asyncio.timeout(BLOCK_SECONDS):
                if not await _read_into(client, url, link, data, most_bytes):
                    return None
            break
        except (aiohttp.ClientPayloadError, aiohttp.ServerDisconnectedError, ConnectionError) as error:
            if attempt == _TRIES - 1:
                raise LinkClosed("the transfer broke off") from error
        except aiohttp.ServerFingerprintMismatch as error:
            raise LinkClosed("another device answers where blocks were promised") from error
        except (aiohttp.ClientError, TimeoutError) as error:
            raise LinkClosed(f"blocks cannot be had: {error}") from error
    block = bytes(data)
    if not matches(cid, block):
        raise BadBlock("a block does not have the digest that its name says")
    return block


async def _read_into(
    client: aiohttp.ClientSession, url: str, link: FromPeer, data: bytearray, most_bytes: int
) -> bool:
    headers = {"Authorization": f"Bearer {token_text(link.peer.token)}"}
    if data:
        headers["Range"] = f"bytes={len(data)}-"
    fingerprint = aiohttp.Fingerprint(link.peer.certificate)
    async with client.get(url, headers=headers, ssl=fingerprint, allow_redirects=False) as response:
        if response.status == 200:
            data.clear()
        elif response.status != 206:
            return False
        async for piece in response.content.iter_chunked(PIECE_BYTES):
            data += piece
            if len(data) > most_bytes:
                raise BadBlock(f"a block longer than the {most_bytes} bytes that were announced")
    return True


async def give_block(
    request: web.Request, read: Callable[[Cid], Awaitable[bytes | None]]
) -> web.StreamResponse:
    """Answer a request for a block, or for its rest; the same answer for absent and forbidden."""
    try:
        cid = parse_cid(request.match_info["cid"])
    except BadId:
        return web.Response(status=404)
    block = await read(cid)
    if block is None:
        return web.Response(status=404)
    try:
        wanted = request.http_range
    except ValueError:
        return web.Response(status=416)
    start = wanted.start or 0
    stop = len(block) if wanted.stop is None else min(wanted.stop, len(block))
    if start < 0 or (start >= stop and len(block) > 0):
        return web.Response(status=416, headers={"Content-Range": f"bytes */{len(block)}"})
    partial = start > 0 or stop < len(block)
    response = web.StreamResponse(status=206 if partial else 200)
    response.content_type = "application/octet-stream"
    response.content_length = stop - start
    response.headers["Accept-Ranges"] = "bytes"
    if partial:
        response.headers["Content-Range"] = f"bytes {start}-{stop - 1}/{len(block)}"
    await response.prepare(request)
    view = memoryview(block)
    for at in range(start, stop, PIECE_BYTES):
        await response.write(view[at : min(stop, at + PIECE_BYTES)])
    await response.write_eof()
    return response
