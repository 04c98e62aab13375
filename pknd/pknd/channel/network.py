"""All connections: the listener, dialling, the handshake, one connection a device."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from dataclasses import dataclass, replace
from hashlib import sha256
from hmac import compare_digest

import aiohttp
from aiohttp import web

from pkn_protocol.channel import messages as m
from pkn_protocol.channel.codec import Stage, decode_message, encode_message
from pkn_protocol.channel.errors import ChannelError, CloseCode
from pkn_protocol.channel.handshake import ClientHandshake, Local, PeerAuthenticated, ServerHandshake
from pkn_protocol.control.status import LogLevel
from pkn_protocol.records.ids import AuthorId, Cid, DeviceId
from pkn_protocol.records.signing import Ed25519Key
from pknd import log
from pknd.channel.budgets import HANDSHAKE_SECONDS, STRANGERS, AddressBudgets
from pknd.channel.bulk import fetch_block, give_block, token_text
from pknd.channel.link import Link, Socket
from pknd.channel.tls import certificate_key, client_context, make_certificate, server_context
from pknd.config import DEFAULT_PORT, Listen
from pknd.errors import DomainError

CHANNEL_PATH = "/v1/channel"
BLOCK_PATH = "/v1/blocks/{cid}"
_PORTS_TRIED = 32
_CLOSE_SECONDS = 1.0
_DIAL_SECONDS = 10.0
_TOKEN_BYTES = 32
_NONCE_BYTES = 32
_BLOCK_HEADER_BYTES = 8 * 1024


class PortInUse(DomainError):
    def __init__(self, listen: Listen, problem: str) -> None:
        super().__init__(
            "port-in-use",
            f"cannot listen on {listen}: {problem}",
            "choose another port: pkn config set listen HOST:PORT, or --listen for once",
        )


@dataclass(frozen=True, slots=True)
class Handlers:
    """What the daemon does with connections.

    `serve` runs as long as a connection lives; `request` answers requests; `message` takes the rest;
    `block` gives a block that a peer may see; `ended` is told of each end.
    """

    serve: Callable[[Link], Coroutine[None, None, None]]
    request: Callable[[Link, m.Message], AsyncIterator[m.Message]]
    message: Callable[[Link, m.Message], Awaitable[None]]
    block: Callable[[Link, Cid], Awaitable[bytes | None]]
    welcome: Callable[[PeerAuthenticated], str | None]
    """Why a peer is refused; None if it is not."""
    ended: Callable[[Link], None]
    is_near: Callable[[AuthorId], bool]


class Network:
    """Started once; `stop` ends all connections."""

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
        versions: tuple[int, int] = (1, 1),
        handshake_seconds: float = HANDSHAKE_SECONDS,
    ) -> None:
        self.links: dict[DeviceId, Link] = {}
        self.port = 0
        self._certificate = make_certificate(device_key)
        least, greatest = versions
        self._local = Local(
            author, device_key, device_record, agent, self._certificate.digest, 0, least, greatest
        )
        self._random_bytes = random_bytes
        self._handlers = handlers
        self._handshake_seconds = handshake_seconds
        self._addresses = AddressBudgets(clock)
        self._tasks: set[asyncio.Task[None]] = set()
        self._runner: web.AppRunner | None = None
        self._client: aiohttp.ClientSession | None = None
        self._client_tls = client_context()
        self._stopping = False
        self._changed = asyncio.Condition()

    async def start(self, listen: Listen) -> None:
        """Listen.

        Raises:
            PortInUse: the port that was asked for is taken, or the address is not this machine's.
        """
        application = web.Application(client_max_size=1024)
        application.router.add_get(CHANNEL_PATH, self._accept)
        application.router.add_get(BLOCK_PATH, self._give_block)
        self._runner = web.AppRunner(
            application, access_log=None, handle_signals=False, shutdown_timeout=_CLOSE_SECONDS
        )
        await self._runner.setup()
        listener = _bind(listen)
        self.port = listener.getsockname()[1]
        self._local = replace(self._local, port=self.port)
        site = web.SockSite(
            self._runner, listener, ssl_context=server_context(self._certificate), backlog=128
        )
        await site.start()
        self._client = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=64, limit_per_host=4),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=_DIAL_SECONDS),
            auto_decompress=False,
            trust_env=False,
        )

    async def stop(self) -> None:
        """End all connections, telling the peers, and stop listening."""
        self._stopping = True
        for link in list(self.links.values()):
            await link.close(CloseCode.GOING_AWAY, "stopping")
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_CLOSE_SECONDS)
        for task in list(self._tasks):
            task.cancel()
        if self._client is not None:
            await self._client.close()
        if self._runner is not None:
            await self._runner.cleanup()

    async def dial(self, host: str, port: int, *, expected: DeviceId | None = None) -> Link:
        """Connect to a device and authenticate it; the connection there is, if there is one already.

        Raises:
            ChannelError: refused, with the reason. OSError, TimeoutError: nobody answers.
        """
        if self._client is None or self._stopping:
            raise ChannelError(CloseCode.GOING_AWAY, "not running")
        address = f"[{host}]" if ":" in host else host
        try:
            async with asyncio.timeout(_DIAL_SECONDS):
                socket_ = await self._client.ws_connect(
                    f"https://{address}:{port}{CHANNEL_PATH}",
                    ssl=self._client_tls,
                    compress=0,
                    max_msg_size=600 * 1024,
                    autoping=True,
                )
        except aiohttp.ClientError as error:
            raise ConnectionError(f"no pkn answers at {address}:{port}: {error}") from error
        token = self._random_bytes(_TOKEN_BYTES)
        try:
            async with asyncio.timeout(self._handshake_seconds):
                peer = await self._greet(socket_, token, expected)
        except BaseException as error:
            await _refuse(socket_, error)
            raise
        link = self._link(socket_, peer, outbound=True, remote=(host, port), token=token)
        return await self._adopt(link)

    def by_token(self, header: str) -> Link | None:
        """The connection whose token a request shows."""
        for link in self.links.values():
            if compare_digest(header.encode(), f"Bearer {token_text(link.own_token)}".encode()):
                return link
        return None

    async def _greet(
        self, socket_: aiohttp.ClientWebSocketResponse, token: bytes, expected: DeviceId | None
    ) -> PeerAuthenticated:
        tls = socket_.get_extra_info("ssl_object")
        der = tls.getpeercert(binary_form=True) if tls is not None else None
        key = certificate_key(der) if der is not None else None
        if der is None or key is None:
            raise ChannelError(CloseCode.WRONG_DEVICE, "its certificate carries no device key")
        handshake = ClientHandshake(
            self._local,
            nonce=self._random_bytes(_NONCE_BYTES),
            token=token,
            certificate=sha256(der).digest(),
            certificate_key=key,
            expected=expected,
        )
        await socket_.send_bytes(encode_message(m.Envelope(handshake.start())))
        while True:
            result = handshake.receive(await _receive(socket_))
            if isinstance(result, PeerAuthenticated):
                self._check_welcome(result)
                return result
            await socket_.send_bytes(encode_message(m.Envelope(result)))

    async def _accept(self, request: web.Request) -> web.StreamResponse:
        remote = _remote(request)
        if self._stopping or not self._addresses.enter(remote[0]):
            return web.Response(status=503)
        try:
            socket_ = web.WebSocketResponse(
                compress=False, max_msg_size=600 * 1024, autoping=True, timeout=1.0
            )
            await socket_.prepare(request)
            token = self._random_bytes(_TOKEN_BYTES)
            try:
                async with asyncio.timeout(self._handshake_seconds):
                    peer = await self._authenticate(socket_, token)
            except (ChannelError, TimeoutError, ConnectionError) as error:
                log.event(
                    "channel.refused", LogLevel.DEBUG, address=remote[0], reason=str(error) or "too slow"
                )
                await _refuse(socket_, error)
                return socket_
            link = self._link(socket_, peer, outbound=False, remote=remote, token=token)
            await self._serve(link)
            return socket_
        finally:
            self._addresses.leave(remote[0])

    async def _authenticate(self, socket_: web.WebSocketResponse, token: bytes) -> PeerAuthenticated:
        handshake = ServerHandshake(self._local, nonce=self._random_bytes(_NONCE_BYTES), token=token)
        while True:
            answer, peer = handshake.receive(await _receive(socket_))
            if peer is not None:
                self._check_welcome(peer)
                self._check_strangers(peer)
            await socket_.send_bytes(encode_message(m.Envelope(answer)))
            if peer is not None:
                return peer

    def _check_welcome(self, peer: PeerAuthenticated) -> None:
        reason = self._handlers.welcome(peer)
        if reason is not None:
            raise ChannelError(CloseCode.BLOCKED, reason)

    def _check_strangers(self, peer: PeerAuthenticated) -> None:
        if self._handlers.is_near(peer.author):
            return
        strangers = sum(not self._handlers.is_near(link.peer.author) for link in self.links.values())
        if strangers >= STRANGERS:
            raise ChannelError(CloseCode.TOO_MANY, "too many strangers are connected; try later")

    def _link(
        self,
        socket_: Socket,
        peer: PeerAuthenticated,
        *,
        outbound: bool,
        remote: tuple[str, int],
        token: bytes,
    ) -> Link:
        return Link(socket_, peer, outbound=outbound, remote=remote, own_token=token, fetch=self._fetch)

    async def _adopt(self, link: Link) -> Link:
        """Serve a dialled connection in a task of its own; the one that stays, if there are two."""
        task = asyncio.create_task(self._serve(link))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        await asyncio.sleep(0)
        kept = self.links.get(link.peer.device)
        return kept if kept is not None else link

    async def _serve(self, link: Link) -> None:
        if not await self._register(link):
            await link.close(CloseCode.DUPLICATE, "connected already")
            await link.run(_nothing_asked, _nothing_told)
            return
        device = link.peer.device
        log.event("peer.connected", device=device.hex()[:16], address=link.remote[0], outbound=link.outbound)
        try:
            async with asyncio.TaskGroup() as tasks:
                service = tasks.create_task(self._handlers.serve(link))
                try:
                    await link.run(self._handlers.request, self._handlers.message)
                finally:
                    service.cancel()
        except* Exception as group:
            log.failure("channel.fault", group)
        finally:
            if self.links.get(device) is link:
                del self.links[device]
            log.event("peer.disconnected", device=device.hex()[:16])
            self._handlers.ended(link)

    async def _register(self, link: Link) -> bool:
        """Enter a connection; of two to one device that one stays which the smaller device key dialled, so
        that both sides keep the same."""
        device = link.peer.device
        other = self.links.get(device)
        if other is not None and not other.closed:
            own = self._local.device_key.public
            smaller_is_own = own < device
            if other.outbound != link.outbound and link.outbound != smaller_is_own:
                return False
            await other.close(CloseCode.DUPLICATE, "connected anew")
        self.links[device] = link
        return True

    async def _fetch(self, link: Link, cid: Cid, most_bytes: int) -> bytes | None:
        if self._client is None:
            return None
        return await fetch_block(self._client, link, cid, most_bytes)

    async def _give_block(self, request: web.Request) -> web.StreamResponse:
        link = self.by_token(request.headers.get("Authorization", ""))
        if link is None:
            return web.Response(status=404)
        response = await give_block(request, lambda cid: self._handlers.block(link, cid))
        link.bytes_out += response.content_length or 0
        return response


async def _receive(socket_: Socket) -> m.Message:
    received = await socket_.receive()
    if received.type is not aiohttp.WSMsgType.BINARY:
        raise ChannelError(CloseCode.BAD_MESSAGE, "the handshake was broken off")
    return decode_message(received.data, Stage.HANDSHAKE).message


async def _refuse(socket_: Socket, error: BaseException) -> None:
    code, reason = CloseCode.TOO_SLOW, "the handshake took too long"
    if isinstance(error, ChannelError):
        code, reason = error.code, error.reason
    with contextlib.suppress(ConnectionError, RuntimeError, TimeoutError):
        async with asyncio.timeout(_CLOSE_SECONDS):
            await socket_.send_bytes(encode_message(m.Envelope(m.Close(code, reason))))
            await socket_.close(code=code, message=reason.encode()[:100])


async def _nothing_asked(link: Link, message: m.Message) -> AsyncIterator[m.Message]:
    return
    yield


async def _nothing_told(link: Link, message: m.Message) -> None:
    return


def _remote(request: web.Request) -> tuple[str, int]:
    name = request.transport.get_extra_info("peername") if request.transport is not None else None
    return (str(name[0]), int(name[1])) if name else ("unknown", 0)


def _bind(listen: Listen) -> socket.socket:
    """A listening socket; from the default port on the next free one, any other port as it is."""
    tries = range(listen.port, listen.port + _PORTS_TRIED) if listen.port == DEFAULT_PORT else [listen.port]
    problem = "in use"
    for port in tries:
        family = socket.AF_INET6 if listen.host is None or ":" in listen.host else socket.AF_INET
        try:
            listener = socket.socket(family, socket.SOCK_STREAM)
        except OSError:
            family = socket.AF_INET
            listener = socket.socket(family, socket.SOCK_STREAM)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6 and listen.host is None:
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            host = listen.host or ("::" if family == socket.AF_INET6 else "0.0.0.0")  # noqa: S104 - the default
            listener.bind((host, port))
            listener.setblocking(False)
        except OSError as error:
            listener.close()
            problem = error.strerror or str(error)
            if error.errno != errno.EADDRINUSE:
                break
        else:
            return listener
    raise PortInUse(listen, problem)
