"""Binary frames over a WebSocket, of whichever side; everything else on it is an end with a reason."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import TypeAlias

import aiohttp
from aiohttp import web

from pkn_protocol.channel.codec import LARGEST_MESSAGE, Stage, decode_message, encode_message
from pkn_protocol.channel.errors import ChannelError, CloseCode
from pkn_protocol.channel.handshake import LEAST_VERSION
from pkn_protocol.channel.messages import Close, Envelope

WebSocket: TypeAlias = web.WebSocketResponse | aiohttp.ClientWebSocketResponse

MOST_FRAME_BYTES = LARGEST_MESSAGE + 1
"""The library refuses what is as long as its limit."""
_CONTROL_IN_A_ROW = 64
"""Pings of the WebSocket itself without a message between them; ours are messages."""
_REASON_BYTES = 123
"""A close frame has at most 125 bytes with its code (RFC 6455, section 5.5)."""


class SocketEnded(Exception):
    """The other end closed the WebSocket, or the connection broke."""


class FrameSocket:
    """One WebSocket. `abort` drops its connection without a word."""

    def __init__(self, socket: WebSocket, abort: Callable[[], None], *, close_seconds: float) -> None:
        self._socket = socket
        self._abort = abort
        self._close_seconds = close_seconds
        self._control = 0

    async def send(self, frame: bytes) -> None:
        """Send a frame; waits while the other end does not read.

        Raises:
            SocketEnded: the connection is gone.
        """
        try:
            await self._socket.send_bytes(frame)
        except (ConnectionError, RuntimeError, aiohttp.ClientError) as error:
            raise SocketEnded(str(error) or "the connection was lost") from error

    async def receive(self) -> bytes:
        """The next binary frame.

        Raises:
            SocketEnded: the connection is gone.
            ChannelError: what came is no binary frame, or is too long.
        """
        while True:
            received = await self._socket.receive()
            match received.type:
                case aiohttp.WSMsgType.BINARY:
                    self._control = 0
                    return bytes(received.data)
                case aiohttp.WSMsgType.PING | aiohttp.WSMsgType.PONG:
                    await self._on_control(received)
                case aiohttp.WSMsgType.TEXT:
                    raise ChannelError(CloseCode.BAD_MESSAGE, "a text frame; messages are binary")
                case aiohttp.WSMsgType.ERROR if isinstance(received.data, aiohttp.WebSocketError):
                    too_long = received.data.code == aiohttp.WSCloseCode.MESSAGE_TOO_BIG
                    code = CloseCode.TOO_LARGE if too_long else CloseCode.BAD_MESSAGE
                    raise ChannelError(code, str(received.data))
                case _:
                    raise SocketEnded("the connection was closed" if self._was_closed else "it broke off")

    async def close(self, code: CloseCode, reason: str, *, say: bool = True) -> None:
        """Close within `close_seconds`; however it goes, the connection is gone afterwards.

        With `say` a `close` message goes first, and what the other end had sent before it read that is passed
        over: to drop the connection with something unread could drop the message too (RFC 1122, 4.2.2.13).
        """
        try:
            with contextlib.suppress(
                SocketEnded, ChannelError, TimeoutError, OSError, RuntimeError, aiohttp.ClientError
            ):
                async with asyncio.timeout(self._close_seconds):
                    if say and not self._socket.closed:
                        await self.send(encode_message(Envelope(Close(code, reason)), LEAST_VERSION))
                        await self._pass_over_the_rest()
                    await self._socket.close(code=code, message=_shortened(reason))
        finally:
            self._abort()

    def abort(self) -> None:
        self._abort()

    @property
    def _was_closed(self) -> bool:
        return self._socket.close_code not in (None, aiohttp.WSCloseCode.ABNORMAL_CLOSURE)

    async def _on_control(self, received: aiohttp.WSMessage) -> None:
        self._control += 1
        if self._control > _CONTROL_IN_A_ROW:
            raise ChannelError(CloseCode.OVER_BUDGET, "too many pings")
        if received.type is aiohttp.WSMsgType.PING:
            with contextlib.suppress(ConnectionError, RuntimeError):
                await self._socket.pong(received.data)

    async def _pass_over_the_rest(self) -> None:
        with contextlib.suppress(SocketEnded, ChannelError):
            while not _is_close(await self.receive()):
                continue


def _shortened(reason: str) -> bytes:
    return reason.encode()[:_REASON_BYTES].decode(errors="ignore").encode()


def _is_close(frame: bytes) -> bool:
    try:
        return isinstance(decode_message(frame, Stage.OPEN).message, Close)
    except ChannelError:
        return False
