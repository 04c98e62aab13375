"""One authenticated connection: messages both ways, requests with their replies, blocks over HTTP."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from dataclasses import dataclass
from itertools import chain, repeat
from typing import NoReturn, TypeAlias

from pkn_protocol.channel import messages as m
from pkn_protocol.channel.codec import Stage, decode_message, encode_message
from pkn_protocol.channel.errors import ChannelError, CloseCode
from pkn_protocol.channel.handshake import PeerAuthenticated
from pkn_protocol.records.ids import Cid
from pknd import log
from pknd.channel.budgets import Meter
from pknd.channel.frames import FrameSocket, SocketEnded
from pknd.channel.limits import Limits
from pknd.channel.mailbox import Mailbox
from pknd.channel.receiving import Receiving
from pknd.channel.requests import OwnRequests, PeerRequests
from pknd.sync.link import LinkClosed

ServeHandler: TypeAlias = Callable[["Link"], Coroutine[None, None, None]]
RequestHandler: TypeAlias = Callable[["Link", m.Message], AsyncIterator[m.Message]]
MessageHandler: TypeAlias = Callable[["Link", m.Message], Awaitable[None]]
FetchBlock: TypeAlias = Callable[["Link", Cid, int], Awaitable[bytes | None]]
ReceiveBlock: TypeAlias = Callable[["Link", Cid, Receiving], Awaitable[bool]]

_FIRST_PINGS_SECONDS = (0.5, 2.0, 8.0)
"""Between the first pings: both sides have most to do just after they met, and are slow to answer then."""
_RTT_SAMPLES = 4
"""The least of so many round trips is what the way takes; the others waited for a busy machine."""
_REQUESTS = (m.Ping, m.Fetch, m.Have, m.Ask)
VIOLATIONS = frozenset(
    {
        CloseCode.BAD_MESSAGE,
        CloseCode.TOO_LARGE,
        CloseCode.BAD_PROOF,
        CloseCode.OVER_BUDGET,
        CloseCode.BAD_RECORD,
    }
)
"""Ends that are the other side's doing and are remembered; a slow or vanished peer has done nothing wrong."""


@dataclass(frozen=True, slots=True)
class LinkEnd:
    """Why a connection ended, and whether the peer said so."""

    code: CloseCode
    reason: str
    by_peer: bool = False

    @property
    def is_violation(self) -> bool:
        return not self.by_peer and self.code in VIOLATIONS


class _Ended(Exception):
    def __init__(self, end: LinkEnd) -> None:
        super().__init__(end.reason)
        self.end = end


_LOST = LinkEnd(CloseCode.GOING_AWAY, "the connection was lost", by_peer=True)
_FAULT_HERE = LinkEnd(CloseCode.INTERNAL, "an error on this side")


