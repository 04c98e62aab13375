"""The control API's server: one Unix socket, for the user who owns the home and for nobody else."""

from __future__ import annotations

import os
import socket
import stat
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from aiohttp import web

from pkn_protocol.control.errors import ErrorBody, ErrorCode
from pkn_protocol.control.socket_rules import FOLDER_MODE, UnsafeSocket, check_folder, check_peer
from pkn_protocol.control.status import LogLevel
from pknd import log
from pknd.control import daemon, discovering, identity, items, news, peers, people, query, settings, work
from pknd.control.acts import Acts
from pknd.control.replies import CLOSE_SECONDS, Handler, Streams, error_reply, errors_as_json
from pknd.control.services import Services
from pknd.errors import DomainError
from pknd.home import Home

_SOCKET_UMASK = 0o177
_BACKLOG = 64
# How long the rest of a refused body is read and dropped, so that the client gets to read why.
_LINGER_SECONDS = 2.0


class SocketUnusable(DomainError):
    def __init__(self, message: str, hint: str) -> None:
        super().__init__("socket-unusable", message, hint)


@asynccontextmanager
async def serving(home: Home, services: Services) -> AsyncIterator[Path]:
    """Serve the control API while the block runs; gives the socket's path.

    The caller holds the home's lock, so a socket found there belongs to a dead daemon. On leaving, streams
    are cancelled, acts under way are finished, and the socket is removed.

    Raises:
        SocketUnusable: the socket's folder or path is not ours to use.
    """
    acts, streams = Acts(), Streams()
    application = _application(services, acts, streams)
    listener = bind(home.socket)
    runner = web.AppRunner(
        application,
        access_log=None,
        handler_cancellation=True,
        shutdown_timeout=CLOSE_SECONDS,
        lingering_time=_LINGER_SECONDS,
        auto_decompress=False,
    )
    try:
        await runner.setup()
        await web.SockSite(runner, listener, backlog=_BACKLOG).start()
        yield home.socket
    finally:
        with suppress(FileNotFoundError):
            home.socket.unlink()
        await streams.close()
        await acts.close()
        await runner.cleanup()
        listener.close()


def bind(path: Path) -> socket.socket:
    """A listening socket's descriptor at `path`, mode 0600 from its first moment, in a folder that is ours.

    Raises:
        SocketUnusable: the folder is not ours, or something that is no socket lies at the path.
    """
    folder = path.parent
    with suppress(FileExistsError):
        folder.mkdir(mode=FOLDER_MODE)
    about = folder.lstat()
    try:
        check_folder(
            str(folder),
            mode=about.st_mode,
            owner=about.st_uid,
            is_link=not stat.S_ISDIR(about.st_mode),
            user_id=os.geteuid(),
        )
    except UnsafeSocket as error:
        raise SocketUnusable(
            f"the control socket's folder is not safe: {error}", "remove or correct it"
        ) from None
    if os.path.lexists(path):
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise SocketUnusable(f"{path} is not a socket", "move it away")
        path.unlink()
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(_SOCKET_UMASK)
    try:
        listener.bind(str(path))
    except OSError as error:
        listener.close()
        raise SocketUnusable(f"{path} cannot be made: {error.strerror}", "check the folder") from error
    finally:
        os.umask(before)
    listener.setblocking(False)
    return listener


def _application(services: Services, acts: Acts, streams: Streams) -> web.Application:
    application = web.Application(middlewares=[own_user_only, errors_as_json], client_max_size=0)
    application.add_routes(
        [
            *daemon.routes(services.status, services.log, services.lifecycle, streams),
            *identity.routes(services.identity, acts),
            *settings.routes(services.config, acts),
            *items.routes(services.items, acts, streams),
            *work.routes(services.work, streams),
            *query.routes(services.query, streams),
            *discovering.routes(services.discovering),
            *news.routes(services.news, acts, streams),
            *people.routes(services.people, acts),
            *peers.routes(services.peers),
        ]
    )
    return application


@web.middleware
async def own_user_only(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse another user's connection, even where folder and socket modes let it through."""
    connection = None if request.transport is None else request.transport.get_extra_info("socket")
    try:
        if connection is None:
            raise UnsafeSocket("the connection is gone")
        check_peer(sys.platform, connection.getsockopt, os.geteuid())
    except (UnsafeSocket, OSError) as error:
        log.event("control.refused", LogLevel.WARNING, reason=str(error))
        response = error_reply(ErrorBody(ErrorCode.OTHER_USER, "this pknd belongs to another user"))
        response.force_close()
        return response
    return await handler(request)
