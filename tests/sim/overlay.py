"""Who dials whom: each node's choice of neighbours, and what becomes of its calls.

A node knows the addresses of the people within its horizon, as addresses travel among people who trust each
other; those of strangers it is given by hand. Of two calls between the same nodes one connection results, as
with daemons, which keep one a pair of devices.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.sim.network import Connection

if TYPE_CHECKING:
    from tests.sim.simulation import Simulation

HANDSHAKE_DELAYS = 6
"""TCP, TLS 1.3 and hello, proof, welcome: three round trips until both sides are proved."""
RETRY_MS = (2_000.0, 8_000.0)
MOST_INBOUND = 32
"""Connections that a node takes in all; hubs would have thousands otherwise."""


class Overlay:
    """`wanted`: by node, whom it keeps calling."""

    def __init__(self, world: Simulation) -> None:
        self._world = world
        self._calls: set[frozenset[int]] = set()
        ties = world.plan.ties
        self.wanted: list[tuple[int, ...]] = []
        for node in range(world.settings.nodes):
            friends = ties.trusted[node] - ties.hubs
            readers = [
                hub for hub in ties.hubs if world.random.random() < MOST_INBOUND / 2 / world.settings.nodes
            ]
            self.wanted.append(tuple(sorted({*friends, *readers, *ties.met.get(node, ())} - {node})))

    def started(self, node: int) -> None:
        for other in self.wanted[node]:
            self._call(node, other)

    def ended(self, node: int, other: int) -> None:
        """A connection is gone: call again after a while, from either side."""
        if other in self.wanted[node]:
            self._again(node, other)

    def people_changed(self, node: int) -> None:
        """More people are within a node's horizon than before, or fewer."""

    def _again(self, node: int, other: int) -> None:
        self._world.events.after(self._world.random.uniform(*RETRY_MS), self._call, node, other)

    def _call(self, node: int, other: int) -> None:
        world = self._world
        caller, called = world.nodes[node], world.nodes[other]
        pair = frozenset((node, other))
        if not caller.up or other in caller.by_node or pair in self._calls:
            return
        if called.up and len(called.links) < MOST_INBOUND:
            connection = world.network.connect(node, other)
            if connection is not None:
                self._calls.add(pair)
                world.events.after(HANDSHAKE_DELAYS * connection.delay, self._answered, connection, pair)
                return
        self._again(node, other)

    def _answered(self, connection: Connection, pair: frozenset[int]) -> None:
        world = self._world
        self._calls.discard(pair)
        caller, called = (world.nodes[node] for node in connection.nodes)
        if not connection.open or connection.silent or not caller.up or not called.up:
            world.network.close(connection, 0)
            self._again(*connection.nodes)
            return
        world.meter.connections += 1
        world.count_handshake(connection)
        # The side that was called is proved first: it has heard the proof when it welcomes the other.
        called.connected(connection, 1)
        if connection.open:
            caller.connected(connection, 0)
