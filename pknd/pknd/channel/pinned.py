"""HTTP connections to one certificate and no other, for threads; kept for a while for the next request."""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
import threading
import time
from dataclasses import dataclass
from hashlib import sha256

from pknd.channel.limits import Limits

_IDLE_SECONDS = 30.0
"""Half of what the other side keeps an idle connection for."""
_MOST_IDLE = 64


@dataclass(frozen=True, slots=True)
class Source:
    """Where a peer gives blocks: the SHA-256 of its certificate, and the token that opens them."""

    host: str
    port: int
    certificate: bytes
    token: bytes


class WrongCertificate(Exception):
    """Somebody else answers there: nothing was sent."""


class PinnedConnection(http.client.HTTPConnection):
    """One TLS connection to a source; the token goes to its certificate alone."""

    def __init__(self, source: Source, context: ssl.SSLContext, limits: Limits) -> None:
        super().__init__(source.host, source.port)
        self.source = source
        self.idle_since = 0.0
        self.is_reusable = False
        self._context = context
        self._limits = limits
        self._abortable: socket.socket | None = None
        self._aborted = False
        self._answer: http.client.HTTPResponse | None = None

    def ask(self, path: str, headers: dict[str, str]) -> http.client.HTTPResponse:
        """Send a request; the answer up to its body.

        Raises:
            WrongCertificate, OSError, http.client.HTTPException.
        """
        self.is_reusable = False
        self.putrequest("GET", path, skip_accept_encoding=True)
        for name, value in headers.items():
            self.putheader(name, value)
        self.endheaders()
        self._answer = self.getresponse()
        return self._answer

    def close(self) -> None:
        """The library leaves the socket to an answer that says it is the last one."""
        super().close()
        if self._answer is not None:
            self._answer.close()

    def finish(self, response: http.client.HTTPResponse) -> None:
        """The answer was read to its end, or has none: another request may follow."""
        if response.length:
            return
        self.is_reusable = not response.will_close
        response.close()

    def connect(self) -> None:
        """Called by the library before the first request; the certificate is looked at before it is sent."""
        self.sock = tls = self._secured()
        certificate = tls.getpeercert(binary_form=True)
        if certificate is None or sha256(certificate).digest() != self.source.certificate:
            raise WrongCertificate
        tls.settimeout(self._limits.bulk_read_seconds)

    def abort(self) -> None:
        """From another thread: whatever waits on the socket ends. The descriptor stays open until `close`."""
        self._aborted = True
        if self._abortable is not None:
            with contextlib.suppress(OSError):
                # Of the class below: TLS has a `shutdown` that forgets its state under the reader's feet.
                socket.socket.shutdown(self._abortable, socket.SHUT_RDWR)

    def _secured(self) -> ssl.SSLSocket:
        seconds = self._limits.bulk_connect_seconds
        problem: OSError | None = None
        found = socket.getaddrinfo(self.source.host, self.source.port, type=socket.SOCK_STREAM)
        for family, kind, protocol, _, address in found:
            raw = socket.socket(family, kind, protocol)
            self._watch(raw)
            try:
                raw.settimeout(seconds)
                raw.connect(address)
                raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                tls = self._context.wrap_socket(raw, do_handshake_on_connect=False)
            except OSError as error:
                raw.close()
                problem = error
                continue
            self._watch(tls)
            try:
                tls.do_handshake()
            except BaseException:
                tls.close()
                raise
            return tls
        raise problem or ConnectionRefusedError("no address")

    def _watch(self, opened: socket.socket) -> None:
        self._abortable = opened
        if self._aborted:
            opened.close()
            raise ConnectionAbortedError("given up")


class Idle:
    """Connections that wait for the next request, the latest used first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._connections: list[PinnedConnection] = []
        self._closed = False

    def take(self, source: Source) -> PinnedConnection | None:
        with self._lock:
            self._drop_old()
            for number in range(len(self._connections) - 1, -1, -1):
                if self._connections[number].source == source:
                    return self._connections.pop(number)
        return None

    def put(self, connection: PinnedConnection) -> None:
        connection.idle_since = time.monotonic()
        with self._lock:
            if self._closed:
                connection.close()
                return
            self._connections.append(connection)
            self._drop_old()

    def close(self) -> None:
        with self._lock:
            self._closed = True
            for connection in self._connections:
                connection.close()
            self._connections.clear()

    def _drop_old(self) -> None:
        oldest = time.monotonic() - _IDLE_SECONDS
        kept = []
        for number, connection in enumerate(self._connections):
            if connection.idle_since < oldest or number < len(self._connections) - _MOST_IDLE:
                connection.close()
            else:
                kept.append(connection)
        self._connections = kept
