"""Which connection to a device is the one: of two, one stays, the same on both sides.

Each side would choose by what it has seen, and the two have not seen the same. So the side with the smaller
device key decides alone, and the other obeys: a connection that is new to it waits until the first frame
shows whether it was chosen. Nothing is sent on it meanwhile, so nothing can be lost with it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from enum import Enum, auto
from hashlib import sha256
from weakref import WeakValueDictionary

from pkn_protocol.channel.errors import CloseCode
from pkn_protocol.records.ids import DeviceId
from pknd.channel.limits import Limits
from pknd.channel.link import Link, LinkEnd

_DUPLICATE = LinkEnd(CloseCode.DUPLICATE, "connected already")


class Verdict(Enum):
    """What becomes of a second connection to one device."""

    KEEP_OLD = auto()
    TAKE_NEW = auto()
    OTHER_SIDE_DECIDES = auto()


def judge(
    *,
    mine: DeviceId,
    theirs: DeviceId,
    old_outbound: bool,
    old_seconds: float,
    new_outbound: bool,
    limits: Limits,
) -> Verdict:
    """Of two connections to one device: `old_seconds` is the age of the one that is in use."""
    if mine > theirs:
        return Verdict.OTHER_SIDE_DECIDES
    if new_outbound:
        # We dialled because there was none: the one that there is came about meanwhile.
        return Verdict.KEEP_OLD
    if old_outbound and old_seconds < limits.handshake_seconds:
        # Both dialled at once: theirs may have begun before they knew of ours.
        return Verdict.KEEP_OLD
    # They dial because they have none: what we hold for one is dead, we only have not noticed.
    return Verdict.TAKE_NEW


class Registry:
    """The connections in use: at most one a device."""

    def __init__(self, me: DeviceId, limits: Limits) -> None:
        self.links: dict[DeviceId, Link] = {}
        self._me = me
        self._limits = limits
        self._tokens: dict[bytes, Link] = {}
        self._locks: WeakValueDictionary[DeviceId, asyncio.Lock] = WeakValueDictionary()

    def __iter__(self) -> Iterator[Link]:
        return iter(list(self.links.values()))

    async def enter(self, link: Link, *, now: float) -> Link:
        """Enter an authenticated connection; the one that stays, which may be another.

        What does not stay is closed. Returns when the connection before is over, so that the two never work
        at the same time.
        """
        device = link.peer.device
        lock = self._locks.setdefault(device, asyncio.Lock())
        async with lock:
            old = self.links.get(device)
            if old is not None and not old.closed:
                verdict = judge(
                    mine=self._me,
                    theirs=device,
                    old_outbound=old.outbound,
                    old_seconds=now - old.since,
                    new_outbound=link.outbound,
                    limits=self._limits,
                )
                if verdict is Verdict.KEEP_OLD:
                    old.check()
                    await link.refuse(_DUPLICATE)
                    return old
                if verdict is Verdict.OTHER_SIDE_DECIDES and (end := await self._decided(link)) is not None:
                    await link.refuse(end)
                    return old
                await old.close(CloseCode.DUPLICATE, "connected anew")
            if old is not None:
                await old.wait_over()
            self.links[device] = link
            self._tokens[_digest(link.own_token)] = link
            return link

    def leave(self, link: Link) -> None:
        """A connection is over."""
        if self.links.get(link.peer.device) is link:
            del self.links[link.peer.device]
        self._tokens.pop(_digest(link.own_token), None)

    def by_token(self, token: bytes) -> Link | None:
        """The connection that a token belongs to, while it lives."""
        link = self._tokens.get(_digest(token))
        return None if link is None or link.closed else link

    async def _decided(self, link: Link) -> LinkEnd | None:
        """None when the other side chose the new connection; else how it ended."""
        try:
            async with asyncio.timeout(self._limits.settle_seconds):
                return await link.hold()
        except TimeoutError:
            return LinkEnd(CloseCode.TOO_SLOW, "nothing was said")


def _digest(token: bytes) -> bytes:
    """Looked up by digest, so that the time it takes says nothing about the token."""
    return sha256(token).digest()
