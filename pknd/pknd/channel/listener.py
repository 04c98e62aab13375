"""The TLS listener: who may come in, how long a stranger may take, which request goes where.

Connections are accepted before TLS, so that floods, garbage and silence cost little and end with a reason.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, cast

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from pkn_protocol.control.status import LogLevel
from pknd import log
from pknd.channel.budgets import ArrivalBudgets
from pknd.channel.limits import Limits

CHANNEL_PATH = "/v1/channel"
BLOCKS_PATH = "/v1/blocks/"
_KEEP_ALIVE_SECONDS = 60.0
"""A connection for blocks may idle for so long."""
_MOST_LINE_BYTES = 4096
_MOST_HEADERS = 64
_STOP_SECONDS = 0.3


class Guest:
    """A connection from its arrival on. Until `settle` it counts as unfinished and has a deadline."""

    def __init__(self, address: str, port: int, deadline: float, on_settled: Callable[[Guest], None]) -> None:
        self.address = address
        self.port = port
        self.deadline = deadline
        self.settled = False
        self.transport: asyncio.Transport | None = None
        self._on_settled = on_settled

    def settle(self) -> None:
        """It has said who it is, or is gone."""
        if not self.settled:
            self.settled = True
            self._on_settled(self)

    def abort(self) -> None:
        if self.transport is not None:
            self.transport.abort()

    def refused(self, reason: str, level: LogLevel = LogLevel.INFO) -> None:
        """Log why this connection came to nothing."""
        log.event("channel.refused", level, address=self.address, port=self.port, reason=reason)


Route = Callable[[web.BaseRequest, Guest], Awaitable[web.StreamResponse]]


class Listener:
    """`on_channel` answers the request for a WebSocket, `on_block` those for blocks."""

    def __init__(
        self,
        context: ssl.SSLContext,
        *,
        on_channel: Route,
        on_block: Route,
        clock: Callable[[], float],
        limits: Limits,
    ) -> None:
        self._context = context
        self._on_channel = on_channel
        self._on_block = on_block
        self._clock = clock
        self._limits = limits
        self._arrivals = ArrivalBudgets(limits)
        self._guests: dict[RequestHandler, Guest] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._servers: list[asyncio.Server] = []
        self._http: _Http | None = None

    async def start(self, sockets: Sequence[socket.socket]) -> None:
        loop = asyncio.get_running_loop()
        self._http = _Http(
            self._answer,
            self._gone,
            access_log=None,
            logger=_HttpLog(),
            tcp_keepalive=False,
            keepalive_timeout=_KEEP_ALIVE_SECONDS,
            lingering_time=0,
            max_line_size=_MOST_LINE_BYTES,
            max_field_size=_MOST_LINE_BYTES,
            max_headers=_MOST_HEADERS,
        )
        for listening in sockets:
            self._servers.append(await loop.create_server(lambda: _Doorway(self), sock=listening))

    def stop_listening(self) -> None:
        """Let nobody in any more."""
        for server in self._servers:
            server.close()
        self._servers.clear()

    async def stop(self) -> None:
        """End what is left of all connections."""
        self.stop_listening()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._http is not None:
            for guest in list(self._guests.values()):
                if not guest.settled:
                    guest.abort()
            await self._http.shutdown(_STOP_SECONDS)
            for guest in list(self._guests.values()):
                # The end of TLS is not waited for: whoever does not answer it would keep the connection.
                guest.abort()
            await asyncio.sleep(0)

    def arrived(self, transport: asyncio.Transport) -> None:
        """A connection was accepted; nothing was read from it yet."""
        peer = transport.get_extra_info("peername") or ("unknown", 0)
        address = str(peer[0]).removeprefix("::ffff:")
        reason = self._arrivals.enter(address, self._clock())
        if reason is not None:
            log.event("channel.refused", LogLevel.DEBUG, address=address, port=int(peer[1]), reason=reason)
            transport.abort()
            return
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._limits.handshake_seconds
        guest = Guest(address, int(peer[1]), deadline, lambda guest: self._arrivals.leave(guest.address))
        task = loop.create_task(self._secure(transport, guest))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _secure(self, raw: asyncio.Transport, guest: Guest) -> None:
        """TLS, then HTTP; whatever goes wrong ends in a line of the log."""
        if self._http is None:
            raw.abort()
            return
        handler = self._http()
        loop = asyncio.get_running_loop()
        transport: asyncio.Transport | None = None
        try:
            transport = await loop.start_tls(
                raw,
                handler,
                self._context,
                server_side=True,
                ssl_handshake_timeout=self._limits.handshake_seconds,
                ssl_shutdown_timeout=self._limits.close_seconds,
            )
        except (OSError, EOFError) as error:
            guest.refused(_tls_reason(error))
        finally:
            if transport is None:
                raw.abort()
                guest.settle()
        if transport is None:
            return
        guest.transport = transport
        self._guests[handler] = guest
        handler.connection_made(transport)
        loop.call_at(guest.deadline, self._late, guest)

    def _late(self, guest: Guest) -> None:
        # A channel's handshake has the same deadline and says why it ends; it is given time for that.
        if guest.settled or guest.transport is None or guest.transport.is_closing():
            return
        if asyncio.get_running_loop().time() < guest.deadline + self._limits.close_seconds:
            asyncio.get_running_loop().call_later(2 * self._limits.close_seconds, self._late, guest)
            return
        guest.refused("it did not say in time who it is")
        guest.abort()

    def _gone(self, handler: RequestHandler) -> None:
        guest = self._guests.pop(handler, None)
        if guest is not None:
            guest.settle()

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        guest = self._guests.get(request.protocol)
        if guest is None:
            raise ConnectionResetError
        try:
            if request.method == "GET" and request.rel_url.raw_path == CHANNEL_PATH:
                return await self._on_channel(request, guest)
            if request.method == "GET" and request.rel_url.raw_path.startswith(BLOCKS_PATH):
                return await self._on_block(request, guest)
        except (web.HTTPException, ConnectionError, TimeoutError) as error:
            reason = error.reason if isinstance(error, web.HTTPException) else str(error)
            guest.refused(reason or type(error).__name__, LogLevel.DEBUG)
            return _ending(400)
        except Exception as error:
            log.failure("channel.fault", error, address=guest.address)
            return _ending(500)
        if not guest.settled:
            guest.refused("not a request of this protocol")
        return _ending(404)


def plain(status: int) -> web.Response:
    """An answer without content, and without naming the software."""
    return web.Response(status=status, headers={"Server": "pkn"})


def _ending(status: int) -> web.Response:
    response = plain(status)
    response.force_close()
    return response


def _tls_reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return f"no TLS 1.3: {(error.reason or str(error)).lower().replace('_', ' ')}"
    if isinstance(error, ConnectionAbortedError):
        return "TLS was not set up in time"
    return "it went away before TLS was set up"


class _Doorway(asyncio.Protocol):
    """Hands an accepted connection on, before anything is read."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        accepted = cast(asyncio.Transport, transport)
        accepted.pause_reading()
        self._listener.arrived(accepted)


class _Http(web.Server):
    """aiohttp's low-level server, fed with connections that have TLS already."""

    def __init__(
        self,
        handler: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]],
        gone: Callable[[RequestHandler], None],
        **settings: Any,
    ) -> None:
        super().__init__(handler, **settings)
        self._gone = gone

    def connection_lost(self, handler: RequestHandler, exc: BaseException | None = None) -> None:
        super().connection_lost(handler, exc)
        self._gone(handler)


class _HttpLog(logging.LoggerAdapter[logging.Logger]):
    """What the library has to say of bad requests: one event, and no traceback."""

    def __init__(self) -> None:
        super().__init__(logging.getLogger("pkn.http"))

    def debug(self, msg: object, *args: object, **kwargs: Any) -> None:
        self._tell(msg, kwargs)

    def exception(self, msg: object, *args: object, exc_info: Any = True, **kwargs: Any) -> None:
        self._tell(msg, {"exc_info": exc_info})

    def _tell(self, msg: object, kwargs: dict[str, Any]) -> None:
        error = kwargs.get("exc_info")
        if isinstance(error, BaseException):
            log.event("channel.refused", reason=f"not HTTP: {type(error).__name__}")
        else:
            log.event("channel.http", LogLevel.DEBUG, message=str(msg))
