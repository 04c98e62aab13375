"""All connections: the listener, dialling, one connection a device, blocks. The parts are wired here."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from dataclasses import dataclass, replace

from aiohttp import web

from pkn_protocol.channel import messages as m
from pkn_protocol.channel.errors import ChannelError, CloseCode
from pkn_protocol.channel.handshake import (
    GREATEST_VERSION,
    LEAST_VERSION,
    Local,
    PeerAuthenticated,
    ServerHandshake,
)
from pkn_protocol.control.status import LogLevel
from pkn_protocol.records.ids import AuthorId, Cid, DeviceId
from pkn_protocol.records.signing import Ed25519Key
from pknd import log
from pknd.channel.blocks import BlockServer
from pknd.channel.budgets import Bucket, Meter
from pknd.channel.bulk import BulkClient
from pknd.channel.dial import NONCE_BYTES, DialClient
from pknd.channel.frames import MOST_FRAME_BYTES, FrameSocket, SocketEnded
from pknd.channel.greeting import greet_client, refuse
from pknd.channel.limits import Limits
from pknd.channel.link import Link, LinkEnd
from pknd.channel.listener import Guest, Listener
from pknd.channel.pinned import Source
from pknd.channel.ports import PortInUse as PortInUse
from pknd.channel.ports import listening_sockets
from pknd.channel.receiving import Receiving
from pknd.channel.registry import Registry
from pknd.channel.tls import make_certificate, server_context
from pknd.config import Listen
from pknd.sync.link import LinkClosed

_TOKEN_BYTES = 32


async def _not_held(device: DeviceId) -> bytes | None:
    return None


def _not_remembered(peer: PeerAuthenticated, end: LinkEnd) -> None:
    return


@dataclass(frozen=True, slots=True)
class Handlers:
    """What the daemon does with connections.

    `serve` runs as long as a connection lives, and is cancelled with it; `request` answers requests;
    `message` takes the rest, one after the other; `block` gives a block that a peer may see; `ended` is told
    of each end, `violated` of those that were the peer's fault.
    """

    serve: Callable[[Link], Coroutine[None, None, None]]
    request: Callable[[Link, m.Message], AsyncIterator[m.Message]]
    message: Callable[[Link, m.Message], Awaitable[None]]
    block: Callable[[Link, Cid], Awaitable[bytes | None]]
    welcome: Callable[[PeerAuthenticated], str | None]
    """Why a peer is refused; None if it is not."""
    ended: Callable[[Link], None]
    is_near: Callable[[AuthorId], bool]
    violated: Callable[[PeerAuthenticated, LinkEnd], None] = _not_remembered
    device_block: Callable[[DeviceId], Awaitable[bytes | None]] = _not_held
    """The `device` record of a device, if it is held."""


class Network:
    """Started once; `stop` ends all connections. `clock` gives seconds that only go forward."""

    def __init__(
        self,
        *,
        author: AuthorId,
        device_key: Ed25519Key,
        device_record: bytes,
        agent: str,
        random_bytes: Callable[[int], bytes],
        clock: Callable[[], float],
        handlers: Handlers,
        versions: tuple[int, int] = (LEAST_VERSION, GREATEST_VERSION),
        handshake_seconds: float | None = None,
        limits: Limits | None = None,
    ) -> None:
        chosen = limits if limits is not None else Limits()
        self._limits = replace(chosen, handshake_seconds=handshake_seconds or chosen.handshake_seconds)
        self.port = 0
        self.addresses: tuple[str, ...] = ()
        self._certificate = make_certificate(device_key)
        least, greatest = versions
        self._local = Local(
            author, device_key, device_record, agent, self._certificate.digest, 0, least, greatest
        )
        self._device = DeviceId(device_key.public)
        self._random_bytes = random_bytes
        self._clock = clock
        self._handlers = handlers
        self._strangers = Bucket(self._limits.strangers_burst, self._limits.strangers_rate, clock())
        self._registry = Registry(self._device, self._limits)
        self._blocks = BlockServer(self._registry, handlers.block, handlers.is_near, self._limits, clock)
        self._listener = Listener(
            server_context(self._certificate, random_bytes=random_bytes),
            on_channel=self._accept,
            on_block=self._blocks.answer,
            clock=clock,
            limits=self._limits,
        )
        self._tasks: set[asyncio.Task[None]] = set()
        self._running: _Running | None = None

    @property
    def links(self) -> dict[DeviceId, Link]:
        """The connections in use, one a device."""
        return self._registry.links

    async def start(self, listen: Listen) -> None:
        """Listen.

        Raises:
            PortInUse: the port that was asked for is taken, or the address is not this machine's.
        """
        sockets = listening_sockets(listen)
        self.port = sockets[0].getsockname()[1]
        self.addresses = tuple(_shown(listening.getsockname()) for listening in sockets)
        self._local = replace(self._local, port=self.port)
        await self._listener.start(sockets)
        dialling = DialClient(self._limits, random_bytes=self._random_bytes)
        self._running = _Running(dialling, BulkClient(self._limits))
        log.event("network.listening", addresses=self.addresses)

    async def stop(self) -> None:
        """End all connections, telling the peers, and stop listening."""
        running, self._running = self._running, None
        self._listener.stop_listening()
        for link in self._registry:
            await link.close(CloseCode.GOING_AWAY, "stopping")
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=self._limits.close_seconds)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._listener.stop()
        if running is not None:
            await running.dialling.close()
            await running.bulk.close()

    async def dial(self, host: str, port: int, *, expected: DeviceId | None = None) -> Link:
        """Connect to a device and authenticate it; the connection there is, if there is one already.

        Raises:
            ChannelError: refused, with the reason. OSError, TimeoutError: nobody answers.
        """
        if self._running is None:
            raise ChannelError(CloseCode.GOING_AWAY, "not running")
        token = self._random_bytes(_TOKEN_BYTES)
        dialled = await self._running.dialling.dial(
            host,
            port,
            local=self._local,
            token=token,
            expected=expected,
            known=self._handlers.device_block,
            check=self._check_welcome,
        )
        link = self._link(
            dialled.socket, dialled.peer, dialled.address, outbound=True, remote=(host, port), token=token
        )
        entered: asyncio.Future[Link] = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(self._attend(link, entered))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return await entered

    def check_all(self) -> None:
        """Find out soon which connections still live: after waking, or when the network has changed."""
        for link in self._registry:
            link.check()

    async def _accept(self, request: web.BaseRequest, guest: Guest) -> web.StreamResponse:
        websocket = web.WebSocketResponse(
            compress=False,
            autoping=False,
            max_msg_size=MOST_FRAME_BYTES,
            timeout=self._limits.close_seconds,
        )
        websocket.headers["Server"] = "pkn"
        await websocket.prepare(request)
        frames = FrameSocket(websocket, guest.abort, close_seconds=self._limits.close_seconds)
        token = self._random_bytes(_TOKEN_BYTES)
        handshake = ServerHandshake(self._local, nonce=self._random_bytes(NONCE_BYTES), token=token)
        try:
            async with asyncio.timeout_at(guest.deadline):
                peer = await greet_client(frames, handshake, self._check_guest)
        except (ChannelError, SocketEnded, TimeoutError) as error:
            guest.refused(await refuse(frames, error))
            return websocket
        guest.settle()
        remote = (guest.address, guest.port)
        link = self._link(frames, peer, guest.address, outbound=False, remote=remote, token=token)
        # A task of its own, so that the end of the request does not cut the connection's last words short.
        task = asyncio.create_task(self._attend(link, None))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        await asyncio.wait((task,))
        return websocket

    async def _attend(self, link: Link, entered: asyncio.Future[Link] | None) -> None:
        """Serve a connection until it ends, if it is the one that stays."""
        try:
            kept = await self._registry.enter(link, now=self._clock())
        except BaseException:
            if entered is not None:
                entered.cancel()
            raise
        if entered is not None and not entered.done():
            entered.set_result(kept)
        if kept is not link:
            log.event("peer.duplicate", LogLevel.DEBUG, device=link.peer.device.hex()[:16])
            return
        device = link.peer.device.hex()[:16]
        log.event("peer.connected", device=device, address=link.remote[0], outbound=link.outbound)
        handlers = self._handlers
        end = await link.run(
            handlers.serve, handlers.request, handlers.message, lambda: self._on_end(link, handlers)
        )
        log.event(
            "peer.disconnected",
            LogLevel.WARNING if end.is_violation else LogLevel.INFO,
            device=device,
            code=end.code.name.lower(),
            reason=end.reason,
            by_peer=end.by_peer,
        )

    def _on_end(self, link: Link, handlers: Handlers) -> None:
        self._registry.leave(link)
        if link.ended is not None and link.ended.is_violation:
            handlers.violated(link.peer, link.ended)
        handlers.ended(link)

    def _check_guest(self, peer: PeerAuthenticated) -> None:
        self._check_welcome(peer)
        if self._handlers.is_near(peer.author) or peer.device in self.links:
            return
        strangers = sum(
            not link.outbound and not self._handlers.is_near(link.peer.author) for link in self._registry
        )
        if strangers >= self._limits.strangers:
            raise ChannelError(CloseCode.TOO_MANY, "too many strangers are connected; try later")

    def _check_welcome(self, peer: PeerAuthenticated) -> None:
        if self._running is None:
            raise ChannelError(CloseCode.GOING_AWAY, "stopping")
        reason = self._handlers.welcome(peer)
        if reason is not None:
            raise ChannelError(CloseCode.BLOCKED, reason)

    def _link(
        self,
        frames: FrameSocket,
        peer: PeerAuthenticated,
        address: str,
        *,
        outbound: bool,
        remote: tuple[str, int],
        token: bytes,
    ) -> Link:
        shared = None if self._handlers.is_near(peer.author) else self._strangers
        return Link(
            frames,
            peer,
            outbound=outbound,
            remote=remote,
            address=address,
            own_token=token,
            fetch=self._fetch,
            receive=self._receive,
            meter=Meter(self._limits, self._clock(), shared),
            clock=self._clock,
            limits=self._limits,
        )

    async def _fetch(self, link: Link, cid: Cid, most_bytes: int) -> bytes | None:
        bulk, source = self._bulk_of(link)
        is_close, alive = link.is_close, lambda: not link.closed
        return await bulk.fetch(source, cid, most_bytes=most_bytes, alive=alive, is_close=is_close)

    async def _receive(self, link: Link, cid: Cid, into: Receiving) -> bool:
        bulk, source = self._bulk_of(link)
        is_close, alive = link.is_close, lambda: not link.closed
        return await bulk.receive(source, cid, into, alive=alive, is_close=is_close)

    def _bulk_of(self, link: Link) -> tuple[BulkClient, Source]:
        port = link.remote[1] if link.outbound else link.peer.port
        if self._running is None or port == 0:
            raise LinkClosed("blocks cannot be had there")
        source = Source(link.address, port, link.peer.certificate, link.peer.token)
        return self._running.bulk, source


@dataclass(frozen=True, slots=True)
class _Running:
    """What is there between `start` and `stop`."""

    dialling: DialClient
    bulk: BulkClient


def _shown(address: tuple[str, int]) -> str:
    host, port = address[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
