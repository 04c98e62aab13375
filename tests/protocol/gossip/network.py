"""A network in memory, in virtual milliseconds: the machines of broadcast with links, loss, churn and splits.

A link is a TCP connection: it keeps the order of its messages, and an attempt that is lost is repeated after
a timeout, while what was sent later waits. Some break; what was under way is lost then. Comparisons are here
a look at what the neighbour holds: how they find it is tested elsewhere.
"""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from random import Random

from pkn_protocol.channel.messages import Tree
from pkn_protocol.gossip.effects import (
    Charge,
    CompareDue,
    Effect,
    Fresh,
    Names,
    SendAnnounce,
    SendGraft,
    SendPrune,
    SendPush,
    WakeAt,
)
from pkn_protocol.gossip.limits import BroadcastLimits
from pkn_protocol.gossip.plumtree import Broadcast
from pkn_protocol.records.ids import AuthorId, Cid, DeviceId, ShortId, dag_cbor_cid, short_id
from pkn_protocol.sync.spreading import How

LATENCY_MS = 40
STORING_MS = 2
REPEAT_MS = 200 + 2 * LATENCY_MS
"""When a lost packet is sent again at first (Linux's least timeout); doubled each time (RFC 6298)."""
RECONNECT_MS = 1000
COMPARE_EVERY_MS = 60_000
RECORD_BYTES = 500


def device(number: int) -> DeviceId:
    return DeviceId(number.to_bytes(32, "big"))


def author(number: int) -> AuthorId:
    return AuthorId(b"author" + number.to_bytes(26, "big"))


def fresh(number: int, by: AuthorId, size: int = RECORD_BYTES) -> Fresh:
    return Fresh(dag_cbor_cid(b"%d" % number), by, size, time=number, standing=False)


