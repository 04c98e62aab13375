"""Remembering who broke the protocol: a device that did is not spoken with for a while (SPEC, Transport)."""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable

from pkn_protocol.channel.handshake import PeerAuthenticated
from pkn_protocol.control.status import LogLevel
from pkn_protocol.records.ids import DeviceId
from pknd import log
from pknd.environment import Environment
from pknd.store.peers import refused_devices, violated

FIRST_REFUSAL_MS = 60_000
"""After a first fault: long enough that it cannot be repeated for free, short enough that two versions with a
bug between them lose little."""
MOST_REFUSAL_MS = 24 * 3_600_000
FORGIVEN_AFTER_MS = 7 * 24 * 3_600_000
"""Faults longer ago than this do not lengthen the next refusal."""


def refusal_ms(faults: int) -> int:
    """How long a device is refused after its `faults`-th fault in a row: a minute, doubled each time."""
    return int(min(MOST_REFUSAL_MS, FIRST_REFUSAL_MS * 2 ** min(max(0, faults - 1), 16)))


class Conduct:
    """`later` is given writes that nobody waits for; `load` reads what is remembered of earlier runs."""

    def __init__(self, env: Environment, later: Callable[[Awaitable[None]], None]) -> None:
        self._env = env
        self._later = later
        self._refused: dict[DeviceId, int] = {}

    async def load(self) -> None:
        now = self._env.now()
        self._refused = await self._env.store.read(lambda db: refused_devices(db, now=now))

    def refusal(self, device: DeviceId) -> str | None:
        """Why a device is not spoken with now; None: it is."""
        until = self._refused.get(device)
        if until is None:
            return None
        left = until - self._env.now()
        if left <= 0 or left > MOST_REFUSAL_MS:
            # Over; or the clock was set back, and would hold a fault against it for years.
            del self._refused[device]
            return None
        return f"it broke the protocol; not before {-(-left // 1000)} s have passed"

    def note(self, peer: PeerAuthenticated, reason: str) -> None:
        """A connection ended by a fault of the peer."""
        self._refused[peer.device] = self._env.now() + FIRST_REFUSAL_MS
        self._later(self._remember(peer, reason))

    async def _remember(self, peer: PeerAuthenticated, reason: str) -> None:
        now = self._env.now()

        def work(db: sqlite3.Connection) -> int:
            return violated(
                db,
                peer.device,
                peer.author,
                now=now,
                refusal_ms=refusal_ms,
                forgiven_after_ms=FORGIVEN_AFTER_MS,
            )

        until = self._refused[peer.device] = await self._env.store.write(work)
        log.event(
            "peer.violation",
            LogLevel.WARNING,
            device=peer.device.hex()[:16],
            reason=reason,
            refused_s=(until - now) // 1000,
        )
