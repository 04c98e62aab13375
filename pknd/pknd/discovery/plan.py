"""Whom to dial, where and when: a machine without I/O. Time is a number of seconds, chance one in 0 to 1.

A target is a device, or an mDNS instance whose device is not known yet. Of one target one dial is under way
at a time, and of one address too, so that a peer found in two ways is not dialled twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import Enum, auto

from pkn_protocol.channel.errors import CloseCode
from pkn_protocol.records.ids import DeviceId
from pknd.discovery.backoff import delay_seconds

Address = tuple[str, int]
Key = DeviceId | str
Choice = Callable[[list[Key], list[Key], int], list[Key]]
"""Who is to be dialled of those that are ready, given those that are being dialled and how many will be
ready soon."""

DIALS_AT_ONCE = 8
MOST_TARGETS = 2048
"""Devices and instances together; of the strangers that do not answer, the most hopeless goes first."""
MOST_ADDRESSES = 8
MOST_OWN = 64
"""Addresses that turned out to be this device's."""
SPREAD_SECONDS = 0.3
"""Two that find each other at the same moment do not dial at the same moment."""
REFUSED_SECONDS = 300.0
"""Who refuses is not asked again soon."""
DUPLICATE_SECONDS = 5.0
SHORT_SECONDS = 10.0
"""A connection that ended sooner was of no use: the next try waits as after one that failed."""
_REFUSALS = frozenset(
    {
        CloseCode.BLOCKED,
        CloseCode.NO_COMMON_VERSION,
        CloseCode.TOO_MANY,
        CloseCode.OVER_BUDGET,
        CloseCode.BAD_MESSAGE,
        CloseCode.BAD_PROOF,
    }
)


class Outcome(Enum):
    """What became of one address of a dial."""

    CONNECTED = auto()
    SELF = auto()
    WRONG_DEVICE = auto()
    DUPLICATE = auto()
    REFUSED = auto()
    FAILED = auto()


def is_refusal(code: CloseCode) -> bool:
    """Whether who ended a connection like that is not to be asked again soon, whichever side it was."""
    return code in _REFUSALS


def outcome_of(code: CloseCode) -> Outcome:
    """What a handshake that ended with this code means for further tries."""
    named = {
        CloseCode.SELF: Outcome.SELF,
        CloseCode.WRONG_DEVICE: Outcome.WRONG_DEVICE,
        CloseCode.DUPLICATE: Outcome.DUPLICATE,
    }
    return named.get(code, Outcome.REFUSED if code in _REFUSALS else Outcome.FAILED)


_GOES_FIRST = {"inbound": 2, "mdns": 1}
"""Who makes room for others, by how they were found."""


@dataclass(frozen=True, slots=True)
class Dial:
    """Try these addresses in order, until one answers; `expected` must be the device that does."""

    key: Key
    addresses: tuple[Address, ...]
    expected: DeviceId | None
    found: str


@dataclass(slots=True)
class _Target:
    addresses: tuple[Address, ...]
    found: str
    due: float
    failures: int = 0
    dialling: bool = False
    since: float | None = None
    """When it answered a dial, while the connection lasts."""
    short: int = 0
    """Connections in a row that ended soon."""
    passed_over: bool = False
    """It is due, and others were preferred."""
    problem: str | None = None
    instances: set[str] = field(default_factory=set)


