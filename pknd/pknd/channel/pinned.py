"""HTTP connections to one certificate and no other, for threads; kept for a while for the next request."""

from __future__ import annotations

import contextlib
import io
import math
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from http.client import HTTPConnection, HTTPException, HTTPResponse
from typing import cast

from pknd.channel.limits import Limits

_IDLE_SECONDS = 30.0
"""Half of what the other side keeps an idle connection for."""
_MOST_IDLE = 64
_MOST_HEAD_BYTES = 16 * 1024
"""Status line and headers, and what was read along of the body: a listener here sends some 250 bytes."""
_PIECE_SECONDS = 0.25
"""As often as the owner looks at how far a transfer is. Over a fast way a piece is full long before."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where a peer gives blocks: the SHA-256 of its certificate, and the token that opens them."""

    host: str
    port: int
    certificate: bytes
    token: bytes


class WrongCertificate(Exception):
    """Somebody else answers there: nothing was sent."""


class BadAnswer(Exception):
    """Not an answer that this protocol has."""


class PinnedConnection:
    """One TLS connection to a source; the token goes to its certificate alone.

    Used by one thread at a time, but for `abort`. Methods raise OSError (of which TimeoutError).
    """

    def __init__(self, source: Source, context: ssl.SSLContext, limits: Limits) -> None:
        self.source = source
        self.idle_since = 0.0
        self.was_used = False
        self._context = context
        self._limits = limits
        self._http = HTTPConnection(source.host, source.port)
        self._http.response_class = _Answer
        self._http.auto_open = 0
        self._abortable: socket.socket | None = None
        self._aborted = False
        self._answer: _Answer | None = None

    @property
    def is_reusable(self) -> bool:
        """Whether the last answer was read to its end and another request may follow."""
        answer = self._answer
        read = answer is not None and answer.isclosed() and not answer.will_close
        return read and self._http.sock is not None and not self._aborted

    def ask(self, path: str, headers: Mapping[str, str]) -> HTTPResponse:
        """Send a request; the answer up to its body.

        Raises:
            WrongCertificate, BadAnswer, OSError.
        """
        if self._http.sock is None:
            self._http.sock = self._connected()
        self._answer = None
        self._http.putrequest("GET", path, skip_accept_encoding=True)
        for name, value in headers.items():
            self._http.putheader(name, value)
        self._http.endheaders()
        self.was_used = True
        with _bad_answers():
            self._answer = cast("_Answer", self._http.getresponse())
        if "Transfer-Encoding" in self._answer.headers or "Content-Encoding" in self._answer.headers:
            raise BadAnswer("an encoding that was not asked for")
        return self._answer

    def read_into(self, buffer: memoryview) -> int:
        """The next bytes of the body: as many as fit, or as came in a quarter of a second; 0 at its end.

        What came before an error is handed over, and the error raised at the next call.
        """
        if self._answer is None:
            return 0
        self._answer.begin_piece()
        with _bad_answers():
            return self._answer.readinto(buffer)

    def close(self) -> None:
        if self._answer is not None:
            self._answer.close()
        self._http.close()

    def abort(self) -> None:
        """From another thread: whatever waits on the socket ends. The descriptor stays open until `close`."""
        self._aborted = True
        if self._abortable is not None:
            with contextlib.suppress(OSError):
                # Of the class below: TLS has a `shutdown` that forgets its state under the reader's feet.
                socket.socket.shutdown(self._abortable, socket.SHUT_RDWR)

    def _connected(self) -> ssl.SSLSocket:
        """TLS to the source; its certificate is looked at before anything is sent."""
        tls = self._secured()
        certificate = tls.getpeercert(binary_form=True)
        if certificate is None or sha256(certificate).digest() != self.source.certificate:
            tls.close()
            raise WrongCertificate
        tls.settimeout(self._limits.bulk_read_seconds)
        return tls

    def _secured(self) -> ssl.SSLSocket:
        problem: OSError | None = None
        found = socket.getaddrinfo(self.source.host, self.source.port, type=socket.SOCK_STREAM)
        for family, kind, protocol, _, address in found:
            raw = socket.socket(family, kind, protocol)
            self._watch(raw)
            try:
                raw.settimeout(self._limits.bulk_connect_seconds)
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


class _Answer(HTTPResponse):
    """Takes only so much for status line and headers: the library would take some megabytes."""

    def __init__(self, sock: socket.socket, debuglevel: int = 0, method: str | None = None) -> None:
        super().__init__(sock, debuglevel, method)
        self._bounded = _Bounded(self.fp.detach())
        self.fp = io.BufferedReader(self._bounded)

    def begin(self) -> None:
        super().begin()
        self._bounded.left = None

    def begin_piece(self) -> None:
        self._bounded.begin_piece()


class _Bounded(io.RawIOBase):
    """What comes over a connection, of which so much may still be read; None: all. A piece does not wait for
    more once it has something and a quarter of a second is over: a slow sender is seen to send."""

    def __init__(self, raw: io.RawIOBase) -> None:
        self.left: int | None = _MOST_HEAD_BYTES
        self._raw = raw
        self._has_some = False
        self._ends = math.inf
        self._error: OSError | None = None

    def begin_piece(self) -> None:
        self._has_some = False
        self._ends = time.monotonic() + _PIECE_SECONDS

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int | None:  # type: ignore[override]
        if self._error is not None:
            raise self._error
        if self._has_some and time.monotonic() >= self._ends:
            return None
        try:
            count = self._raw.readinto(buffer)
        except OSError as error:
            if self.left is not None or not self._has_some:
                raise
            self._error = error
            return None
        self._has_some = True
        if self.left is not None and count:
            self.left -= count
            if self.left < 0:
                raise HTTPException("headers that are too long")
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


@contextlib.contextmanager
def _bad_answers() -> Iterator[None]:
    try:
        yield
    except HTTPException as error:
        if isinstance(error, OSError):
            raise
        raise BadAnswer(str(error) or type(error).__name__) from error


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
