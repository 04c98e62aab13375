"""One authenticated connection: messages both ways, requests with their replies, blocks over HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from typing import TypeAlias

import aiohttp
from aiohttp import web

from pkn_protocol.channel import messages as m
from pkn_protocol.channel.codec import Stage, decode_message, encode_message
from pkn_protocol.channel.errors import ChannelError, CloseCode
from pkn_protocol.channel.handshake import PeerAuthenticated
from pkn_protocol.control.status import LogLevel
from pkn_protocol.records.ids import Cid
from pknd import log
from pknd.sync.link import LinkClosed

Socket: TypeAlias = web.WebSocketResponse | aiohttp.ClientWebSocketResponse
RequestHandler: TypeAlias = Callable[["Link", m.Message], AsyncIterator[m.Message]]
MessageHandler: TypeAlias = Callable[["Link", m.Message], Awaitable[None]]
FetchBlock: TypeAlias = Callable[["Link", Cid, int], Awaitable[bytes | None]]

OUTBOX = 128
"""Messages waiting for a peer that reads slowly; at 256 KiB each this bounds the memory that it costs."""
SLOW_SECONDS = 30.0
"""A peer that takes nothing for so long is dropped."""
PING_SECONDS = 20.0
PING_TIMEOUT_SECONDS = 15.0
REQUESTS_AT_ONCE = 16
"""Requests of a peer that are worked on together; further ones wait."""
REPLIES_WAITING = 64
_REQUESTS = (m.Ping, m.Fetch, m.Have, m.Ask)


class Link:
    """Made after the handshake; `run` lives as long as the connection."""

    def __init__(
        self,
        socket: Socket,
        peer: PeerAuthenticated,
        *,
        outbound: bool,
        remote: tuple[str, int],
        own_token: bytes,
        fetch: FetchBlock,
    ) -> None:
        self.peer = peer
        self.outbound = outbound
        self.remote = remote
        self.own_token = own_token
        self.rtt_ms: float | None = None
        self.bytes_in = 0
        self.bytes_out = 0
        self._socket = socket
        self._fetch = fetch
        self._outbox: asyncio.Queue[bytes] = asyncio.Queue(OUTBOX)
        self._replies: dict[int, asyncio.Queue[m.Message]] = {}
        self._next_request = 1
        self._working: dict[int, asyncio.Task[None]] = {}
        self._slots = asyncio.Semaphore(REQUESTS_AT_ONCE)
        self._ended = asyncio.Event()
        self._said: tuple[CloseCode, str] | None = None

    @property
    def closed(self) -> bool:
        return self._ended.is_set()

    async def run(self, on_request: RequestHandler, on_message: MessageHandler) -> None:
        """Work until the connection ends, however it ends; a fault of the peer is told to it."""
        try:
            async with asyncio.TaskGroup() as tasks:
                writer = tasks.create_task(self._write())
                pinger = tasks.create_task(self._keep_alive())
                closer = tasks.create_task(self._close_when_ended())
                try:
                    await self._read(tasks, on_request, on_message)
                finally:
                    self._ended.set()
                    for task in (writer, pinger, *self._working.values()):
                        task.cancel()
                await closer
        except* ChannelError as group:
            error = group.exceptions[0]
            if isinstance(error, ChannelError):
                self._said = (error.code, error.reason)
                log.event(
                    "channel.violation",
                    LogLevel.WARNING,
                    device=self.peer.device.hex()[:16],
                    code=error.code.name,
                    reason=error.reason,
                )
        except* (ConnectionError, TimeoutError, LinkClosed, OSError):
            log.event("channel.lost", LogLevel.DEBUG, device=self.peer.device.hex()[:16])
        finally:
            self._ended.set()
            for queue in self._replies.values():
                with contextlib.suppress(asyncio.QueueFull):
                    queue.put_nowait(m.Close(CloseCode.GOING_AWAY, "closed"))
            await self._say_goodbye()

    async def send(self, message: m.Message) -> None:
        await self._put(m.Envelope(message))

    async def request(self, message: m.Message, *, timeout_s: float) -> m.Message:
        async with contextlib.aclosing(self._stream(message, timeout_s)) as replies:
            async for reply in replies:
                return reply
        raise LinkClosed("no reply")

    def stream(self, message: m.Message, *, timeout_s: float) -> AsyncIterator[m.Message]:
        return self._stream(message, timeout_s)

    async def fetch_block(self, cid: Cid, *, most_bytes: int) -> bytes | None:
        if self.closed:
            raise LinkClosed("the connection is gone")
        block = await self._fetch(self, cid, most_bytes)
        self.bytes_in += len(block or b"")
        return block

    async def close(self, code: CloseCode, reason: str) -> None:
        """End the connection and say why; returns at once."""
        if self._said is None:
            self._said = (code, reason)
        self._ended.set()

    async def _stream(self, message: m.Message, timeout_s: float) -> AsyncGenerator[m.Message, None]:
        number = self._next_request
        self._next_request += 1
        replies: asyncio.Queue[m.Message] = asyncio.Queue(REPLIES_WAITING)
        self._replies[number] = replies
        done = False
        try:
            await self._put(m.Envelope(message, request=number))
            while not done:
                async with asyncio.timeout(timeout_s):
                    reply = await replies.get()
                if isinstance(reply, m.Close):
                    raise LinkClosed(reply.reason)
                done = not getattr(reply, "more", False)
                yield reply
        finally:
            del self._replies[number]
            if not done and not self.closed:
                with contextlib.suppress(asyncio.QueueFull):
                    self._outbox.put_nowait(encode_message(m.Envelope(m.Cancel(number))))

    async def _put(self, envelope: m.Envelope) -> None:
        if self.closed:
            raise LinkClosed("the connection is gone")
        frame = encode_message(envelope)
        try:
            async with asyncio.timeout(SLOW_SECONDS):
                await self._outbox.put(frame)
        except TimeoutError:
            await self.close(CloseCode.TOO_SLOW, "takes nothing")
            raise LinkClosed("the peer takes nothing") from None

    async def _write(self) -> None:
        while True:
            frame = await self._outbox.get()
            self.bytes_out += len(frame)
            async with asyncio.timeout(SLOW_SECONDS):
                await self._socket.send_bytes(frame)

    async def _read(
        self, tasks: asyncio.TaskGroup, on_request: RequestHandler, on_message: MessageHandler
    ) -> None:
        async for received in self._socket:
            if received.type is not aiohttp.WSMsgType.BINARY:
                raise ChannelError(CloseCode.BAD_MESSAGE, "only binary messages are spoken here")
            self.bytes_in += len(received.data)
            envelope = decode_message(received.data, Stage.OPEN)
            message = envelope.message
            if isinstance(message, m.Close):
                log.event("channel.closed", LogLevel.DEBUG, code=message.code, reason=message.reason)
                return
            if envelope.reply is not None:
                await self._on_reply(envelope.reply, message)
            elif isinstance(message, m.Cancel):
                if (task := self._working.get(message.request)) is not None:
                    task.cancel()
            elif envelope.request is not None:
                await self._slots.acquire()
                self._working[envelope.request] = tasks.create_task(
                    self._answer(envelope.request, message, on_request)
                )
            elif isinstance(message, _REQUESTS):
                raise ChannelError(CloseCode.BAD_MESSAGE, "a request without a number")
            else:
                await on_message(self, message)

    async def _on_reply(self, number: int, message: m.Message) -> None:
        # A reply that nobody waits for any more came after a timeout; it is no fault.
        waiting = self._replies.get(number)
        if waiting is not None:
            await waiting.put(message)

    async def _answer(self, number: int, message: m.Message, on_request: RequestHandler) -> None:
        try:
            if isinstance(message, m.Ping):
                await self._put(m.Envelope(m.Pong(), reply=number))
            elif isinstance(message, m.Unsupported):
                await self._put(m.Envelope(message, reply=number))
            else:
                async for reply in on_request(self, message):
                    await self._put(m.Envelope(reply, reply=number))
        except asyncio.CancelledError:
            # Cancelled by the peer, or with everything else: only the latter goes further.
            if self.closed:
                raise
        finally:
            self._slots.release()
            del self._working[number]

    async def _keep_alive(self) -> None:
        while True:
            sent = time.perf_counter()
            await self.request(m.Ping(), timeout_s=PING_TIMEOUT_SECONDS)
            self.rtt_ms = (time.perf_counter() - sent) * 1000
            await asyncio.sleep(PING_SECONDS)

    async def _close_when_ended(self) -> None:
        await self._ended.wait()
        await self._say_goodbye()

    async def _say_goodbye(self) -> None:
        if self._socket.closed:
            return
        code, reason = self._said or (CloseCode.GOING_AWAY, "")
        with contextlib.suppress(ConnectionError, TimeoutError, RuntimeError, OSError):
            async with asyncio.timeout(1.0):
                await self._socket.send_bytes(encode_message(m.Envelope(m.Close(code, reason))))
                await self._socket.close(code=code, message=reason.encode()[:100])
