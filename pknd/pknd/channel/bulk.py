"""Fetching blocks over HTTP, only from the certificate that was authenticated (SPEC, Transport, Blocks)."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import lru_cache

import aiohttp

from pkn_protocol.control.status import LogLevel
from pkn_protocol.records.ids import Cid, cid_text, matches
from pkn_protocol.records.walk import BadBlock
from pknd import log
from pknd.channel.blocks import token_text
from pknd.channel.limits import PIECE_BYTES, Limits
from pknd.channel.partials import Partials
from pknd.sync.link import LinkClosed

_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,12})-([0-9]{1,12})/([0-9]{1,12})")
_MOST_CONNECTIONS = 64
_MOST_PINNED = 256
"""Certificates remembered: more than there are connections to peers at a time."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where a peer gives blocks: the SHA-256 of its certificate, and the token that opens them."""

    host: str
    port: int
    certificate: bytes
    token: bytes

    @property
    def origin(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"https://{host}:{self.port}"


class _BrokenOff(Exception):
    """The transfer ended early; it can go on where it stopped."""


class BulkClient:
    """Fetches blocks from all peers; `partials` None: what broke off is forgotten."""

    def __init__(self, limits: Limits, partials: Partials | None = None) -> None:
        self._limits = limits
        self._partials = partials
        self._http = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=_MOST_CONNECTIONS, limit_per_host=limits.bulk_at_once),
            timeout=aiohttp.ClientTimeout(
                total=limits.bulk_block_seconds,
                sock_connect=limits.bulk_connect_seconds,
                sock_read=limits.bulk_read_seconds,
            ),
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            skip_auto_headers=("User-Agent", "Accept-Encoding"),
        )

    async def close(self) -> None:
        await self._http.close()

    async def fetch(
        self, source: Source, cid: Cid, *, most_bytes: int, alive: Callable[[], bool]
    ) -> bytes | None:
        """A block, verified; None where the peer does not give it. A transfer that breaks off goes on where
        it stopped while the connection to the peer is `alive`, and in a later call.

        Raises:
            LinkClosed: it cannot be had there now. BadBlock: longer than announced, or not the block.
        """
        kept = await self._kept(cid, most_bytes)
        data = bytearray(kept)
        try:
            block = await self._fetch(source, cid, data, most_bytes, alive)
        except BaseException:
            if self._partials is not None and len(data) > len(kept):
                await _though_cancelled(asyncio.to_thread(self._partials.save, cid, bytes(data)))
            raise
        if self._partials is not None and kept and block is not None:
            await asyncio.to_thread(self._partials.drop, cid)
        return block

    async def _kept(self, cid: Cid, most_bytes: int) -> bytes:
        if self._partials is None:
            return b""
        return await asyncio.to_thread(self._partials.load, cid, most_bytes)

    async def _fetch(
        self, source: Source, cid: Cid, data: bytearray, most_bytes: int, alive: Callable[[], bool]
    ) -> bytes | None:
        # The beginning may be another peer's: if the whole is wrong, this one is not at fault yet.
        foreign = bool(data)
        tries = self._limits.bulk_tries
        while True:
            try:
                if not await self._read(source, cid, data, most_bytes):
                    return None
            except _BrokenOff as error:
                tries -= 1
                if tries <= 0 or not alive():
                    raise LinkClosed(f"the transfer broke off: {error}") from error
                log.event("channel.transfer_resumed", LogLevel.DEBUG, at=len(data), reason=str(error))
                continue
            block = bytes(data)
            if await asyncio.to_thread(matches, cid, block):
                return block
            data.clear()
            if not foreign:
                raise BadBlock("a block does not have the digest that its name says")
            foreign = False

    async def _read(self, source: Source, cid: Cid, data: bytearray, most_bytes: int) -> bool:
        """Read the rest of a block into `data`; False where the peer has none to give."""
        headers = {"Authorization": f"Bearer {token_text(source.token)}"}
        if data:
            headers["Range"] = f"bytes={len(data)}-"
        try:
            # Compared after TLS and before the request is sent: no other certificate gets the token.
            async with self._http.get(
                f"{source.origin}/v1/blocks/{cid_text(cid)}",
                headers=headers,
                ssl=_pinned(source.certificate),
                allow_redirects=False,
            ) as response:
                if not _begins_right(response, data, most_bytes):
                    return False
                async for piece in response.content.iter_chunked(PIECE_BYTES):
                    data += piece
                    if len(data) > most_bytes:
                        data.clear()
                        raise BadBlock(f"a block longer than the {most_bytes} bytes that were announced")
        except aiohttp.ServerFingerprintMismatch as error:
            raise LinkClosed("another certificate is shown where blocks were promised") from error
        except (aiohttp.ClientPayloadError, aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as error:
            if isinstance(error, aiohttp.ClientConnectorError):
                raise LinkClosed(f"blocks cannot be had: {error.strerror or error}") from error
            raise _BrokenOff(type(error).__name__) from error
        except aiohttp.SocketTimeoutError as error:
            raise _BrokenOff("nothing came for too long") from error
        except (aiohttp.ClientError, TimeoutError) as error:
            raise LinkClosed(f"blocks cannot be had: {error or 'too slow'}") from error
        return True


@lru_cache(maxsize=_MOST_PINNED)
def _pinned(certificate: bytes) -> aiohttp.Fingerprint:
    """One object a certificate: aiohttp keeps connections by it, and it has no equality of its own."""
    return aiohttp.Fingerprint(certificate)


def _begins_right(response: aiohttp.ClientResponse, data: bytearray, most_bytes: int) -> bool:
    """Check status and range against what was asked; `data` is emptied where it begins anew."""
    status = response.status
    if status == 404:
        return False
    if status == 416 and data:
        # What was kept is longer than the block: it was never a beginning of it.
        data.clear()
        raise _BrokenOff("the range is beyond the block")
    if status == 206:
        found = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
        if found is None or int(found[1]) != len(data) or int(found[2]) + 1 != int(found[3]):
            raise BadBlock("another range than was asked for")
        length = int(found[3])
    elif status == 200:
        data.clear()
        length = response.content_length or 0
    else:
        raise LinkClosed(f"blocks cannot be had: HTTP {status}")
    if length > most_bytes:
        raise BadBlock(f"a block of {length} bytes where {most_bytes} were announced")
    return True


async def _though_cancelled(work: Awaitable[None]) -> None:
    """Finish a short piece of work even while being cancelled."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await task
        raise
