"""What was lost on the way is said again, and nobody is made to work without end."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pkn_protocol.channel import messages as m
from pkn_protocol.channel.errors import CloseCode
from pkn_protocol.records.circles import EpochKey
from pkn_protocol.records.ids import DeviceId
from pkn_protocol.sync.allowance import Allowance
from pkn_protocol.sync.comparing import BURST, ONE_IN_MS
from pkn_protocol.sync.facts import Circle
from pkn_protocol.sync.rows import ConnectionRoot
from pkn_protocol.sync.sums import comparison_instant
from tests.protocol.sync.world import NOW, Connection, Node, World, author_id, device_block, make_block, same

MINUTE = 60_000
CAT = author_id("Cat")


def met(world: World) -> tuple[Node, Node, Connection, Connection]:
    """Two that trust each other and are in step."""
    ann, ben = Node(world, "Ann"), Node(world, "Ben")
    for node in (ann, ben):
        node.near(ann, ben)
    ours, theirs = world.connect(ann, ben)
    assert world.run(5_000, until=lambda: same(ann, ben))
    return ann, ben, ours, theirs


def is_quiet(world: World, nodes: int = 2) -> bool:
    """Whether the next checks find nothing."""
    world.run(MINUTE)
    world.frames.clear()
    world.run(MINUTE + 1_000)
    return world.frames == {"Compare": nodes - 1, "Same": nodes - 1}


@pytest.mark.parametrize("changes", [1, 3])
@pytest.mark.parametrize("loser", ["Ann", "Ben"])
def test_a_change_of_wants_that_is_lost_is_told_again(loser: str, changes: int) -> None:
    world = World()
    ann, ben, ours, theirs = met(world)
    ann.keep(device_block(CAT), *(make_block(CAT, NOW - n, number=n) for n in range(20)))
    for node in (ann, ben):
        is_loser = node.name == loser
        for number in range(changes if is_loser else 1):
            # Only the first change is lost; the others build on it.
            world.lose = lambda message, lost=is_loser and not number: lost and isinstance(message, m.Want)  # type: ignore[misc]
            others = [author_id(f"other {n}") for n in range(number)]
            node.sees({ann: 1, ben: 1}, {CAT: 2, **dict.fromkeys(others, 3)})
            world.run(300)
    world.lose = lambda message: False
    assert world.run(3 * MINUTE, until=lambda: same(ann, ben))
    assert ours.open and theirs.open
    assert is_quiet(world)


@pytest.mark.parametrize("lost", [{0}, {1}, {0, 1}])
def test_proofs_of_a_circle_that_are_lost_are_shown_again(lost: set[int]) -> None:
    world = World()
    ann, ben, ours, theirs = met(world)
    key = EpochKey(bytes(range(32)))
    circle = {key.tag: Circle(key, ann.author)}
    ann.keep(*(make_block(ann.author, NOW - n, number=n, scope=key.tag) for n in range(10)))
    for number, node in enumerate((ann, ben)):
        world.lose = lambda message, out=number in lost: out and isinstance(message, m.Circles)  # type: ignore[misc]
        node.knows(circle)
        world.run(100)
    world.lose = lambda message: False
    assert world.run(7 * MINUTE, until=lambda: same(ann, ben))
    ann.publish(number=33, scope=key.tag)
    world.run(6 * MINUTE)
    assert same(ann, ben)
    assert ours.open and theirs.open
    world.frames.clear()
    world.run(5 * MINUTE)
    assert world.frames == {"Compare": 5, "Same": 5, "Circles": 2}


def test_who_learns_a_key_late_takes_what_was_proven_before() -> None:
    world = World()
    ann, ben, *_ = met(world)
    key = EpochKey(bytes(range(32)))
    circle = {key.tag: Circle(key, ann.author)}
    ann.knows(circle)
    ann.keep(*(make_block(ann.author, NOW - n, number=n, scope=key.tag) for n in range(10)))
    world.run(2 * MINUTE)
    assert not same(ann, ben)
    ben.knows(circle)
    assert world.run(5_000, until=lambda: same(ann, ben))
    # Both count what the other has of the circle, so that nothing differs.
    assert is_quiet(world)


def test_a_peer_can_begin_comparisons_only_so_often_and_the_last_one_is_answered() -> None:
    world = World()
    ann, _, _, theirs = met(world)
    world.run(MINUTE)
    # Nothing of the peer's is looked at here: it sends what it likes.
    other = theirs.node.machine
    theirs.node.do(other.disconnected(theirs.id, theirs.node.now))
    ann.store.reads.clear()
    world.frames.clear()
    root = ConnectionRoot(comparison_instant(world.now))
    root.replace_row((b"", b"12345678", 5), None, (1, bytes(32)))
    wanted = m.Compare(2, root.at, 1, 1, root.digest(bytes(32)))
    for number in range(200):
        world.send(theirs, replace(wanted, number=2 * number + 2))
        world.run(10)
    assert ann.store.reads["rows"] <= BURST + 2 * (1 + 2_000 // ONE_IN_MS)
    world.run(2 * ONE_IN_MS)
    assert world.frames["Rows"] + world.frames["Groups"] + world.frames["MoreRows"] >= 1


def test_a_peer_can_make_this_side_begin_comparisons_only_so_often() -> None:
    world = World()
    ann, ben, ours, theirs = met(world)
    world.run(MINUTE)
    ann.store.reads.clear()
    ann.sent.clear()
    theirs.node.do(ben.machine.disconnected(theirs.id, ben.now))
    # Whole wants, each of which is another.
    for number in range(2, 402):
        world.send(theirs, m.Want(number, 0, (m.WantEntry(b"%08d" % number),)))
        world.run(50)
    assert ours.open
    assert ann.sent["Compare"] <= BURST + 20_000 // ONE_IN_MS + 1


def test_a_burst_is_there_again_after_a_while_and_a_clock_that_is_set_back_does_no_harm() -> None:
    allowance = Allowance(3, 100)
    for _ in range(3):
        assert allowance.earliest(1000) <= 1000
        allowance.take(1000)
    assert allowance.earliest(1000) == 1100
    assert allowance.earliest(1099) > 1099
    allowance.take(1100)
    assert allowance.earliest(1100) == 1200
    for _ in range(3):
        assert allowance.earliest(2000) <= 2000
        allowance.take(2000)
    assert allowance.earliest(2000) == 2100
    assert allowance.earliest(5) <= 5


@pytest.mark.parametrize("kind", ["refusing", "unknown device"])
def test_a_record_that_one_of_three_does_not_take_goes_round_no_longer(kind: str) -> None:
    """Neither with pushes nor with comparisons, though two others bring it."""
    world = World()
    ann, ben, dan = (Node(world, name) for name in ("Ann", "Ben", "Dan"))
    for node in (ann, ben, dan):
        node.near(ann, ben, dan)
    for one, other in ((ann, ben), (ben, dan), (dan, ann)):
        world.connect(one, other)
    world.run(5_000)
    if kind == "refusing":
        dan.refuse = lambda entry: "no room" if not entry.facts.standing else None
        for number in range(30):
            ann.publish(number=number)
    else:
        # Two hold records by a device that the third is told of by nobody.
        stray = [make_block(ann.author, NOW - n, number=n, device=DeviceId(b"?" * 32)) for n in range(30)]
        ann.keep(*stray)
        ben.keep(*stray)
    world.run(10 * MINUTE)
    assert same(ann, ben)
    for conn in [c for node in (ann, ben, dan) for c in node.connections.values()]:
        assert conn.open and conn.code is None
    world.frames.clear()
    world.run(10 * MINUTE)
    assert world.frames.keys() == {"Compare", "Same"}, world.frames
    assert world.frames["Compare"] == 30


def test_a_peer_that_is_blocked_is_not_listened_to() -> None:
    world = World()
    ann, ben = Node(world, "Ann"), Node(world, "Ben")
    ann.near(blocked=[ben])
    ben.near(ann)
    ours, theirs = world.connect(ben, ann)
    world.run(MINUTE)
    assert theirs.code is CloseCode.BLOCKED
    assert not ours.open
    assert world.frames["Push"] == world.frames["Fetch"] == 0
