"""The sockets that are listened on."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterable

from pknd.config import DEFAULT_PORT, Listen
from pknd.errors import DomainError

_PORTS_TRIED = 32
"""From the default port on, when it is taken: several people's daemons on one machine."""
_BACKLOG = 128
_NO_SUCH_FAMILY = frozenset({errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL, errno.EPROTONOSUPPORT})


class PortInUse(DomainError):
    """It cannot be listened where it was asked for."""

    def __init__(self, listen: Listen, problem: str) -> None:
        super().__init__(
            "port-in-use",
            f"cannot listen on {listen}: {problem}",
            "choose another port: pkn config set listen HOST:PORT, or --listen for once",
        )


def listening_sockets(listen: Listen) -> list[socket.socket]:
    """Sockets for an address, or for all of IPv4 and of IPv6, at one port; the default port gives way to the
    next free one.

    Raises:
        PortInUse: the port that was asked for is taken, or the address is not this machine's.
    """
    # Port 0 is any free one; the one that IPv4 gets may be taken in IPv6.
    ports: Iterable[int] = [listen.port] * (1 if listen.port else _PORTS_TRIED)
    if listen.port == DEFAULT_PORT:
        ports = range(DEFAULT_PORT, DEFAULT_PORT + _PORTS_TRIED)
    problem = "no address"
    for port in ports:
        try:
            return _at_port(listen.host, port)
        except OSError as error:
            problem = (error.strerror or str(error)).lower()
            if error.errno != errno.EADDRINUSE:
                break
    raise PortInUse(listen, problem)


def _at_port(host: str | None, port: int) -> list[socket.socket]:
    if host is not None:
        return [_bound(socket.AF_INET6 if ":" in host else socket.AF_INET, host, port)]
    sockets: list[socket.socket] = []
    problem: OSError | None = None
    for family, everywhere in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):  # noqa: S104 - the default
        try:
            sockets.append(_bound(family, everywhere, port))
            port = sockets[0].getsockname()[1]
        except OSError as error:
            if error.errno in _NO_SUCH_FAMILY:
                problem = error
                continue
            for listener in sockets:
                listener.close()
            raise
    if not sockets and problem is not None:
        raise problem
    return sockets


def _bound(family: int, host: str, port: int) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind((host, port))
        # Only this tells that another process listens there already.
        listener.listen(_BACKLOG)
        listener.setblocking(False)
    except BaseException:
        listener.close()
        raise
    return listener
