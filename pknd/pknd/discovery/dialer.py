"""Keeping connected: peers found by mDNS, peers that were met before, addresses given by the user."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from pkn_protocol.channel.errors import ChannelError, CloseCode
from pkn_protocol.control.status import LogLevel
from pkn_protocol.records.ids import DeviceId
from pknd import log
from pknd.discovery.backoff import delay_seconds
from pknd.discovery.mdns import Found, blinded_id

POLL_SECONDS = 1.0
DIALS_AT_ONCE = 8
MOST_TARGETS = 2048
_HOPELESS = (CloseCode.SELF, CloseCode.DUPLICATE)
_REFUSED_SECONDS = 300.0


class Connections(Protocol):
    def is_connected(self, device: DeviceId) -> bool: ...

    async def dial(self, host: str, port: int, expected: DeviceId | None) -> DeviceId:
        """Raises ChannelError, OSError, TimeoutError."""


@dataclass(slots=True)
class Target:
    """Somebody to be connected with: by device when that is known, at these addresses."""

    addresses: tuple[tuple[str, int], ...]
    device: DeviceId | None
    found: str
    instance: str = ""
    blinded: bytes = b""
    failures: int = 0
    due: float = 0.0
    problem: str | None = None
    dialling: bool = field(default=False)


class Dialer:
    """`clock` gives seconds; `chance` a number in 0 to 1; `known` the devices that were met before;
    `failed` is told why a device could not be reached."""

    def __init__(
        self,
        me: DeviceId,
        connections: Connections,
        *,
        clock: Callable[[], float],
        chance: Callable[[], float],
        known: Callable[[], list[DeviceId]],
    ) -> None:
        self._me = me
        self._connections = connections
        self._clock = clock
        self._chance = chance
        self._known = known
        self._targets: dict[object, Target] = {}
        self._slots = asyncio.Semaphore(DIALS_AT_ONCE)
        self._wake = asyncio.Event()
        self.found_by: dict[DeviceId, str] = {}

    def seen(self, found: Found) -> None:
        """An instance was found by mDNS."""
        if blinded_id(self._me, _name(found.instance)) == found.blinded:
            return
        device = next(
            (d for d in self._known() if blinded_id(d, _name(found.instance)) == found.blinded), None
        )
        addresses = tuple((address, found.port) for address in found.addresses)
        self._add(found.instance, Target(addresses, device, "mdns", found.instance, found.blinded))

    def remember(self, device: DeviceId, addresses: tuple[tuple[str, int], ...], found: str) -> None:
        """A device that was met before, at these addresses."""
        if addresses and device != self._me:
            self._add(device, Target(addresses, device, found))

    def retry_all(self) -> None:
        """The network has changed: try everybody at once."""
        for target in self._targets.values():
            target.failures, target.due = 0, 0.0
        self._wake.set()

    def lost(self, device: DeviceId) -> None:
        """A connection ended: try again soon."""
        for target in self._targets.values():
            if target.device == device:
                target.failures, target.due = 1, self._clock() + delay_seconds(1, self._chance())

    def problem(self, device: DeviceId) -> str | None:
        return next((t.problem for t in self._targets.values() if t.device == device and t.problem), None)

    async def run(self) -> None:
        """Dial whoever is due, as long as the daemon runs."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                for key, target in list(self._targets.items()):
                    if self._is_due(target):
                        target.dialling = True
                        tasks.create_task(self._dial(key, target))
                self._wake.clear()
                try:
                    async with asyncio.timeout(POLL_SECONDS):
                        await self._wake.wait()
                except TimeoutError:
                    continue

    def _add(self, key: object, target: Target) -> None:
        known = self._targets.get(key)
        if known is not None and known.addresses == target.addresses:
            return
        if known is None and len(self._targets) >= MOST_TARGETS:
            return
        self._targets[key] = target
        self._wake.set()

    def _is_due(self, target: Target) -> bool:
        if target.dialling or self._clock() < target.due:
            return False
        return target.device is None or not self._connections.is_connected(target.device)

    async def _dial(self, key: object, target: Target) -> None:
        try:
            async with self._slots:
                await self._try(key, target)
        finally:
            target.dialling = False

    async def _try(self, key: object, target: Target) -> None:
        for host, port in target.addresses:
            try:
                device = await self._connections.dial(host, port, target.device)
            except ChannelError as error:
                target.problem = error.reason
                if error.code in _HOPELESS:
                    target.due = float("inf") if error.code is CloseCode.SELF else self._clock() + 5.0
                    return
                if error.code is not CloseCode.WRONG_DEVICE:
                    target.due = self._clock() + _REFUSED_SECONDS * (0.5 + self._chance() / 2)
                    log.event("peer.refused", LogLevel.INFO, address=host, reason=error.reason)
                    return
            except (OSError, TimeoutError) as error:
                target.problem = str(error) or "no answer"
            else:
                target.device, target.failures, target.problem = device, 0, None
                self.found_by.setdefault(device, target.found)
                return
        target.failures += 1
        target.due = self._clock() + delay_seconds(target.failures, self._chance())


def _name(instance: str) -> str:
    return instance.partition(".")[0]
