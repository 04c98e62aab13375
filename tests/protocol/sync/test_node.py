"""Nodes in memory: what two and more of them hold in the end, whatever is lost and in whatever order."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pkn_protocol.channel import messages as m
from pkn_protocol.channel.errors import CloseCode
from pkn_protocol.records.circles import EpochKey
from pkn_protocol.records.ids import Cid, DeviceId, short_id
from pkn_protocol.sync.facts import Circle
from pkn_protocol.sync.sums import period_of
from tests.protocol.sync.world import (
    BAD_BLOCK,
    NOW,
    Connection,
    Node,
    World,
    author_id,
    device_block,
    entry_of,
    make_block,
    pair_of,
    same,
)

DAY = 86_400_000
MINUTE = 60_000


def friends(world: World, *names: str) -> list[Node]:
    """Nodes that trust each other."""
    nodes = [Node(world, name) for name in names]
    for node in nodes:
        node.near(*nodes)
    return nodes


def notes(node: Node, count: int, *, days: int = 1, first: int = 0) -> list[Cid]:
    return node.keep(
        *(
            make_block(node.author, NOW - number * DAY // 24 * days, number=number)
            for number in range(first, first + count)
        )
    )


def test_what_a_full_disk_did_not_take_comes_when_there_is_room_on_the_same_connection() -> None:
    world = World()
    ann, ben = friends(world, "Ann", "Ben")
    notes(ann, 30)
    ben.disk_full = True
    world.connect(ann, ben)
    world.run(20_000)
    ann.publish(number=100)
    world.run(20_000)
    assert ben.store.ids(ann.author) == set()
    tries = world.frames["Compare"]
    assert tries <= 12
    ben.disk_full = False
    ann.publish(number=101)
    assert world.run(70_000, until=lambda: same(ann, ben))


def test_two_that_meet_hold_the_same_and_the_next_check_reads_no_store() -> None:
    world = World()
    ann, ben = friends(world, "Ann", "Ben")
    notes(ann, 300, days=10)
    notes(ben, 20)
    ours, theirs = world.connect(ann, ben)
    assert world.run(
        20_000, until=lambda: same(ann, ben) and ours.id in ann.in_step and theirs.id in ben.in_step
    )
    world.run(1_000)
    world.frames.clear()
    world.bytes = 0
    ann.store.reads.clear()
    ben.store.reads.clear()
    world.run(61_000)
    assert world.frames == {"Compare": 1, "Same": 1}
    assert not ann.store.reads and not ben.store.reads
    assert world.bytes < 200


def test_after_new_records_on_both_sides_a_check_still_reads_nothing() -> None:
    world = World()
    ann, ben = friends(world, "Ann", "Ben")
    notes(ann, 30)
    world.connect(ann, ben)
    world.run(5_000)
    ann.store.reads.clear()
    ben.store.reads.clear()
    for number in range(5):
        ann.publish(number=1000 + number)
        ben.publish(number=2000 + number)
        world.run(100)
    assert same(ann, ben)
    world.frames.clear()
    world.run(61_000)
    assert world.frames == {"Compare": 1, "Same": 1}
    assert not ann.store.reads and not ben.store.reads


def test_a_push_that_is_lost_comes_with_the_next_comparison() -> None:
    world = World()
    ann, ben = friends(world, "Ann", "Ben")
    world.connect(ann, ben)
    world.run(5_000)
    world.lose = lambda message: isinstance(message, m.Push)
    ann.publish(number=7)
    world.run(1_000)
    assert not same(ann, ben)
    world.lose = lambda message: False
    assert world.run(2 * MINUTE, until=lambda: same(ann, ben))


@pytest.mark.parametrize("kind", ["Compare", "Same", "Rows", "Groups", "Lacks", "Fetch", "Records"])
def test_any_message_may_be_lost_once(kind: str) -> None:
    world = World()
    ann, ben = friends(world, "Ann", "Ben")
    notes(ann, 40)
    notes(ben, 40)
    left = [1]

    def lose(message: m.Message) -> bool:
        if type(message).__name__ == kind and left[0]:
            left[0] -= 1
            return True
        return False

    world.lose = lose
    world.connect(ann, ben)
    assert world.run(5 * MINUTE, until=lambda: same(ann, ben))


def test_a_newcomer_asks_for_standing_records_first_then_the_nearest_the_newest_first() -> None:
    world = World()
    ann, ben = Node(world, "Ann"), Node(world, "Ben")
    near, far = author_id("near"), author_id("far")
    ann.keep(device_block(near), device_block(far))
    for author in (far, near):
        ann.keep(*(make_block(author, NOW - n * 3 * DAY, number=n) for n in range(400)))
    for node in (ann, ben):
        node.sees({ann: 1, ben: 1}, {near: 1, far: 2})
    asked: list[tuple[bool, bool, int]] = []
    request = world.request

    def noted(connection: Connection, number: int, fetch: m.Fetch) -> None:
        shorts = [short for part in fetch.shorts for short in part.shorts]
        named = [one.facts for c, one in ann.store.entries.items() if short_id(c) in shorts]
        asked.extend(sorted((not f.standing, f.author == far, -period_of(f.standing, f.time)) for f in named))
        request(connection, number, fetch)

    world.request = noted  # type: ignore[method-assign]
    world.connect(ann, ben)
    assert world.run(MINUTE, until=lambda: len(ben.store.entries) == len(ann.store.entries))
    assert len(asked) >= 802
    assert asked == sorted(asked)


def test_progress_says_how_much_is_to_come() -> None:
    world = World()
    ann, ben = friends(world, "Ann", "Ben")
    notes(ann, 5000)
    _, theirs = world.connect(ann, ben)
    seen = []
    world.run(
        MINUTE,
        until=lambda: (seen.append(ben.machine.progress(theirs.id)), same(ann, ben))[1],  # type: ignore[func-returns-value]
    )
    busy = [one for one in seen if one.known]
    assert busy[0].come == 0 and max(one.known for one in busy) == 5000
    assert all(one.come <= one.known for one in busy)
    assert [one.come for one in busy] == sorted(one.come for one in busy)
    assert ben.store.transactions < 30


def test_who_never_says_what_it_wants_is_left() -> None:
    world = World()
    ann, ben = friends(world, "Ann", "Ben")
    world.lose = lambda message: isinstance(message, m.Want)
    ours, theirs = world.connect(ann, ben)
    world.run(31_000)
    assert {ours.code, theirs.code} <= {CloseCode.GOING_AWAY, None}
    assert not ours.open


def test_two_who_hold_the_same_share_the_work_of_bringing_it() -> None:
    world = World()
    ann, ben, cat = friends(world, "Ann", "Ben", "Cat")
    blocks = [make_block(ann.author, NOW - n, number=n) for n in range(3000)]
    ann.keep(*blocks, device_block(ben.author))
    ben.keep(*blocks, device_block(ann.author))
    world.connect(cat, ann)
    world.connect(cat, ben)
    assert world.run(MINUTE, until=lambda: cat.store.ids() >= ann.store.ids())
    brought = [node.machine.counts(conn)[1] for node in (ann, ben) for conn in node.connections]
    assert sum(brought) < 3200
    assert min(brought) > 500


def test_a_bad_record_costs_its_sender_and_never_the_batch() -> None:
    world = World()
    ann, ben = friends(world, "Ann", "Ben")
    good = notes(ann, 50)
    bad = BAD_BLOCK + bytes(20)
    ours, theirs = world.connect(ann, ben)
    world.run(2_000)
    assert ben.store.ids() >= set(good)
    more = [make_block(ann.author, NOW, number=n) for n in range(900, 910)]
    hashed = pair_of(ann, ben).hash(ann.author)
    world.send(ours, m.Push(hashed, (*more[:5], bad, *more[5:])))
    world.run(2_000)
    assert theirs.code is CloseCode.BAD_RECORD
    assert not ours.open
    assert ben.store.ids() >= {entry_of(block).facts.id for block in more}  # type: ignore[union-attr]


def test_records_of_strangers_are_not_passed_on_and_a_stranger_gives_its_own_alone() -> None:
    world = World()
    ann, ben, sam = Node(world, "Ann"), Node(world, "Ben"), Node(world, "Sam")
    ann.near(ben)
    ben.near(ann)
    sam.near(friend := Node(world, "friend of Sam"))
    sam.keep(device_block(friend.author), make_block(friend.author, NOW))
    notes(sam, 5)
    world.connect(ann, ben)
    world.connect(sam, ann)
    world.run(5_000)
    sam.publish(number=99)
    world.run(2 * MINUTE)
    assert ann.store.ids(sam.author) == sam.store.ids(sam.author)
    assert not ann.store.ids(friend.author)
    assert not ben.store.ids(sam.author)


def test_records_are_relayed_within_the_horizon() -> None:
    world = World()
    ann, ben, cat = friends(world, "Ann", "Ben", "Cat")
    world.connect(ann, ben)
    world.connect(ben, cat)
    world.run(5_000)
    cid = ann.publish(number=5)
    world.run(1_000)
    assert cid in cat.store.entries


def test_somebody_blocked_is_sent_away_then_and_at_the_next_meeting() -> None:
    world = World()
    ann, ben = friends(world, "Ann", "Ben")
    ours, _ = world.connect(ann, ben)
    world.run(2_000)
    ann.near(blocked=[ben])
    world.run(100)
    assert ours.code is CloseCode.BLOCKED
    again, _ = world.connect(ann, ben)
    world.run(100)
    assert again.code is CloseCode.BLOCKED


def test_of_a_circle_only_who_proves_its_key_gets_anything() -> None:
    world = World()
    ann, ben, cat = friends(world, "Ann", "Ben", "Cat")
    key = EpochKey(bytes(range(32)))
    circle = {key.tag: Circle(key, ann.author)}
    ann.knows(circle)
    ann.keep(*(make_block(ann.author, NOW - n, number=n, scope=key.tag) for n in range(10)))
    public = notes(ann, 3)
    world.connect(ann, ben)
    world.connect(ann, cat)
    world.connect(ben, cat)
    world.run(5_000)
    assert all({*public} <= node.store.ids() for node in (ben, cat))
    assert all(not one.facts.scope for node in (ben, cat) for one in node.store.entries.values())
    ben.knows(circle)
    world.run(5_000)
    secret = ann.publish(number=77, scope=key.tag)
    world.run(5_000)
    assert secret in ben.store.entries
    assert sum(1 for one in ben.store.entries.values() if one.facts.scope) == 11
    assert all(not one.facts.scope for one in cat.store.entries.values())


def test_a_member_who_learns_the_key_during_the_connection_gives_back_what_its_owner_lost() -> None:
    world = World()
    ann, ben = friends(world, "Ann", "Ben")
    ours, theirs = world.connect(ann, ben)
    world.run(1_000)
    key = EpochKey(bytes(range(32)))
    circle = {key.tag: Circle(key, ann.author)}
    ann.knows(circle)
    world.run(1_000)
    # Ann's proof came to Ben before the key did.
    assert not ben.machine.may_see(theirs.id, key.tag)
    ben.knows(circle)
    secret = ann.publish(scope=key.tag)
    assert world.run(5_000, until=lambda: secret in ben.store.entries)
    assert ben.machine.may_see(theirs.id, key.tag) and ann.machine.may_see(ours.id, key.tag)
    ann.forget(secret)
    assert world.run(2 * MINUTE, until=lambda: secret in ann.store.entries)


def test_what_one_side_refuses_is_left_out_of_the_sums_of_the_connection() -> None:
    world = World()
    ann, ben = friends(world, "Ann", "Ben")
    notes(ann, 50)
    ben.refuse = lambda entry: (
        "full" if entry.facts.author == ann.author and not entry.facts.standing else None
    )
    world.connect(ann, ben)
    world.run(10_000)
    assert ben.sent["Refused"] == 1
    ann.store.reads.clear()
    world.frames.clear()
    world.run(61_000)
    assert world.frames == {"Compare": 1, "Same": 1}


def test_a_record_by_an_unknown_device_waits_for_the_record_that_names_it() -> None:
    world = World()
    ann, ben = friends(world, "Ann", "Ben")
    second = DeviceId(b"2" * 32)
    world.connect(ann, ben)
    world.run(5_000)
    note = make_block(ann.author, NOW, device=second)
    world.lose = lambda message: (
        isinstance(message, m.Push) and device_block(ann.author, second) in message.blocks
    )
    for block in (device_block(ann.author, second), note):
        [cid] = ann.keep(block)
        ann.do(ann.machine.published([ann.store.entries[cid].facts], ann.now))
    assert world.run(10_000, until=lambda: same(ann, ben))


def test_records_whose_device_nobody_names_are_refused_once_and_not_asked_for_again() -> None:
    world = World()
    ann, ben = friends(world, "Ann", "Ben")
    ann.keep(*(make_block(ann.author, NOW, number=n, device=DeviceId(b"?" * 32)) for n in range(100)))
    _, theirs = world.connect(ann, ben)
    world.run(3 * MINUTE)
    before = world.frames["Fetch"]
    world.run(10 * MINUTE)
    assert world.frames["Fetch"] == before <= 6
    assert theirs.open
    assert not ben.store.ids(ann.author) - {entry_of(device_block(ann.author)).facts.id}  # type: ignore[union-attr]


def test_a_peer_that_refuses_without_end_is_sent_away() -> None:
    world = World()
    ann, ben = friends(world, "Ann", "Ben")
    ids = notes(ann, 4200)
    ours, theirs = world.connect(ann, ben)
    for at in range(0, len(ids), 256):
        world.send(theirs, m.Refused(tuple(ids[at : at + 256]), "no"))
    world.run(2_000)
    assert ours.code is CloseCode.OVER_BUDGET


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32), data=st.data())
def test_whatever_happens_meanwhile_both_end_with_the_same(seed: int, data: st.DataObject) -> None:
    """Publishing, losing messages, expiry, clocks apart, reconnecting: then quiet, then in step."""
    chance = random.Random(seed)
    world = World(seed=seed, loss=data.draw(st.sampled_from([0, 10, 30])))
    # A channel that loses these has broken: nothing after them would make sense.
    world.spared = (m.Want, m.Circles)
    ann, ben, cat = friends(world, "Ann", "Ben", "Cat")
    ben.skew = data.draw(st.sampled_from([0, 10 * MINUTE, -10 * MINUTE]))
    for node in (ann, ben, cat):
        notes(node, data.draw(st.integers(0, 60)), days=chance.randint(1, 40))
    connections = [world.connect(ann, ben), world.connect(cat, ben)]
    for _ in range(data.draw(st.integers(0, 12))):
        node = chance.choice([ann, ben, cat])
        act = data.draw(st.sampled_from(["publish", "publish", "expiring", "cut", "wait", "hour"]))
        match act:
            case "publish":
                node.publish(number=chance.randint(10**6, 10**9))
            case "expiring":
                expires = node.now + chance.choice([MINUTE, 3 * 60 * MINUTE])
                [cid] = node.keep(
                    make_block(node.author, node.now, number=chance.randint(1, 10**9), expires=expires)
                )
                node.do(node.machine.published([node.store.entries[cid].facts], node.now))
            case "cut":
                at = chance.randrange(2)
                world.cut(connections[at][0])
                world.run(10)
                connections[at] = world.connect(connections[at][0].node, connections[at][1].node)
            case "hour":
                world.run(60 * MINUTE)
        world.run(chance.choice([1, 30, 500, 70_000]))
    world.loss = 0

    def lasting(node: Node) -> set[Cid]:
        return {cid for cid, one in node.store.entries.items() if one.expires is None}

    world.run(3 * MINUTE + 60_000)
    world.run(3 * MINUTE)
    assert lasting(ann) == lasting(ben) == lasting(cat), f"seed {seed}"
    assert all(a.code is None and b.code is None for a, b in connections), f"seed {seed}"
