"""Broadcast along a tree within the machines of nodes: real messages over a network in memory."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import pytest

from pkn_protocol.channel import messages as m
from pkn_protocol.channel.errors import CloseCode
from pkn_protocol.gossip.spreading import TreeSpreading
from pkn_protocol.records.ids import ShortId
from pkn_protocol.sync.facts import ConnectionId, RecordFacts
from pkn_protocol.sync.spreading import How, Spread
from tests.protocol.sync.world import Node, World, same

MINUTE = 60_000


class Swallowing(TreeSpreading):
    """Says nothing of what it gets, once it is told to be silent."""

    silent = False

    def fresh(
        self, records: Sequence[RecordFacts], source: ConnectionId | None, how: How, now: int
    ) -> Sequence[Spread]:
        return () if self.silent else super().fresh(records, source, how, now)


def nodes(world: World, count: int, kind: type[TreeSpreading] = TreeSpreading) -> list[Node]:
    """Friends, each connected with each; the first is of a kind."""
    made = [
        Node(world, f"node {number}", spreading=made_of(chance=world.random.random))
        for number, made_of in enumerate([kind, *[TreeSpreading] * (count - 1)])
    ]
    for node in made:
        node.near(*made)
    for one, other in combinations(made, 2):
        world.connect(one, other)
    world.run(5_000)
    world.frames.clear()
    return made


def test_in_a_full_mesh_each_record_reaches_each_node_about_once() -> None:
    world = World(seed=1)
    mesh = nodes(world, 8)
    for number in range(40):
        world.random.choice(mesh).publish(number=number)
        world.run(1_500)
    assert all(same(mesh[0], node) for node in mesh[1:])
    assert world.frames["Push"] / (40 * 7) <= 1.2


def test_a_record_is_at_a_neighbour_within_two_hops_and_nothing_waits() -> None:
    world = World(seed=2)
    mesh = nodes(world, 6)
    for number in range(3):
        mesh[number].publish(number=number)
        world.run(2_000)
    cid = mesh[4].publish(number=9)
    # Two hops of 10 ms and, at each, up to 40 ms until it is stored.
    assert world.run(100, until=lambda: all(cid in node.store.entries for node in mesh))


def test_when_the_middle_of_the_tree_goes_the_others_still_hear_from_each_other() -> None:
    world = World(seed=3)
    mesh = nodes(world, 6)
    mesh[0].publish(number=1)
    world.run(2_000)
    for connection in list(mesh[0].connections.values()):
        world.cut(connection)
    world.run(1_000)
    for number in range(10):
        mesh[1 + number % 5].publish(number=10 + number)
        world.run(1_500)
    assert all(same(mesh[1], node) for node in mesh[2:])


def test_one_that_pushes_nothing_on_is_passed_by() -> None:
    world = World(seed=4)
    mesh = nodes(world, 6, Swallowing)
    mesh[0].publish(number=1)
    world.run(2_000)
    # The first is in the tree of all the others.
    Swallowing.silent = True
    for number in range(12):
        mesh[1 + number % 5].publish(number=10 + number)
        world.run(1_500)
    assert all(same(mesh[1], node) for node in mesh[2:])


def test_who_announces_without_end_what_it_has_not_is_sent_away() -> None:
    world = World(seed=5)
    ann, ben = nodes(world, 2)
    [connection] = ben.connections.values()
    [far] = ann.connections.values()
    name = ben.machine.hash_of(connection.id, ann.author)
    for number in range(200):
        if not connection.open:
            break
        shorts = tuple(ShortId(b"%08d" % (number * 2048 + n)) for n in range(2048))
        world.send(connection, m.Announce((m.Announced(name, shorts),)))
        world.run(700)
    assert far.code is CloseCode.OVER_BUDGET


@pytest.mark.parametrize("seed", range(3))
def test_with_lost_messages_all_is_everywhere_in_the_end(seed: int) -> None:
    world = World(seed=seed, loss=10, spared=(m.Want, m.Circles))
    mesh = nodes(world, 5)
    for number in range(15):
        world.random.choice(mesh).publish(number=number)
        world.run(1_000)
    assert world.run(10 * MINUTE, until=lambda: all(same(mesh[0], node) for node in mesh[1:])), seed


def test_a_newcomer_who_meets_many_gets_what_they_hold_about_once() -> None:
    """What one brings by a comparison is announced by the others, and the other way round."""
    world = World(seed=6)
    mesh = nodes(world, 5)
    for number in range(5):
        for count in range(60):
            mesh[number].publish(number=100 * number + count)
        world.run(3_000)
    assert all(same(mesh[0], node) for node in mesh[1:])
    newcomer = Node(world, "newcomer", spreading=TreeSpreading(chance=world.random.random))
    for node in mesh:
        node.near(newcomer, *mesh)
    newcomer.near(newcomer, *mesh)
    for node in mesh:
        world.connect(newcomer, node)
    assert world.run(20_000, until=lambda: same(*mesh, newcomer))
    came = sum(newcomer.machine.counts(conn)[0] for conn in newcomer.connections)
    assert came <= 1.1 * len(newcomer.store.entries)