class Link:
    """Made after the handshake; `run` lives as long as the connection.

    `remote` is the dialled host and port, or those that a peer dialled from; `address` is where the peer is,
    never a name; `own_token` opens this side's blocks. Bytes are those of messages and blocks, without TLS.
    """

    def __init__(
        self,
        socket: FrameSocket,
        peer: PeerAuthenticated,
        *,
        outbound: bool,
        remote: tuple[str, int],
        address: str,
        own_token: bytes,
        fetch: FetchBlock,
        receive: ReceiveBlock,
        meter: Meter,
        clock: Callable[[], float],
        limits: Limits,
    ) -> None:
        self.peer = peer
        self.outbound = outbound
        self.remote = remote
        self.address = address
        self.own_token = own_token
        self.since = clock()
        self.rtt_ms: float | None = None
        self.bytes_in = 0
        self.bytes_out = 0
        self.records_in = 0
        self.records_out = 0
        self.ended: LinkEnd | None = None
        self.blocks_being_given = 0
        self.blocks_refused = 0
        self._socket = socket
        self._fetch = fetch
        self._receive = receive
        self._meter = meter
        self._clock = clock
        self._limits = limits
        self._outbox: Mailbox[bytes] = Mailbox(limits.outbox_frames, limits.outbox_bytes)
        self._inbox: Mailbox[m.Message] = Mailbox(limits.inbox_frames, limits.inbox_bytes)
        self._own = OwnRequests(self._put, self._put_first, limits)
        self._early: bytes | None = None
        self._closing: asyncio.Future[LinkEnd] = asyncio.get_running_loop().create_future()
        self._over = asyncio.Event()
        self._heard_at = self.since
        self._round_trips: deque[float] = deque(maxlen=_RTT_SAMPLES)
        self._taking = False
        self._checks = asyncio.Event()

    @property
    def closed(self) -> bool:
        """Whether the connection is over, or about to be."""
        return self._over.is_set() or self._closing.done()

    @property
    def is_close(self) -> bool:
        """Whether the way there takes next to no time."""
        return self.rtt_ms is not None and self.rtt_ms < self._limits.bulk_close_ms

    async def send(self, message: m.Message) -> None:
        await self._put(m.Envelope(message))

    async def request(self, message: m.Message, *, timeout_s: float) -> m.Message:
        async with contextlib.aclosing(self._own.stream(message, timeout_s)) as replies:
            async for reply in replies:
                return reply
        raise LinkClosed("no reply")

    def stream(self, message: m.Message, *, timeout_s: float) -> AsyncIterator[m.Message]:
        """The replies to a request; each may take `timeout_s`. Whoever leaves early should `aclose` it: the
        peer is then told that nobody waits any more."""
        return self._own.stream(message, timeout_s)

    async def fetch_block(self, cid: Cid, *, most_bytes: int) -> bytes | None:
        if self.closed:
            raise LinkClosed("the connection is gone")
        block = await self._fetch(self, cid, most_bytes)
        self.bytes_in += len(block or b"")
        return block

    async def receive_block(self, cid: Cid, into: Receiving) -> bool:
        if self.closed:
            raise LinkClosed("the connection is gone")
        try:
            return await self._receive(self, cid, into)
        finally:
            self.bytes_in += max(0, into.length - into.had)

    async def close(self, code: CloseCode, reason: str) -> None:
        """End the connection and say why; returns at once."""
        if not self._closing.done():
            self._closing.set_result(LinkEnd(code, reason))

    async def wait_over(self) -> None:
        """Until nothing works on this connection any more."""
        await self._over.wait()

    def check(self) -> None:
        """Find out soon whether the connection still lives, and end it if not."""
        self._checks.set()

    async def hold(self) -> LinkEnd | None:
        """Before `run`: wait for the first frame. None: it came and is kept; else the peer closed instead."""
        try:
            frame = await self._socket.receive()
            message = decode_message(frame, Stage.OPEN).message
        except SocketEnded:
            return _LOST
        except ChannelError as error:
            return LinkEnd(error.code, error.reason)
        if isinstance(message, m.Close):
            return _end_of(message)
        self._early = frame
        return None

    async def refuse(self, end: LinkEnd) -> None:
        """Instead of `run`: say why, and be over."""
        self._finish(end)
        await self._socket.close(end.code, end.reason, say=not end.by_peer)

    async def run(
        self,
        serve: ServeHandler,
        on_request: RequestHandler,
        on_message: MessageHandler,
        on_end: Callable[[], None],
    ) -> LinkEnd:
        """Work until the connection ends, however it ends; a fault of the peer is told to it.

        `serve` begins before the first message is delivered and is cancelled at the end; `on_end` is called
        when all work on this connection is over, before its last words are exchanged.
        """
        finished = False
        end = _FAULT_HERE
        try:
            end = await self._work(serve, on_request, on_message)
            finished = True
        finally:
            self._finish(end)
            on_end()
            if not finished:
                self._socket.abort()
        await self._socket.close(end.code, end.reason, say=not end.by_peer)
        return end

    async def _work(
        self, serve: ServeHandler, on_request: RequestHandler, on_message: MessageHandler
    ) -> LinkEnd:
        ends: list[LinkEnd] = []
        try:
            async with asyncio.TaskGroup() as tasks:
                peer_requests = PeerRequests(
                    self._put, lambda message: on_request(self, message), self._limits
                )
                tasks.create_task(self._serve(serve))
                tasks.create_task(self._write())
                tasks.create_task(self._deliver(on_message))
                tasks.create_task(self._keep_alive())
                tasks.create_task(self._check_when_asked())
                tasks.create_task(self._until_closed())
                await self._read(tasks, peer_requests)
        except* _Ended as group:
            ends += [error.end for error in _leaves(group) if isinstance(error, _Ended)]
        except* ChannelError as group:
            ends += [LinkEnd(e.code, e.reason) for e in _leaves(group) if isinstance(e, ChannelError)]
        except* (LinkClosed, SocketEnded):
            ends.append(_LOST)
        except* Exception as group:
            for error in _leaves(group):
                log.failure("channel.fault", error, device=self.peer.device.hex()[:16])
        # What the peer did wrong says more than that the connection then broke.
        return next((end for end in ends if end is not _LOST), _LOST if ends else _FAULT_HERE)

    async def _serve(self, serve: ServeHandler) -> None:
        try:
            await serve(self)
        except LinkClosed:
            # Of this connection, which then ends in the other tasks, or of another one.
            return

    async def _until_closed(self) -> NoReturn:
        raise _Ended(await asyncio.shield(self._closing))

    async def _put(self, envelope: m.Envelope) -> None:
        if self.closed:
            raise LinkClosed("the connection is gone")
        frame = encode_message(envelope, self.peer.version)
        self.records_out += _records_in(envelope.message)
        await self._outbox.put(frame, len(frame))

    def _put_first(self, envelope: m.Envelope) -> bool:
        frame = encode_message(envelope, self.peer.version)
        return self._outbox.put_first(frame, len(frame))

    async def _write(self) -> NoReturn:
        while True:
            frame = await self._outbox.get()
            try:
                async with asyncio.timeout(self._limits.send_seconds):
                    await self._socket.send(frame)
            except TimeoutError:
                raise _Ended(LinkEnd(CloseCode.TOO_SLOW, "the peer takes nothing")) from None
            self.bytes_out += len(frame)

    async def _deliver(self, on_message: MessageHandler) -> NoReturn:
        while True:
            message = await self._inbox.get()
            try:
                await on_message(self, message)
            except LinkClosed:
                if self.closed:
                    raise

    async def _read(self, tasks: asyncio.TaskGroup, peer_requests: PeerRequests) -> NoReturn:
        while True:
            frame, self._early = self._early or await self._socket.receive(), None
            self.bytes_in += len(frame)
            envelope = decode_message(frame, Stage.OPEN)
            self.records_in += _records_in(envelope.message)
            self._heard_at = self._clock()
            self._taking = True
            await self._take(tasks, peer_requests, envelope, len(frame))
            self._taking = False

    async def _take(
        self, tasks: asyncio.TaskGroup, peer_requests: PeerRequests, envelope: m.Envelope, size: int
    ) -> None:
        message, request = envelope.message, envelope.request
        if envelope.reply is not None:
            # One that nobody waits for any more came after a timeout: no fault, but unasked.
            if not await self._own.on_reply(envelope.reply, message):
                await self._pay(size)
            return
        await self._pay(size)
        match message:
            case m.Close():
                raise _Ended(_end_of(message))
            case m.Cancel():
                peer_requests.cancel(message.request)
            case m.Ping() if request is not None:
                self._put_first(m.Envelope(m.Pong(), reply=request))
            case m.Unsupported():
                if request is not None:
                    self._put_first(m.Envelope(message, reply=request))
            case _ if request is not None:
                peer_requests.begin(tasks, request, message)
            case _ if isinstance(message, _REQUESTS):
                raise ChannelError(CloseCode.BAD_MESSAGE, "a request without a number")
            case _:
                await self._inbox.put(message, size)

    async def _pay(self, size: int) -> None:
        wait = self._meter.charge(size, self._clock())
        if wait > 0:
            await asyncio.sleep(wait)

    async def _keep_alive(self) -> NoReturn:
        pauses = chain(_FIRST_PINGS_SECONDS, repeat(self._limits.ping_seconds))
        while True:
            await self._ping(self._limits.pong_seconds)
            await asyncio.sleep(min(next(pauses), self._limits.ping_seconds))

    async def _check_when_asked(self) -> NoReturn:
        while True:
            await self._checks.wait()
            self._checks.clear()
            await self._ping(self._limits.check_seconds)

    async def _ping(self, patience: float) -> None:
        sent = self._clock()
        try:
            await self._own.ping(patience)
        except TimeoutError:
            # While a frame waits here for its turn nothing is read: then the peer is not the silent one.
            if self._heard_at < sent and not self._taking:
                raise _Ended(LinkEnd(CloseCode.TOO_SLOW, "no answer to a ping")) from None
        else:
            self._round_trips.append((self._clock() - sent) * 1000)
            self.rtt_ms = min(self._round_trips)

    def _finish(self, end: LinkEnd) -> None:
        self.ended = end
        self._over.set()
        if not self._closing.done():
            self._closing.cancel()
        gone = LinkClosed(end.reason or "the connection is gone")
        self._own.end(gone)
        self._outbox.end(gone)
        self._inbox.end(gone)


def _leaves(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    found: list[BaseException] = []
    for error in group.exceptions:
        found += _leaves(error) if isinstance(error, BaseExceptionGroup) else [error]
    return found


def _end_of(message: m.Close) -> LinkEnd:
    try:
        code = CloseCode(message.code)
    except ValueError:
        code = CloseCode.GOING_AWAY
    return LinkEnd(code, message.reason, by_peer=True)


def _records_in(message: m.Message) -> int:
    return len(message.blocks) if isinstance(message, m.Records | m.Push | m.Grants) else 0
