"""What synchronisation and queries need of a connection to a peer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

from pkn_protocol.channel.errors import CloseCode
from pkn_protocol.channel.handshake import PeerAuthenticated
from pkn_protocol.channel.messages import Message
from pkn_protocol.records.ids import Cid
from pknd.channel.receiving import Receiving


class LinkClosed(Exception):
    """The connection ended before the reply came."""


class SourceBusy(LinkClosed):
    """The peer gives no further block at the moment."""


class PeerLink(Protocol):
    """One authenticated connection; at most one a device."""

    @property
    def peer(self) -> PeerAuthenticated: ...

    @property
    def outbound(self) -> bool:
        """Whether this side dialled."""
        ...

    @property
    def rtt_ms(self) -> float | None: ...

    async def send(self, message: Message) -> None:
        """Queue a message; waits while the peer reads slowly.

        Raises:
            LinkClosed: the connection is gone.
        """

    async def request(self, message: Message, *, timeout_s: float) -> Message:
        """Raises LinkClosed, TimeoutError."""

    def stream(self, message: Message, *, timeout_s: float) -> AsyncIterator[Message]:
        """The replies to a request, until one that says there are no more.

        Raises:
            LinkClosed, TimeoutError.
        """

    async def fetch_block(self, cid: Cid, *, most_bytes: int) -> bytes | None:
        """A block over HTTP, checked against its CID; None where the peer does not give it.

        Raises:
            LinkClosed: the transfer broke off. BadBlock: what came is not the block.
        """

    async def receive_block(self, cid: Cid, into: Receiving) -> bool:
        """Complete a block whose beginning may be there already, checked against its CID; False where the
        peer does not give it. What has come stays in `into` when it fails or is cancelled.

        Raises:
            LinkClosed: the transfer broke off (SourceBusy: the peer gives us enough). BadBlock: what came is
                not the block. OSError: of `into`.
        """

    async def close(self, code: CloseCode, reason: str) -> None: ...
