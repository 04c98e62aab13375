"""Keeping connected: peers found by mDNS, peers that were met before, addresses given by the user."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable
from typing import Protocol

from pkn_protocol.channel.errors import ChannelError
from pkn_protocol.control.status import LogLevel
from pkn_protocol.gossip.neighbourhood import Candidate, Neighbourhood, ViewLimits
from pkn_protocol.records.ids import AuthorId, DeviceId
from pknd import log
from pknd.discovery.mdns import MOST_FOUND, Found, blinded_id
from pknd.discovery.plan import Address, Dial, DialPlan, Key, Outcome, outcome_of

_LEAST_WAIT_SECONDS = 0.02
_MOST_WAIT_SECONDS = 60.0


class Connections(Protocol):
    def is_connected(self, device: DeviceId) -> bool: ...

    async def dial(self, host: str, port: int, expected: DeviceId | None) -> DeviceId:
        """Raises ChannelError, OSError, TimeoutError."""

    async def drop(self, device: DeviceId, reason: str) -> None:
        """Close a connection that is one too many."""


class Dialer:
    """`clock` gives seconds; `chance` a number in 0 to 1; `known` the devices that were met before.

    `found_by` says how each device that was dialled had been found; `describe` what is known of a device.
    """

    def __init__(
        self,
        me: DeviceId,
        connections: Connections,
        *,
        clock: Callable[[], float],
        chance: Callable[[], float],
        known: Callable[[], list[DeviceId]],
        describe: Callable[[DeviceId], Candidate[Key]] = Candidate,
        limits: ViewLimits | None = None,
    ) -> None:
        self.found_by: dict[DeviceId, str] = {}
        self._me = me
        self._connections = connections
        self._clock = clock
        self._known = known
        self._describe = describe
        self._plan = DialPlan(me, chance=chance)
        self._neighbours: Neighbourhood[Key] = Neighbourhood(chance=chance, limits=limits)
        self._too_many: dict[DeviceId, None] = {}
        self._blinded: OrderedDict[str, bytes] = OrderedDict()
        self._wake = asyncio.Event()

    def seen(self, found: Found) -> None:
        """An instance was found by mDNS, or has other addresses than before."""
        if blinded_id(self._me, _name(found.instance)) == found.blinded:
            return
        is_new = found.instance not in self._blinded
        self._blinded[found.instance] = found.blinded
        while len(self._blinded) > MOST_FOUND:
            self._blinded.popitem(last=False)
        addresses = tuple((address, found.port) for address in found.addresses)
        device = self._recognise(found.instance, found.blinded)
        changed = self._plan.instance(found.instance, device, addresses, self._clock())
        if is_new or changed:
            # Also of whoever dialled us before: its addresses are known then, its announcement is not.
            log.event("peer.found", LogLevel.DEBUG, instance=_name(found.instance), known=device is not None)
        if changed:
            self._wake.set()

    def gone(self, instance: str) -> None:
        """An instance said goodbye."""
        log.event("peer.gone", LogLevel.DEBUG, instance=_name(instance))
        self._blinded.pop(instance, None)
        self._plan.gone(instance)

    def origin(self, device: DeviceId) -> str | None:
        """How a device was found in this run: as it was dialled, else by its announcement; None: neither."""
        if device in self.found_by:
            return self.found_by[device]
        announced = any(blinded_id(device, _name(name)) == seen for name, seen in self._blinded.items())
        return "mdns" if announced else None

    def remember(self, device: DeviceId, addresses: Iterable[Address], found: str) -> None:
        """A device that was met before, at these addresses."""
        if self._plan.add(device, addresses, found, self._clock()):
            self._wake.set()

    def retry_all(self) -> None:
        """The network has changed: try everybody at once."""
        self._plan.retry_all(self._clock())
        self._wake.set()

    def met(self, device: DeviceId) -> None:
        """A connection is there, whoever dialled."""
        gone = self._neighbours.connected(self._describe(device))
        if isinstance(gone, bytes):
            self._neighbours.disconnected(gone)
            self._too_many[DeviceId(gone)] = None
            self._wake.set()

    def lost(self, device: DeviceId, *, refused: bool = False) -> None:
        """A connection ended: try again soon, or later if one of the two refused the other."""
        self._neighbours.disconnected(device)
        self._too_many.pop(device, None)
        self._plan.lost(device, self._clock(), refused=refused)
        self._wake.set()

    def people_changed(self, wanted: Collection[AuthorId]) -> None:
        """Other authors are wanted than before, or others are trusted."""
        self._neighbours.wanted(wanted)
        for key in list(self._neighbours.neighbours):
            if isinstance(key, bytes):
                self._neighbours.describe(self._describe(DeviceId(key)))
        self._wake.set()

    def problem(self, device: DeviceId) -> str | None:
        """Why a device could not be reached the last time."""
        return self._plan.problem(device)

    async def run(self) -> None:
        """Dial whoever is due, as long as the daemon runs."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                self._wake.clear()
                now = self._clock()
                for name in self._plan.unknown_due(now):
                    if (device := self._recognise(name, self._blinded.get(name, b""))) is not None:
                        self._plan.recognised(name, device, now)
                for device in list(self._too_many):
                    del self._too_many[device]
                    await self._connections.drop(device, "too many neighbours")
                for dial in self._plan.begin(now, self._connections.is_connected, self._choose):
                    tasks.create_task(self._dial(dial))
                await self._wait(now)

    def _choose(self, ready: list[Key], under_way: list[Key], later: int) -> list[Key]:
        return self._neighbours.choose(
            [self._candidate(key) for key in ready],
            [self._candidate(key) for key in under_way],
            later,
            self._clock(),
        )

    def _candidate(self, key: Key) -> Candidate[Key]:
        return self._describe(DeviceId(key)) if isinstance(key, bytes) else Candidate(key)

    async def _wait(self, now: float) -> None:
        due = self._plan.next_due(self._connections.is_connected)
        wait = _MOST_WAIT_SECONDS if due is None else due - now
        try:
            async with asyncio.timeout(min(max(wait, _LEAST_WAIT_SECONDS), _MOST_WAIT_SECONDS)):
                await self._wake.wait()
        except TimeoutError:
            return

    async def _dial(self, dial: Dial) -> None:
        outcome = Outcome.FAILED
        problem: str | None = None
        device: DeviceId | None = None
        try:
            for address in dial.addresses:
                outcome, problem, device = await self._try(dial, address)
                self._plan.wrong(dial, address, outcome)
                if outcome not in (Outcome.FAILED, Outcome.WRONG_DEVICE, Outcome.SELF):
                    break
        finally:
            if device is None or device != dial.key:
                self._neighbours.gave_up(dial.key)
            self._plan.finished(dial, outcome, self._clock(), device=device, problem=problem)
            self._wake.set()
        if device is not None:
            self.found_by.setdefault(device, dial.found)

    async def _try(self, dial: Dial, address: Address) -> tuple[Outcome, str | None, DeviceId | None]:
        try:
            device = await self._connections.dial(*address, dial.expected)
        except ChannelError as error:
            outcome, problem = outcome_of(error.code), error.reason
        except (OSError, TimeoutError) as error:
            outcome, problem = Outcome.FAILED, str(error) or "no answer"
        except Exception as error:
            log.failure("peer.dial_fault", error, address=address[0])
            return Outcome.FAILED, "an error on this side", None
        else:
            return Outcome.CONNECTED, None, device
        refused = outcome is Outcome.REFUSED
        log.event(
            "peer.refused" if refused else "peer.not_reached",
            LogLevel.INFO if refused else LogLevel.DEBUG,
            address=address[0],
            port=address[1],
            reason=problem,
        )
        return outcome, problem, None

    def _recognise(self, instance: str, blinded: bytes) -> DeviceId | None:
        name = _name(instance)
        return next((device for device in self._known() if blinded_id(device, name) == blinded), None)


def _name(instance: str) -> str:
    return instance.partition(".")[0]
