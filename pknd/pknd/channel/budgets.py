"""What strangers and addresses may use before they are known (SPEC, Channel, Budgets)."""

from __future__ import annotations

import ipaddress
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

STRANGERS = 32
"""Connections of people outside the horizon at one time."""
PER_ADDRESS = 64
"""Connections from one /24 or /64 at one time: a team behind one address, not a flood."""
NEW_PER_MINUTE = 240
"""Handshakes begun from one /24 or /64."""
HANDSHAKE_SECONDS = 5.0
_MOST_TRACKED = 4096


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


@dataclass(slots=True)
class _Use:
    open: int = 0
    begun: deque[float] = field(default_factory=deque)


class AddressBudgets:
    """Counts connections by network; `clock` gives seconds that only go forward."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._uses: dict[str, _Use] = {}

    def enter(self, address: str) -> bool:
        """Whether one more connection is let in; if so, `leave` must follow."""
        now = self._clock()
        self._forget(now)
        use = self._uses.setdefault(network_of(address), _Use())
        while use.begun and use.begun[0] < now - 60:
            use.begun.popleft()
        if use.open >= PER_ADDRESS or len(use.begun) >= NEW_PER_MINUTE:
            return False
        use.open += 1
        use.begun.append(now)
        return True

    def leave(self, address: str) -> None:
        use = self._uses.get(network_of(address))
        if use is not None:
            use.open = max(0, use.open - 1)

    def _forget(self, now: float) -> None:
        if len(self._uses) < _MOST_TRACKED:
            return
        idle = [
            k for k, use in self._uses.items() if not use.open and (not use.begun or use.begun[-1] < now - 60)
        ]
        for key in idle:
            del self._uses[key]