@dataclass
class Node:
    """One machine with what it holds; it is the owner that carries out the effects."""

    number: int
    network: Network
    wants: Callable[[AuthorId], bool]
    machine: Broadcast = field(init=False)
    neighbours: set[int] = field(default_factory=set)
    held: dict[Cid, Fresh] = field(default_factory=dict)
    held_at: dict[Cid, int] = field(default_factory=dict)
    receptions: dict[Cid, int] = field(default_factory=lambda: defaultdict(int))
    charged: dict[DeviceId, int] = field(default_factory=lambda: defaultdict(int))
    alive: bool = True
    wake: int | None = None

    @property
    def device(self) -> DeviceId:
        return device(self.number)

    def takes(self, device: DeviceId, fresh: Fresh) -> bool:
        return self.network.of(device).wants(fresh.author)

    def brings(self, device: DeviceId, author: AuthorId) -> bool:
        return self.wants(author) and self.network.of(device).wants(author)

    def publish(self, *records: Fresh) -> None:
        self._hold(records)
        self.do(self.machine.stored(records, None, How.PUBLISHED, self.network.now))

    def do(self, effects: Iterable[Effect]) -> None:
        for effect in effects:
            self._carry_out(effect)

    def _carry_out(self, effect: Effect) -> None:
        network = self.network
        match effect:
            case SendPush(to, by, ids, hops):
                network.sent["push"] += len(ids)
                self._send(to, Node.receive_push, by, tuple(self.held[cid] for cid in ids), hops)
            case SendAnnounce(to, lists):
                network.sent["announce"] += sum(len(part.shorts) for part in lists)
                self._send(to, Node.receive_announce, lists)
            case SendGraft(to, by, shorts, tree):
                network.sent["graft"] += len(shorts)
                self._send(to, Node.receive_graft, by, shorts, tree)
            case SendPrune(to, by, tree):
                network.sent["prune"] += 1
                self._send(to, Node.receive_prune, by, tree)
            case Charge(to, _, amount):
                self.charged[to] += amount
            case CompareDue(to):
                network.after(LATENCY_MS, partial(self.compare, network.of(to)))
            case WakeAt(time):
                self.wake = time
                network.at(time, partial(self._timer, time))

    def receive_push(self, source: Node, by: AuthorId, records: tuple[Fresh, ...], hops: int) -> None:
        for record in records:
            self.receptions[record.id] += 1
        now = self.network.now
        self.do(self.machine.push_received(source.device, by, [r.id for r in records], hops, now))
        self.network.after(STORING_MS, partial(self._store, records, source, How.PUSHED))

    def receive_announce(self, source: Node, lists: tuple[Names, ...]) -> None:
        held = {short_id(cid) for cid in self.held}
        now = self.network.now
        for part in lists:
            self.do(
                self.machine.announce_received(source.device, part.author, part.shorts, part.hops, now, held)
            )

    def receive_graft(self, source: Node, by: AuthorId, shorts: tuple[ShortId, ...], tree: Tree) -> None:
        self.do(self.machine.graft_received(source.device, by, shorts, tree, self.network.now))

    def receive_prune(self, source: Node, by: AuthorId, tree: Tree) -> None:
        self.do(self.machine.prune_received(source.device, by, tree, self.network.now))

    def compare(self, other: Node) -> None:
        """Fetch what the neighbour has and this node lacks, and the other way round."""
        if not (self.alive and other.alive and self.network.is_joined(self.number, other.number)):
            return
        for one, from_whom in ((self, other), (other, self)):
            lacking = tuple(
                r for cid, r in from_whom.held.items() if cid not in one.held and one.wants(r.author)
            )
            for record in lacking:
                one.receptions[record.id] += 1
            one._store(lacking, from_whom, How.FETCHED)

    def _store(self, records: Iterable[Fresh], source: Node, how: How) -> None:
        if not self.alive:
            return
        new = [r for r in records if r.id not in self.held and self.wants(r.author)]
        self._hold(new)
        if new:
            self.do(self.machine.stored(new, source.device, how, self.network.now))

    def _hold(self, records: Iterable[Fresh]) -> None:
        for record in records:
            self.held[record.id] = record
            self.held_at[record.id] = self.network.now

    def _send(self, to: DeviceId, receive: Callable[..., None], *arguments: object) -> None:
        network, target = self.network, self.network.of(to)
        link = network.links.get(frozenset((self.number, target.number)))
        if link is None:
            return
        if network.chance() < network.breaks:
            network.part(self.number, target.number)
            network.after(RECONNECT_MS, partial(network.join, self.number, target.number))
            return

        def arrive() -> None:
            # What was under way when a connection ended does not arrive over the next one.
            if network.links.get(frozenset((self.number, target.number))) == link and target.alive:
                receive(target, self, *arguments)

        network.at(network.arrival(self.number, target.number), arrive)

    def _timer(self, time: int) -> None:
        if self.alive and self.wake == time:
            self.wake = None
            self.do(self.machine.timer(self.network.now))


