"""Fetching blocks over HTTP, only from the certificate that was authenticated (SPEC, Transport, Blocks).

In threads: decryption, hashing and writing take a processor for milliseconds a block, which the event loop
has not. OpenSSL, hashlib and the file system let other threads run meanwhile.
"""

from __future__ import annotations

import contextlib
import re
import ssl
import threading
from collections.abc import Callable, Iterator
from http.client import HTTPResponse

from pkn_protocol.control.status import LogLevel
from pkn_protocol.records.ids import Cid, cid_text
from pkn_protocol.records.payload import BLOCK_BYTES
from pkn_protocol.records.walk import BadBlock
from pknd import log
from pknd.channel.blocks import token_text
from pknd.channel.lanes import Lanes
from pknd.channel.limits import PIECE_BYTES, Limits
from pknd.channel.pinned import BadAnswer, Idle, PinnedConnection, Source, WrongCertificate
from pknd.channel.receiving import InMemory, Receiving
from pknd.channel.tls import client_context
from pknd.sync.link import LinkClosed, SourceBusy

_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,12})-([0-9]{1,12})/([0-9]{1,12})")
_THREADS = 16
"""Transfers at a time, with 256 KiB each. Most of them wait for the network."""


class _BrokenOff(Exception):
    """The transfer ended early; it can go on where it stopped."""


class _Stale(Exception):
    """A connection that was kept for the next request is not there any more."""


