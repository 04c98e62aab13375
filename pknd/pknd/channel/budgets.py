"""What strangers, peers and networks may use (SPEC, Transport, Limits). Time is a number, passed in."""

from __future__ import annotations

import ipaddress
from collections import Counter, OrderedDict
from dataclasses import dataclass

from pknd.channel.limits import Limits

_MOST_TRACKED = 4096
"""Networks remembered; the one not heard of for longest is forgotten first."""
_BURST_SHARE = 0.5
"""Half of a minute's connections may come at once."""


def network_of(address: str) -> str:
    """The /24 (IPv4) or /64 (IPv6) of an address, by which it is counted."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped
    prefix = 24 if parsed.version == 4 else 64
    return str(ipaddress.ip_network(f"{parsed}/{prefix}", strict=False))


class Bucket:
    """A token bucket: `burst` at once, `rate` a second after that."""

    def __init__(self, burst: float, rate: float, now: float) -> None:
        self._burst = burst
        self._rate = rate
        self._left = burst
        self._at = now

    def charge(self, cost: float, now: float) -> float:
        """Take `cost`; the seconds until it is paid for (0: at once)."""
        self._refill(now)
        self._left -= cost
        return max(0.0, -self._left / self._rate)

    def allows(self, cost: float, now: float) -> bool:
        """Take `cost` if it is there."""
        self._refill(now)
        if self._left < cost:
            return False
        self._left -= cost
        return True

    def _refill(self, now: float) -> None:
        self._left = min(self._burst, self._left + max(0.0, now - self._at) * self._rate)
        self._at = now


@dataclass(slots=True)
class _Network:
    bucket: Bucket
    unfinished: int = 0


class ArrivalBudgets:
    """Connections that have not said who they are: how many at once and how many a minute, in all and from
    each network."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._networks: OrderedDict[str, _Network] = OrderedDict()
        self.unfinished = 0

    def enter(self, address: str, now: float) -> str | None:
        """Why one more connection is not let in. None: it is, and `leave` must follow."""
        name = network_of(address)
        network = self._networks.get(name)
        if network is None:
            burst = max(1.0, self._limits.new_per_minute * _BURST_SHARE)
            network = _Network(Bucket(burst, self._limits.new_per_minute / 60, now))
            self._networks[name] = network
            self._forget()
        self._networks.move_to_end(name)
        if self.unfinished >= self._limits.unfinished:
            return "too many unfinished handshakes"
        if network.unfinished >= self._limits.unfinished_per_network:
            return "too many unfinished handshakes from this network"
        if not network.bucket.allows(1, now):
            return "too many connections a minute from this network"
        network.unfinished += 1
        self.unfinished += 1
        return None

    def leave(self, address: str) -> None:
        """A connection that was let in said who it is, or went away."""
        self.unfinished = max(0, self.unfinished - 1)
        network = self._networks.get(network_of(address))
        if network is not None:
            network.unfinished = max(0, network.unfinished - 1)

    def _forget(self) -> None:
        while len(self._networks) > _MOST_TRACKED:
            idle = next((name for name, use in self._networks.items() if not use.unfinished), None)
            if idle is None:
                return
            del self._networks[idle]


class BulkBudget:
    """Blocks that are being given: in all, to strangers together and by network, and how fast to those."""

    def __init__(self, limits: Limits, now: float) -> None:
        self._limits = limits
        self._in_all = 0
        self._networks: Counter[str] = Counter()
        self._pace = Bucket(limits.bulk_strangers_burst, limits.bulk_strangers_rate, now)

    def enter(self, address: str, *, is_near: bool, given: int) -> str | None:
        """Why a peer, to whom `given` blocks are being given, gets no further one now. None: it does, and
        `leave` must follow."""
        if given >= self._limits.bulk_at_once:
            return "too many blocks at once"
        if self._in_all >= self._limits.bulk_in_all:
            return "too many blocks for everybody together"
        if not is_near:
            if self._networks.total() >= self._limits.bulk_to_strangers:
                return "too many blocks for strangers together"
            if self._networks[network_of(address)] >= self._limits.bulk_per_network:
                return "too many blocks for strangers of this network"
            self._networks[network_of(address)] += 1
        self._in_all += 1
        return None

    def leave(self, address: str, *, is_near: bool) -> None:
        """`is_near` as it was on entering."""
        self._in_all -= 1
        if not is_near:
            name = network_of(address)
            self._networks[name] -= 1
            if not self._networks[name]:
                del self._networks[name]

    def pace(self, size: int, *, is_near: bool, now: float) -> float:
        """The seconds to wait before so many bytes are given."""
        return 0.0 if is_near else self._pace.charge(size, now)


class Meter:
    """Counts what a peer sends unasked against its own budget, and against one that it shares."""

    def __init__(self, limits: Limits, now: float, shared: Bucket | None = None) -> None:
        self._frame_cost = limits.frame_cost
        self._own = Bucket(limits.peer_burst, limits.peer_rate, now)
        self._shared = shared

    def charge(self, frame_bytes: int, now: float) -> float:
        """Count a frame; the seconds to wait before the next is read."""
        cost = frame_bytes + self._frame_cost
        wait = self._own.charge(cost, now)
        return max(wait, self._shared.charge(cost, now)) if self._shared is not None else wait
