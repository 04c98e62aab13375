"""Who dials whom: the active view of each node, and what becomes of its calls.

A node knows the addresses of the people within its horizon, as addresses travel among people who trust each
other; those of strangers it is given by hand. What a candidate holds is learned when it tells its want, and
remembered: the authors that both want. Before that it is its own author. Of two calls between the same nodes
one connection results, as with daemons, which keep one a pair of devices.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pkn_protocol.gossip.active_view import (
    ActiveView,
    Candidate,
    Dial,
    Disconnect,
    ViewEffects,
    ViewLimits,
    ViewWake,
)
from tests.sim.network import Connection

if TYPE_CHECKING:
    from tests.sim.simulation import Simulation

HANDSHAKE_DELAYS = 6
"""TCP, TLS 1.3 and hello, proof, welcome: three round trips until both sides are proved."""
LEARN_AFTER_MS = 3_000.0
FIRST_RETRY_S = 2.0
REFUSED_S = 300.0
MOST_RETRY_S = 120.0
"""After a call that failed or a connection that ended the next is made later, twice as late each time."""


class Overlay:
    """The views of all nodes; one lives as long as its node runs."""

    def __init__(self, world: Simulation, neighbours: int) -> None:
        self._world = world
        self._limits = ViewLimits(full=neighbours, target=neighbours, most=2 * neighbours)
        self._views: dict[int, ActiveView[int]] = {}
        self._failures: dict[tuple[int, int], int] = {}
        self._calls: set[frozenset[int]] = set()

    def started(self, node: int) -> None:
        self._views[node] = ActiveView(chance=self._world.random.random, limits=self._limits)
        self.people_changed(node)

    def stopped(self, node: int) -> None:
        self._views.pop(node, None)

    def people_changed(self, node: int) -> None:
        """More people are within a node's horizon than before, or fewer."""
        world, view, now = self._world, self._views[node], self._now()
        near = world.nodes[node].distances
        met = world.plan.ties.met.get(node, frozenset())
        self._do(node, view.wanted(near.keys() - {world.authors[node].author}, now))
        known = sorted({*map(world.number_of.__getitem__, near), *met} - {node})
        self._do(node, view.candidates([self._candidate(node, other) for other in known], now))

    def ended(self, node: int, other: int, *, refused: bool) -> None:
        """A connection is gone; `refused`: one of the two sent the other away."""
        view = self._views.get(node)
        if view is not None:
            retry = self._later(REFUSED_S) if refused else self._retry_at(node, other)
            self._do(node, view.disconnected(other, self._now(), retry))

    def unanswered(self) -> set[tuple[int, int]]:
        """Who waits for the outcome of a call to whom, though none is under way."""
        dialled = {(node, other) for node, view in self._views.items() for other in view.dialling}
        return {(node, other) for node, other in dialled if frozenset((node, other)) not in self._calls}

    def _candidate(self, node: int, other: int) -> Candidate[int]:
        caller, author = self._world.nodes[node], self._world.authors[other].author
        distance = caller.distances.get(author)
        holds = caller.learned.get(other, frozenset({author}))
        return Candidate(other, trusted=distance == 1, near=distance is not None, holds=holds)

    def _do(self, node: int, effects: ViewEffects[int]) -> None:
        for effect in effects:
            match effect:
                case Dial(key=other):
                    self._call(node, other)
                case Disconnect(key=other):
                    link = self._world.nodes[node].by_node.get(other)
                    if link is not None:
                        self._world.network.close(link.connection, link.side, refused=True)
                        link.broken()
                case ViewWake(time=time):
                    self._world.events.at(time * 1000, self._woken, node, self._views[node], time)

    def _woken(self, node: int, view: ActiveView[int], time: float) -> None:
        # Of several wakes the last one counts; the others find nothing to do. Seconds that became ms and
        # seconds again may lie before those that were asked for.
        if self._views.get(node) is view:
            self._do(node, view.timer(max(self._now(), time)))

    def _call(self, node: int, other: int) -> None:
        world = self._world
        called = world.nodes[other]
        pair = frozenset((node, other))
        if pair in self._calls or not called.up or other in world.nodes[node].by_node:
            self._failed(node, other)
            return
        connection = world.network.connect(node, other)
        if connection is None:
            self._failed(node, other)
            return
        self._calls.add(pair)
        world.events.after(HANDSHAKE_DELAYS * connection.delay, self._answered, connection, pair)

    def _failed(self, node: int, other: int, *, refused: bool = False) -> None:
        # Not at once: the view is in the middle of its choice.
        self._world.events.after(0.0, self._say_failed, node, other, self._views[node], refused)

    def _say_failed(self, node: int, other: int, view: ActiveView[int], refused: bool) -> None:
        if self._views.get(node) is view and other not in self._world.nodes[node].by_node:
            retry = self._later(REFUSED_S) if refused else self._retry_at(node, other)
            self._do(node, view.failed(other, self._now(), retry))

    def _answered(self, connection: Connection, pair: frozenset[int]) -> None:
        world = self._world
        self._calls.discard(pair)
        caller, called = connection.nodes
        alive = connection.open and not connection.silent
        if not alive or not world.nodes[called].up or not world.nodes[caller].up:
            world.network.close(connection, 0)
            if world.nodes[caller].up:
                self._failed(caller, called)
            return
        world.meter.connections += 1
        world.count_handshake(connection)
        # The side that was called is proved first: it has heard the proof when it welcomes the other.
        for side in (1, 0):
            if connection.open:
                node, other = connection.nodes[side], connection.nodes[1 - side]
                self._failures.pop((node, other), None)
                world.nodes[node].connected(connection, side)
                if connection.open:
                    self._do(node, self._views[node].connected(other, self._now()))
                    world.events.after(LEARN_AFTER_MS, self._learn, node, other, connection)
        if called not in world.nodes[caller].by_node and world.nodes[caller].up:
            # Sent away before it heard the welcome.
            self._failed(caller, called, refused=True)

    def _learn(self, node: int, other: int, connection: Connection) -> None:
        """The other side has told its want: it brings the authors that both want."""
        running = self._world.nodes[node]
        link = running.by_node.get(other)
        if link is None or link.connection is not connection:
            return
        brings = running.sync.brings
        running.learned[other] = frozenset(a for a in running.distances if brings(link.number, a))
        self._do(node, self._views[node].candidate(self._candidate(node, other), self._now()))

    def _retry_at(self, node: int, other: int) -> float:
        failures = self._failures[(node, other)] = self._failures.get((node, other), -1) + 1
        wait = min(MOST_RETRY_S, FIRST_RETRY_S * 2.0 ** min(failures, 16))
        return self._later(wait)

    def _later(self, wait: float) -> float:
        return self._now() + wait * self._world.random.uniform(0.5, 1.0)

    def _now(self) -> float:
        return self._world.events.now / 1000