class BulkClient:
    """Fetches blocks from all peers."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._context = client_context()
        self._lanes = Lanes(_THREADS, limits.bulk_block_seconds)
        self._idle = Idle()

    async def close(self) -> None:
        """Break off what is under way."""
        self._idle.close()
        await self._lanes.close()

    async def fetch(
        self,
        source: Source,
        cid: Cid,
        *,
        most_bytes: int,
        alive: Callable[[], bool],
        is_close: bool = False,
    ) -> bytes | None:
        """A block, verified; None where the peer does not give it. A transfer that breaks off goes on where
        it stopped while the connection to the peer is `alive`.

        Raises:
            LinkClosed: it cannot be had there now. BadBlock: longer than announced, or not the block.
        """
        into = InMemory()
        tries = self._limits.bulk_tries
        while True:
            try:
                came = await self._receive(source, cid, into, most_bytes, alive, is_close)
                return into.block if came else None
            except _BrokenOff as error:
                tries -= 1
                if tries <= 0 or not alive():
                    raise LinkClosed(f"the transfer broke off: {error}") from error
                log.event("channel.transfer_resumed", LogLevel.DEBUG, at=into.length, reason=str(error))

    async def receive(
        self,
        source: Source,
        cid: Cid,
        into: Receiving,
        *,
        alive: Callable[[], bool],
        is_close: bool = False,
    ) -> bool:
        """Complete a block whose beginning (maybe another peer's) is there already; False where the peer does
        not give it. What has come when it fails stays in `into`.

        When its turn comes it is asked for only if the connection to the peer is still `alive` (called in a
        thread). `is_close`: the way there takes next to no time, so that few requests keep it busy.

        Raises:
            LinkClosed: broken off, or not to be had there now. BadBlock: not the block. OSError: of `into`.
        """
        try:
            return await self._receive(source, cid, into, BLOCK_BYTES, alive, is_close)
        except _BrokenOff as error:
            raise LinkClosed(f"the transfer broke off: {error}") from error

    async def _receive(
        self,
        source: Source,
        cid: Cid,
        into: Receiving,
        most_bytes: int,
        alive: Callable[[], bool],
        is_close: bool,
    ) -> bool:
        transfer = _Transfer(source, cid, into, most_bytes, alive, self._context, self._idle, self._limits)
        at_once = self._limits.bulk_from_close if is_close else self._limits.bulk_at_once
        return await self._lanes.run(source, transfer, at_once=at_once)


class _Transfer:
    """One request for one block, in a thread."""

    def __init__(
        self,
        source: Source,
        cid: Cid,
        into: Receiving,
        most_bytes: int,
        alive: Callable[[], bool],
        context: ssl.SSLContext,
        idle: Idle,
        limits: Limits,
    ) -> None:
        self._source = source
        self._cid = cid
        self._into = into
        self._most_bytes = most_bytes
        self._alive = alive
        self._context = context
        self._idle = idle
        self._limits = limits
        self._lock = threading.Lock()
        self._connection: PinnedConnection | None = None
        self._aborted = False

    def abort(self) -> None:
        """From another thread: end soon."""
        with self._lock:
            self._aborted = True
            if self._connection is not None:
                self._connection.abort()

    def run(self) -> bool:
        """Raises as `BulkClient.receive`, and _BrokenOff."""
        into = self._into
        into.begin()
        # The beginning may be another peer's: if the whole is wrong, this one is not at fault yet.
        foreign = into.length > 0
        if foreign and into.is_block(self._cid):
            into.end()
            return True
        while True:
            if not self._alive():
                # It may have ended while this waited for its turn.
                raise LinkClosed("the connection is gone")
            if not self._request():
                return False
            if into.is_block(self._cid):
                into.end()
                return True
            into.clear()
            if not foreign:
                raise BadBlock("a block does not have the digest that its name says")
            foreign = False

    def _request(self) -> bool:
        """Ask for what is missing of the block, and take it; False where the peer has none to give."""
        connection = self._taken(fresh=False)
        try:
            try:
                return self._exchange(connection)
            except _Stale:
                # It was closed while it waited for this request: that says nothing about the peer.
                self._put_back(connection)
                connection = self._taken(fresh=True)
                return self._exchange(connection)
        finally:
            self._put_back(connection)

    def _taken(self, *, fresh: bool) -> PinnedConnection:
        with self._lock:
            if self._aborted:
                raise LinkClosed("given up")
            connection = None if fresh else self._idle.take(self._source)
            if connection is None:
                connection = PinnedConnection(self._source, self._context, self._limits)
            self._connection = connection
            return connection

    def _put_back(self, connection: PinnedConnection) -> None:
        with self._lock:
            self._connection = None
        if connection.is_reusable:
            self._idle.put(connection)
        else:
            connection.close()

    def _exchange(self, connection: PinnedConnection) -> bool:
        into = self._into
        headers = {"Authorization": f"Bearer {token_text(self._source.token)}"}
        if into.length:
            headers["Range"] = f"bytes={into.length}-"
        with _failures(reused=connection.was_used):
            answer = connection.ask(f"/v1/blocks/{cid_text(self._cid)}", headers)
        length = self._begins_right(answer)
        if length is None:
            return False
        self._take(connection)
        if into.length < length:
            raise _BrokenOff("it ended early")
        return True

    def _take(self, connection: PinnedConnection) -> None:
        buffer = memoryview(_buffer())
        while True:
            with _failures():
                count = connection.read_into(buffer)
            if not count:
                return
            if self._into.length + count > self._most_bytes:
                self._into.clear()
                raise BadBlock(f"a block longer than the {self._most_bytes} bytes that were announced")
            self._into.take(buffer[:count])

    def _begins_right(self, answer: HTTPResponse) -> int | None:
        """Check status and range against what was asked; the block's length (0: not said), None where there
        is no block. What is there is cleared where the peer begins anew."""
        into, status = self._into, answer.status
        if status == 404:
            return None
        if status == 429:
            raise SourceBusy("it gives us enough blocks already")
        if status == 416 and into.length:
            # What was kept is longer than the block: it was never a beginning of it.
            into.clear()
            raise _BrokenOff("the range is beyond the block")
        if status == 206:
            found = _CONTENT_RANGE.fullmatch(answer.headers.get("Content-Range", ""))
            if found is None or int(found[1]) != into.length or int(found[2]) + 1 != int(found[3]):
                raise BadBlock("another range than was asked for")
            length = int(found[3])
        elif status == 200:
            if into.length:
                into.clear()
            length = answer.length or 0
        else:
            raise LinkClosed(f"blocks cannot be had: HTTP {status}")
        if length > self._most_bytes:
            raise BadBlock(f"a block of {length} bytes where {self._most_bytes} were announced")
        return length


@contextlib.contextmanager
def _failures(*, reused: bool = False) -> Iterator[None]:
    """What the network raises, as what it means for the block."""
    try:
        yield
    except WrongCertificate as error:
        raise LinkClosed("another certificate is shown where blocks were promised") from error
    except TimeoutError as error:
        raise _BrokenOff("nothing came for too long") from error
    except ConnectionRefusedError as error:
        raise LinkClosed("blocks cannot be had: connection refused") from error
    except (ConnectionError, ssl.SSLError) as error:
        if reused:
            raise _Stale from error
        raise _BrokenOff(type(error).__name__) from error
    except BadAnswer as error:
        raise LinkClosed(f"blocks cannot be had: {error}") from error
    except OSError as error:
        raise LinkClosed(f"blocks cannot be had: {error.strerror or error}") from error


_local = threading.local()


def _buffer() -> bytearray:
    """The thread's own, so that no transfer has to make one."""
    buffer: bytearray | None = getattr(_local, "buffer", None)
    if buffer is None:
        buffer = _local.buffer = bytearray(PIECE_BYTES)
    return buffer