class Network:
    """`loss`: the part of attempts to deliver that fail; `breaks`: of messages with which their connection
    ends; `wants(node, author)`."""

    def __init__(
        self,
        nodes: int,
        *,
        seed: int,
        loss: float = 0.0,
        breaks: float = 0.0,
        wants: Callable[[int, AuthorId], bool] = lambda node, by: True,
        limits: BroadcastLimits | None = None,
        jitter: float = 0.5,
    ) -> None:
        self.random = Random(seed)
        self.chance = self.random.random
        self.loss = loss
        self.breaks = breaks
        self._delays = [0, 0]
        self._last: dict[tuple[int, int], int] = {}
        self.now = 0
        self.jitter = jitter
        self.links: dict[frozenset[int], int] = {}
        self.sent: Counter[str] = Counter()
        self._events: list[tuple[int, int, Callable[[], None]]] = []
        self._sequence = 0
        self.nodes: list[Node] = []
        for number in range(nodes):
            node = Node(number, self, partial(wants, number))
            node.machine = Broadcast(node, chance=self.chance, limits=limits)
            self.nodes.append(node)

    def of(self, name: DeviceId) -> Node:
        return self.nodes[int.from_bytes(name, "big")]

    def arrival(self, one: int, other: int) -> int:
        """When a message that is sent now from one node to another arrives."""
        spread = self.jitter * LATENCY_MS
        delay = max(1.0, LATENCY_MS - spread + 2 * spread * self.chance())
        wait = REPEAT_MS
        while self.chance() < self.loss:
            delay, wait = delay + wait, 2 * wait
        time = max(self.now + round(delay), self._last.get((one, other), 0))
        self._last[(one, other)] = time
        self._delays[0] += time - self.now
        self._delays[1] += 1
        return time

    @property
    def mean_delay(self) -> float:
        """Of a message, repetitions included."""
        return self._delays[0] / max(1, self._delays[1])

    def at(self, time: int, act: Callable[[], None]) -> None:
        self._sequence += 1
        heapq.heappush(self._events, (max(time, self.now), self._sequence, act))

    def after(self, wait: int, act: Callable[[], None]) -> None:
        self.at(self.now + wait, act)

    def run(self, *, until: int | None = None, for_ms: int = 0) -> None:
        end = until if until is not None else self.now + for_ms
        while self._events and self._events[0][0] <= end:
            self.now, _, act = heapq.heappop(self._events)
            act()
        self.now = end

    def is_joined(self, one: int, other: int) -> bool:
        return frozenset((one, other)) in self.links

    def join(self, one: int, other: int) -> None:
        """Two nodes connect, and compare as they do when they meet and every minute from then on."""
        if one == other or self.is_joined(one, other):
            return
        a, b = self.nodes[one], self.nodes[other]
        self._sequence += 1
        self.links[frozenset((one, other))] = number = self._sequence
        for node, neighbour in ((a, b), (b, a)):
            node.neighbours.add(neighbour.number)
            node.do(node.machine.neighbour_up(device(neighbour.number), self.now))

        def compare() -> None:
            if self.links.get(frozenset((one, other))) == number:
                a.compare(b)
                self.after(COMPARE_EVERY_MS, compare)

        self.after(int(3 * LATENCY_MS), compare)

    def part(self, one: int, other: int) -> None:
        if self.links.pop(frozenset((one, other)), None) is None:
            return
        for node, neighbour in ((one, other), (other, one)):
            self.nodes[node].neighbours.discard(neighbour)
            if self.nodes[node].alive:
                self.nodes[node].do(self.nodes[node].machine.neighbour_down(device(neighbour), self.now))

    def kill(self, number: int) -> None:
        node = self.nodes[number]
        node.alive = False
        for other in list(node.neighbours):
            self.part(number, other)

    def join_at_random(self, degree: int) -> None:
        """Each node dials half as many as `degree`, so that it has that many neighbours in the mean."""
        for number in range(len(self.nodes)):
            for other in self.random.sample(range(len(self.nodes)), degree // 2 + 1):
                if len(self.nodes[number].neighbours) < degree:
                    self.join(number, other)

    def holders(self, cid: Cid) -> list[Node]:
        return [node for node in self.nodes if node.alive and cid in node.held]

    def mean_receptions(self, records: Iterable[Fresh]) -> float:
        """How often a record came in full, in the mean over those who got it from others."""
        counts = [
            node.receptions[record.id]
            for record in records
            for node in self.nodes
            if node.receptions.get(record.id)
        ]
        return sum(counts) / len(counts)

    def rounds_to(self, part: float, record: Fresh, since: int) -> float:
        """Mean delays of a message until that part of the living nodes that want a record had it."""
        wanting = [node for node in self.nodes if node.alive and node.wants(record.author)]
        times = sorted(node.held_at.get(record.id, 10**9) for node in wanting)
        return (times[int(part * (len(times) - 1))] - since) / self.mean_delay