class DialPlan:
    """`chance` spreads tries in time."""

    def __init__(self, me: DeviceId, *, chance: Callable[[], float]) -> None:
        self._me = me
        self._chance = chance
        self._targets: dict[Key, _Target] = {}
        self._own: set[Address] = set()
        self._in_flight: set[Address] = set()
        self._dials = 0

    def add(self, key: Key, addresses: Iterable[Address], found: str, now: float) -> bool:
        """A target, or new addresses of one; the new ones are tried first. Whether there was anything new."""
        if key == self._me:
            return False
        target = self._targets.get(key)
        known = target.addresses if target is not None else ()
        fresh = tuple(a for a in dict.fromkeys(addresses) if a not in self._own)
        if not fresh or (set(fresh) <= set(known) and target is not None):
            return False
        due = now + SPREAD_SECONDS * self._chance()
        if target is None:
            self._make_room()
            self._targets[key] = _Target(fresh[:MOST_ADDRESSES], found, due)
        else:
            target.addresses = tuple(dict.fromkeys((*fresh, *known)))[:MOST_ADDRESSES]
            target.failures, target.due = 0, min(due, target.due)
        return True

    def instance(self, name: str, device: DeviceId | None, addresses: Iterable[Address], now: float) -> bool:
        """An mDNS instance, of a device if it was recognised."""
        if device is None:
            return self.add(name, addresses, "mdns", now)
        self.recognised(name, device, now)
        new = self.add(device, addresses, "mdns", now)
        if (target := self._targets.get(device)) is not None:
            target.instances.add(name)
        return new

    def recognised(self, name: str, device: DeviceId, now: float) -> None:
        """What was an unknown instance is this device."""
        target = self._targets.pop(name, None)
        if target is not None and not target.dialling:
            self.add(device, target.addresses, target.found, now)

    def gone(self, name: str) -> None:
        """An instance said goodbye. A device stays: it may be met elsewhere."""
        target = self._targets.get(name)
        if target is not None and target.dialling:
            target.addresses = ()
        elif target is not None:
            del self._targets[name]

    def unknown_due(self, now: float) -> list[str]:
        """The instances without a device that would be dialled now: perhaps they are recognised by now."""
        return [
            key
            for key, t in self._targets.items()
            if isinstance(key, str) and t.due <= now and not t.dialling
        ]

    def begin(
        self, now: float, is_connected: Callable[[DeviceId], bool], choose: Choice | None = None
    ) -> list[Dial]:
        """The dials to begin now; `finished` must follow for each. `choose` says who of those that are ready
        is wanted as a neighbour; the others wait until something happens."""
        ready: dict[Key, tuple[Address, ...]] = {}
        later = 0
        for key, target in self._targets.items():
            target.passed_over = False
            if target.dialling or not target.addresses or _is_connected(key, is_connected):
                continue
            if target.due > now:
                # Who could not be reached is not counted as somebody who is there.
                later += target.failures == 0
                continue
            addresses = tuple(a for a in target.addresses if a not in self._in_flight)
            if addresses:
                ready[key] = addresses
            else:
                # Somebody else is being dialled there; who it is will be known in a moment.
                target.due = now + 1.0
        under_way = [key for key, target in self._targets.items() if target.dialling]
        chosen = list(ready) if choose is None else choose(list(ready), under_way, later)
        begun: list[Dial] = []
        for key in chosen:
            if self._dials >= DIALS_AT_ONCE:
                break
            target = self._targets[key]
            addresses = tuple(a for a in ready[key] if a not in self._in_flight)
            if not addresses:
                target.due = now + 1.0
                continue
            target.dialling = True
            self._dials += 1
            self._in_flight.update(addresses)
            begun.append(Dial(key, addresses, key if isinstance(key, bytes) else None, target.found))
        if choose is not None:
            for key in ready.keys() - set(chosen):
                self._targets[key].passed_over = True
        return begun

    def wrong(self, dial: Dial, address: Address, outcome: Outcome) -> None:
        """An address led to somebody else, or to this device: it is forgotten until it is told again."""
        if outcome is Outcome.SELF and len(self._own) < MOST_OWN:
            self._own.add(address)
        target = self._targets.get(dial.key)
        if target is not None and outcome in (Outcome.SELF, Outcome.WRONG_DEVICE):
            target.addresses = tuple(a for a in target.addresses if a != address)

    def finished(
        self,
        dial: Dial,
        outcome: Outcome,
        now: float,
        *,
        device: DeviceId | None = None,
        problem: str | None = None,
    ) -> None:
        """A dial is over; `device` is who answered."""
        self._dials -= 1
        self._in_flight.difference_update(dial.addresses)
        target = self._targets.get(dial.key)
        if target is None:
            return
        target.dialling = False
        target.problem = problem
        if not target.addresses and isinstance(dial.key, str):
            del self._targets[dial.key]
            return
        match outcome:
            case Outcome.CONNECTED:
                target.failures, target.problem, target.due = 0, None, now
                target.since = now
                if isinstance(dial.key, str) and device is not None:
                    self.recognised(dial.key, device, now)
            case Outcome.DUPLICATE:
                target.due = now + DUPLICATE_SECONDS
            case Outcome.REFUSED:
                target.failures += 1
                target.due = now + REFUSED_SECONDS * (0.5 + self._chance() / 2)
            case _:
                target.failures += 1
                target.due = now + delay_seconds(target.failures, self._chance())

    def lost(self, device: DeviceId, now: float, *, refused: bool = False) -> None:
        """A connection ended: try again soon, or later if one of the two refused the other."""
        target = self._targets.get(device)
        if target is None:
            return
        since, target.since = target.since, None
        is_short = since is not None and now - since < SHORT_SECONDS
        target.short = target.short + 1 if is_short else 0
        target.failures = max(1, target.failures, target.short)
        if refused:
            target.due = now + REFUSED_SECONDS * (0.5 + self._chance() / 2)
        else:
            target.due = now + delay_seconds(max(1, target.short), self._chance())

    def retry_all(self, now: float) -> None:
        """The network is another than before: what failed may work now, and addresses may be others'."""
        self._own.clear()
        for target in self._targets.values():
            target.failures, target.due = 0, now + SPREAD_SECONDS * self._chance()

    def next_due(self, is_connected: Callable[[DeviceId], bool]) -> float | None:
        """When `begin` has something to do, if nothing happens before; None: never."""
        if self._dials >= DIALS_AT_ONCE:
            return None
        return min(
            (
                t.due
                for key, t in self._targets.items()
                if t.addresses
                and not t.dialling
                and not t.passed_over
                and not _is_connected(key, is_connected)
            ),
            default=None,
        )

    def problem(self, device: DeviceId) -> str | None:
        """Why the last try to reach a device failed."""
        target = self._targets.get(device)
        return None if target is None else target.problem

    def _make_room(self) -> None:
        if len(self._targets) < MOST_TARGETS:
            return
        idle = [
            (_GOES_FIRST.get(t.found, 0), t.failures, key)
            for key, t in self._targets.items()
            if not t.dialling
        ]
        # Whoever dialled us does so again, and who was only ever found on the local network comes again when
        # it is there again.
        del self._targets[max(idle, key=lambda entry: entry[:2])[2]]


def _is_connected(key: Key, is_connected: Callable[[DeviceId], bool]) -> bool:
    return isinstance(key, bytes) and is_connected(DeviceId(key))
