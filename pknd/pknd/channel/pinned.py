"""HTTP connections to one certificate and no other, for threads; kept for a while for the next request.

Only as much of HTTP/1.1 (RFC 9112) as a listener of this protocol speaks. The standard library's client would
do, but takes a third of the time of a whole transfer for its headers and for reading through three layers.
"""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256

from pknd.channel.limits import Limits

_IDLE_SECONDS = 30.0
"""Half of what the other side keeps an idle connection for."""
_MOST_IDLE = 64
_MOST_HEAD_BYTES = 8192
"""Status line and headers: a listener here sends some 250 bytes."""
_STATUS = re.compile(rb"HTTP/1\.1 ([1-5][0-9]{2})(?: [^\r\n]*)?")
_HEADER = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\r\n]*?)[ \t]*")
_LENGTH = re.compile(rb"[0-9]{1,12}")
_END_OF_HEAD = b"\r\n\r\n"


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


@dataclass(frozen=True, slots=True)
class Answer:
    """The beginning of an answer; `length` bytes follow (None: until the connection ends)."""

    status: int
    length: int | None
    headers: Mapping[bytes, bytes]


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
        self._tls: ssl.SSLSocket | None = None
        self._abortable: socket.socket | None = None
        self._aborted = False
        self._ahead = b""
        self._left: int | None = 0
        self._ends = True

    @property
    def is_reusable(self) -> bool:
        """Whether the last answer was read to its end and another request may follow."""
        return self._tls is not None and not self._ends and self._left == 0 and not self._aborted

    def ask(self, path: str, headers: Mapping[str, str]) -> Answer:
        """Send a request; the answer up to its body.

        Raises:
            WrongCertificate, BadAnswer, OSError.
        """
        if self._tls is None:
            self._tls = self._connected()
        host = f"[{self.source.host}]" if ":" in self.source.host else self.source.host
        lines = [f"GET {path} HTTP/1.1", f"Host: {host}:{self.source.port}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        self._ends = True
        self._tls.sendall("\r\n".join([*lines, "", ""]).encode("ascii", "replace"))
        self.was_used = True
        answer = self._head(self._tls)
        self._left = answer.length
        self._ends = answer.length is None or answer.headers.get(b"connection", b"").lower() == b"close"
        return answer

    def read_into(self, buffer: memoryview) -> int:
        """The next bytes of the body: as many as fit, fewer only at its end (then 0) or where it breaks."""
        wanted = len(buffer) if self._left is None else min(len(buffer), self._left)
        count = min(wanted, len(self._ahead))
        buffer[:count] = self._ahead[:count]
        self._ahead = self._ahead[count:]
        while count < wanted and self._tls is not None:
            more = self._tls.recv_into(buffer[count:wanted])
            if not more:
                self._ends = True
                break
            count += more
        if self._left is not None:
            self._left -= count
        return count

    def close(self) -> None:
        if self._tls is not None:
            self._tls.close()
            self._tls = None

    def abort(self) -> None:
        """From another thread: whatever waits on the socket ends. The descriptor stays open until `close`."""
        self._aborted = True
        if self._abortable is not None:
            with contextlib.suppress(OSError):
                # Of the class below: TLS has a `shutdown` that forgets its state under the reader's feet.
                socket.socket.shutdown(self._abortable, socket.SHUT_RDWR)

    def _head(self, tls: ssl.SSLSocket) -> Answer:
        data = bytearray()
        while (end := data.find(_END_OF_HEAD)) < 0:
            if len(data) > _MOST_HEAD_BYTES:
                raise BadAnswer("headers that are too long")
            more = tls.recv(_MOST_HEAD_BYTES)
            if not more:
                raise ConnectionResetError("closed")
            data += more
        self._ahead = bytes(data[end + len(_END_OF_HEAD) :])
        first, *lines = bytes(data[:end]).split(b"\r\n")
        status = _STATUS.fullmatch(first)
        found = [_HEADER.fullmatch(line) for line in lines]
        if status is None or None in found:
            raise BadAnswer("not HTTP/1.1")
        headers = {one[1].lower(): one[2] for one in found if one is not None}
        length = headers.get(b"content-length")
        if b"transfer-encoding" in headers or b"content-encoding" in headers:
            raise BadAnswer("an encoding that was not asked for")
        if length is not None and _LENGTH.fullmatch(length) is None:
            raise BadAnswer("a length that is no number")
        return Answer(int(status[1]), None if length is None else int(length), headers)

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
