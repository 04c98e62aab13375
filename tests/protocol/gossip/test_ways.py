"""A tree that is late stays as it is; one that does not bring what there is is joined to what does."""

from __future__ import annotations

from pkn_protocol.channel.messages import Tree
from pkn_protocol.gossip.effects import Effect, Fresh, SendAnnounce, SendGraft, SendPrune, SendPush
from pkn_protocol.gossip.limits import BroadcastLimits
from pkn_protocol.gossip.plumtree import Broadcast
from pkn_protocol.gossip.ways import LATE_MS
from pkn_protocol.records.ids import AuthorId, DeviceId, short_id
from pkn_protocol.sync.spreading import How
from tests.protocol.gossip.network import author, device, fresh

ANN = author(1)
IN_TREE, ALSO_IN_TREE, BESIDE = device(1), device(2), device(3)
HOPS = 3
MOST_PATIENCE = 2 * BroadcastLimits().most_patience


class Everything:
    def takes(self, device: DeviceId, fresh: Fresh) -> bool:
        return True

    def brings(self, device: DeviceId, author: AuthorId) -> bool:
        return True


def machine() -> Broadcast:
    """Two neighbours are in the tree, one is beside it."""
    made = Broadcast(Everything(), chance=lambda: 0.5)
    for neighbour in (IN_TREE, ALSO_IN_TREE, BESIDE):
        made.neighbour_up(neighbour, 0)
    for neighbour in (IN_TREE, ALSO_IN_TREE):
        made.graft_received(neighbour, ANN, [], Tree.EVERYBODY, 0)
    return made


def pushed(node: Broadcast, source: DeviceId, record: Fresh, now: int, hops: int = HOPS) -> list[Effect]:
    effects = node.push_received(source, ANN, [record.id], hops, now)
    return [*effects, *node.stored([record], source, How.PUSHED, now)]


def fetched_beside(node: Broadcast, record: Fresh, now: int) -> list[Effect]:
    """The record is announced, does not come, is asked for and given. What follows from its coming."""
    node.announce_received(BESIDE, ANN, [short_id(record.id)], HOPS, now)
    asked = [e for e in node.timer(now + MOST_PATIENCE) if isinstance(e, SendGraft)]
    assert asked == [SendGraft(BESIDE, ANN, (short_id(record.id),), Tree.NOBODY)]
    return pushed(node, BESIDE, record, now + MOST_PATIENCE)


def joins(node: Broadcast, now: int) -> list[SendGraft]:
    return [e for e in node.timer(now + MOST_PATIENCE + LATE_MS) if isinstance(e, SendGraft)]


def test_what_the_tree_never_brings_makes_who_gave_it_join() -> None:
    node = machine()
    fetched_beside(node, fresh(1, ANN), 1000)
    assert joins(node, 1000) == [SendGraft(BESIDE, ANN, (), Tree.EVERYBODY)]
    # Its next records come along the tree.
    third = fresh(3, ANN)
    assert not [e for e in pushed(node, BESIDE, third, 20_000) if isinstance(e, SendGraft)]


def test_a_tree_that_has_brought_something_may_miss_one() -> None:
    node = machine()
    for number in range(3):
        pushed(node, IN_TREE, fresh(number, ANN), number)
    fetched_beside(node, fresh(11, ANN), 1000)
    assert joins(node, 1000) == []
    fetched_beside(node, fresh(12, ANN), 15_000)
    assert joins(node, 15_000) == [SendGraft(BESIDE, ANN, (), Tree.EVERYBODY)]


def test_what_the_tree_brings_late_leaves_it_as_it_is() -> None:
    node = machine()
    for number in range(1, 8):
        record, now = fresh(number, ANN), 10_000 * number
        fetched_beside(node, record, now)
        late = node.push_received(IN_TREE, ANN, [record.id], HOPS, now + MOST_PATIENCE + 900)
        # It is no sign of a circle either.
        assert not [e for e in late if isinstance(e, SendPrune)]
        assert joins(node, now) == []


def test_a_late_copy_that_came_beside_the_tree_there_too_proves_nothing() -> None:
    node = machine()
    record = fresh(1, ANN)
    fetched_beside(node, record, 1000)
    node.push_received(IN_TREE, ANN, [record.id], 0, 1000 + MOST_PATIENCE + 900)
    assert joins(node, 1000) == [SendGraft(BESIDE, ANN, (), Tree.EVERYBODY)]


def test_what_was_fetched_beside_the_tree_goes_whole_to_who_gets_the_author_from_here() -> None:
    node = machine()
    pushed(node, IN_TREE, fresh(1, ANN), 0)
    second = fresh(2, ANN)
    given = [e for e in fetched_beside(node, second, 1000) if isinstance(e, SendPush)]
    assert given == [SendPush(ALSO_IN_TREE, ANN, (second.id,), 0)]
    told = [e for e in node.timer(10_000) if isinstance(e, SendAnnounce)]
    assert [e.device for e in told] == [IN_TREE]


def test_of_an_author_whose_way_is_not_known_it_is_told_to_the_tree() -> None:
    node = machine()
    effects = fetched_beside(node, fresh(2, ANN), 1000)
    assert not [e for e in effects if isinstance(e, SendPush)]
    told = [e for e in node.timer(10_000) if isinstance(e, SendAnnounce)]
    assert {e.device for e in told} == {IN_TREE, ALSO_IN_TREE}
