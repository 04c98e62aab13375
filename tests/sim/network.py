"""The network of the simulation: connections with delay, loss, bandwidth, breaks and partitions.

What pkn's peers use is TCP under TLS, so a connection here keeps the order of its messages and loses none of
them while it lives. What a lost packet does to such a connection is modelled as follows:

- Each attempt to deliver a message is lost with the probability `loss`. It is repeated after a retransmission
  timeout of 200 ms (the usual least one, Linux's TCP_RTO_MIN) and twice the connection's delay, doubled with
  each further attempt (RFC 6298). Whatever was sent after it on that connection waits for it: the head of the
  line blocks.
- After `MOST_ATTEMPTS` losses in a row the connection breaks, and with the probability `breaks` a message
  breaks it at once, as when a laptop changes networks. What was under way is then lost, in both directions.
- Who is cut off by a partition keeps its connection for a while and hears nothing; both sides give up after 5
  to 20 s. A peer whose process ends is noticed after one delay, as the kernel sees to that.

A message is one packet: large ones take longer only where a bandwidth is given. So loss does not grow with
size; TCP would lose a part and repeat that part alone, which costs about the same time.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Any, Protocol

from tests.sim.events import Events

LEAST_TIMEOUT_MS = 200.0
MOST_ATTEMPTS = 6
SILENCE_MS = (5_000.0, 20_000.0)
_TLS_BYTES = 22
"""Of a TLS 1.3 record: 5 of header, 1 of type, 16 of tag."""
_MASK_BYTES = 4


def framing_bytes(size: int, *, by_client: bool) -> int:
    """What a message of so many bytes takes besides: a WebSocket header, with a mask where the dialling side
    sends (RFC 6455, 5.2), and a TLS record."""
    length = 0 if size < 126 else 2 if size < 65_536 else 8
    return _TLS_BYTES + 2 + length + (_MASK_BYTES if by_client else 0)


@dataclass(frozen=True, slots=True)
class LinkModel:
    """`delay_ms`: mean one-way delay over all connections; each has its own, drawn from a lognormal
    distribution of this `spread` (sigma), and each message up to `jitter` of that more. `bandwidth`: bytes a
    ms and direction, None without a limit."""

    delay_ms: float = 40.0
    spread: float = 0.5
    jitter: float = 0.3
    loss: float = 0.0
    breaks: float = 0.0
    bandwidth: float | None = None


class Endpoint(Protocol):
    """One side of a connection, as the network sees it."""

    def arrived(self, message: Any) -> None: ...

    def broken(self) -> None:
        """The connection is gone; no more will arrive."""


class Connection:
    """Two endpoints: side 0 dialled, side 1 was dialled."""

    __slots__ = ("_free", "_last", "delay", "ends", "network", "nodes", "number", "open", "refused", "silent")

    def __init__(self, network: Network, number: int, nodes: tuple[int, int], delay: float) -> None:
        self.network = network
        self.number = number
        self.nodes = nodes
        self.delay = delay
        self.open = True
        self.silent = False
        self.refused = False
        """Whether one side sent the other away."""
        self.ends: list[Endpoint | None] = [None, None]
        self._last = [0.0, 0.0]
        self._free = [0.0, 0.0]

    def send(self, side: int, message: Any, size: int) -> None:
        """Put a message of so many bytes on its way to the other side; nothing happens on a closed one."""
        network = self.network
        if not self.open:
            return
        model, random = network.model, network.random
        if self.silent:
            return
        leaves = network.events.now
        if model.bandwidth is not None:
            leaves = self._free[side] = max(leaves, self._free[side]) + size / model.bandwidth
        delay = self.delay * (1.0 + model.jitter * random.random())
        if model.loss or model.breaks:
            delay += self._repeats(model, random)
            if delay < 0:
                network.break_connection(self)
                return
        arrives = self._last[side] = max(leaves + delay, self._last[side])
        network.delivered += 1
        network.delay_sum += arrives - network.events.now
        network.events.at(arrives, self._arrive, 1 - side, message)

    def _repeats(self, model: LinkModel, random: Random) -> float:
        """How much later a message comes since attempts were lost; negative: the connection breaks."""
        if model.breaks and random.random() < model.breaks:
            return -1e9
        later, timeout = 0.0, LEAST_TIMEOUT_MS + 2 * self.delay
        for _ in range(MOST_ATTEMPTS):
            if random.random() >= model.loss:
                return later
            self.network.lost += 1
            later += timeout
            timeout *= 2
        return -1e9

    def _arrive(self, side: int, message: Any) -> None:
        end = self.ends[side]
        # What is under way when a partition begins does not get through it.
        if self.open and not self.silent and end is not None:
            end.arrived(message)


class Network:
    """All connections."""

    def __init__(self, events: Events, random: Random, model: LinkModel) -> None:
        self.events = events
        self.random = random
        self.model = model
        self.made = 0
        self.delivered = 0
        self.delay_sum = 0.0
        self.lost = 0
        self.broken = 0
        self._sides: dict[int, int] | None = None
        self._open: dict[int, dict[Connection, None]] = {}

    def connect(self, dialling: int, dialled: int) -> Connection | None:
        """A new connection; None where a partition lies between them."""
        if self.cut(dialling, dialled):
            return None
        # The mean of a lognormal distribution is exp(mu + sigma²/2).
        spread = self.model.spread
        delay = self.model.delay_ms * self.random.lognormvariate(-spread * spread / 2, spread)
        self.made += 1
        connection = Connection(self, self.made, (dialling, dialled), delay)
        for node in (dialling, dialled):
            self._open.setdefault(node, {})[connection] = None
        return connection

    def mean_delay(self) -> float:
        """Mean one-way delay of what arrived, ms: with jitter, repeats and waiting behind those."""
        return self.delay_sum / self.delivered if self.delivered else self.model.delay_ms

    def undisturbed_delay(self) -> float:
        """Mean one-way delay of a message that is not lost, ms."""
        return self.model.delay_ms * (1.0 + self.model.jitter / 2)

    def cut(self, one: int, other: int) -> bool:
        return self._sides is not None and self._sides.get(one, 0) != self._sides.get(other, 0)

    def partition(self, sides: dict[int, int]) -> None:
        """Divide the nodes; connections across fall silent, and are given up after a while."""
        self._sides = sides
        across = {c: None for held in self._open.values() for c in held if self.cut(*c.nodes)}
        for connection in across:
            # What is under way is lost, and nothing gets through after the partition has healed either: where
            # TCP would repeat it, the connection ends here, which is the harder case.
            connection.silent = True
            self.events.after(self.random.uniform(*SILENCE_MS), self.break_connection, connection)

    def heal(self) -> None:
        self._sides = None

    def close(self, connection: Connection, side: int, *, refused: bool = False) -> None:
        """One side closes, perhaps since it sends the other away; the other hears of it after a delay."""
        connection.refused |= refused
        if self._end(connection):
            other = connection.ends[1 - side]
            if other is not None:
                self.events.after(connection.delay, other.broken)

    def stop(self, node: int) -> None:
        """A process ends: its connections are gone, and the others hear of it."""
        for connection in list(self._open.get(node, ())):
            self.close(connection, connection.nodes.index(node))

    def break_connection(self, connection: Connection) -> None:
        """It breaks in the middle: both sides notice after a delay."""
        if self._end(connection):
            self.broken += 1
            for end in connection.ends:
                if end is not None:
                    self.events.after(connection.delay, end.broken)

    def _end(self, connection: Connection) -> bool:
        if not connection.open:
            return False
        connection.open = False
        for node in connection.nodes:
            self._open[node].pop(connection, None)
        return True
