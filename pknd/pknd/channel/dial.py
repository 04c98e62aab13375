"""Connecting to a listener: TLS, the key in its certificate, the WebSocket, the handshake."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from hashlib import sha256

import aiohttp

from pkn_protocol.channel.errors import ChannelError, CloseCode
from pkn_protocol.channel.handshake import ClientHandshake, Local, PeerAuthenticated
from pkn_protocol.records.ids import DeviceId
from pknd import log
from pknd.channel.frames import MOST_FRAME_BYTES, FrameSocket, SocketEnded
from pknd.channel.greeting import greet_server, refuse
from pknd.channel.limits import Limits
from pknd.channel.listener import CHANNEL_PATH
from pknd.channel.tls import certificate_key, client_context

NONCE_BYTES = 32


@dataclass(frozen=True, slots=True)
class Dialled:
    """An authenticated WebSocket to a listener."""

    socket: FrameSocket
    peer: PeerAuthenticated
    address: str
    """Of the listener, as the system knows it: what a name meant when it was dialled."""


class DialClient:
    """Opens WebSockets to other daemons. Until the key in its certificate is known, nothing is sent to one
    but the request for the WebSocket."""

    def __init__(self, limits: Limits, *, random_bytes: Callable[[int], bytes]) -> None:
        self._limits = limits
        self._random_bytes = random_bytes
        self._context = client_context()
        self._http = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, use_dns_cache=False),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            skip_auto_headers=("User-Agent",),
            middlewares=(_no_redirect,),
        )

    async def close(self) -> None:
        await self._http.close()

    async def dial(
        self,
        host: str,
        port: int,
        *,
        local: Local,
        token: bytes,
        expected: DeviceId | None,
        known: Callable[[DeviceId], Awaitable[bytes | None]],
        check: Callable[[PeerAuthenticated], None],
    ) -> Dialled:
        """Connect and authenticate; `known` gives the `device` record of a device if it is held, and is not
        waited for: what it has not given when the proof is made, the listener sends. `check` may refuse the
        peer with a ChannelError.

        Raises:
            ChannelError: refused by either side, with the reason. ConnectionError, TimeoutError: nobody
                answers, or nobody who speaks this protocol.
        """
        websocket = await self._open(host, port)
        frames = FrameSocket(websocket, lambda: _abort(websocket), close_seconds=self._limits.close_seconds)
        try:
            certificate = _certificate(websocket)
            key = DeviceId(_key(certificate))
            async with asyncio.timeout(self._limits.handshake_seconds), _begun(known, key) as held:
                handshake = ClientHandshake(
                    local,
                    nonce=self._random_bytes(NONCE_BYTES),
                    token=token,
                    certificate=sha256(certificate).digest(),
                    certificate_key=key,
                    expected=expected,
                    known=held,
                )
                peer = await greet_server(frames, handshake)
                check(peer)
        except SocketEnded as error:
            await refuse(frames, error)
            raise ConnectionError("it closed the connection during the handshake") from error
        except TimeoutError as error:
            await refuse(frames, error)
            raise TimeoutError("the handshake took too long") from error
        except BaseException as error:
            await refuse(frames, error)
            raise
        return Dialled(frames, peer, _address(websocket) or host)

    async def _open(self, host: str, port: int) -> aiohttp.ClientWebSocketResponse:
        address = f"[{host}]" if ":" in host else host
        try:
            async with asyncio.timeout(self._limits.dial_seconds):
                return await self._http.ws_connect(
                    f"https://{address}:{port}{CHANNEL_PATH}",
                    ssl=self._context,
                    compress=0,
                    autoping=False,
                    max_msg_size=MOST_FRAME_BYTES,
                    timeout=aiohttp.ClientWSTimeout(ws_close=self._limits.close_seconds),
                )
        except TimeoutError as error:
            raise TimeoutError("no answer") from error
        except aiohttp.ClientConnectorError as error:
            raise ConnectionError(_os_reason(error.os_error)) from error
        except aiohttp.InvalidURL as error:
            raise ConnectionError("not an address") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise ConnectionError("something else answers there") from error


@contextlib.asynccontextmanager
async def _begun(
    known: Callable[[DeviceId], Awaitable[bytes | None]], device: DeviceId
) -> AsyncIterator[Callable[[], bytes | None]]:
    """`known` under way for as long as the block lasts: gives what it found, None while there is nothing."""
    found: list[bytes | None] = []

    async def read() -> None:
        try:
            found.append(await known(device))
        except Exception as error:
            # The listener's record comes with its welcome then: no reason to go without the connection.
            log.failure("channel.fault", error, device=device.hex()[:16])

    reading = asyncio.create_task(read())
    try:
        yield lambda: found[0] if found else None
    finally:
        reading.cancel()
        await asyncio.wait([reading])


def _certificate(websocket: aiohttp.ClientWebSocketResponse) -> bytes:
    tls: ssl.SSLObject | None = websocket.get_extra_info("ssl_object")
    der = tls.getpeercert(binary_form=True) if tls is not None else None
    if der is None:
        raise ChannelError(CloseCode.WRONG_DEVICE, "it shows no certificate")
    return der


def _address(websocket: aiohttp.ClientWebSocketResponse) -> str | None:
    name = websocket.get_extra_info("peername")
    if not name:
        return None
    scope = name[3] if len(name) > 3 and "%" not in name[0] else 0
    return f"{name[0]}%{scope}" if scope else str(name[0])


def _key(certificate: bytes) -> bytes:
    key = certificate_key(certificate)
    if key is None:
        raise ChannelError(CloseCode.WRONG_DEVICE, "its certificate carries no device key")
    return key


def _os_reason(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        return "something answers there that does not speak TLS 1.3"
    if isinstance(error, socket.gaierror):
        return "the name is not known"
    return os.strerror(error.errno).lower() if error.errno else "not reachable"


def _abort(websocket: aiohttp.ClientWebSocketResponse) -> None:
    """Drop the connection: what waits to be sent is given up. The library has no word for it."""
    connection: socket.socket | None = websocket.get_extra_info("socket")
    if connection is not None:
        try:
            connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            return


async def _no_redirect(
    request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    """A listener must not send us elsewhere: into the user's own network, for one."""
    response = await handler(request)
    if 300 <= response.status < 400:
        response.close()
        raise aiohttp.ClientConnectionError("it sends elsewhere")
    return response
