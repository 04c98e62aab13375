"""Broadcast: everybody who wants a record gets it, about once, soon; and nobody can be made to hold much."""

from __future__ import annotations

from math import log2
from statistics import mean, median

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pkn_protocol.channel.messages import MOST_ANNOUNCED, MOST_FETCHED, MOST_RECORD_BYTES, Tree
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
)
from pkn_protocol.gossip.limits import BroadcastLimits
from pkn_protocol.gossip.plumtree import Broadcast
from pkn_protocol.records.ids import AuthorId, DeviceId, ShortId, short_id
from pkn_protocol.sync.spreading import How
from tests.protocol.gossip.network import COMPARE_EVERY_MS, Network, author, device, fresh

ANN, BEN, CEM = author(1), author(2), author(3)
X, Y, Z = device(1), device(2), device(3)


class Everything:
    """Everybody wants and may see everything, but for what a test says."""

    def __init__(self) -> None:
        self.unwanted: set[tuple[DeviceId, AuthorId]] = set()

    def takes(self, device: DeviceId, fresh: Fresh) -> bool:
        return (device, fresh.author) not in self.unwanted

    def brings(self, device: DeviceId, author: AuthorId) -> bool:
        return (device, author) not in self.unwanted


def machine(*neighbours: DeviceId, limits: BroadcastLimits | None = None) -> Broadcast:
    made = Broadcast(Everything(), chance=lambda: 0.5, limits=limits)
    for neighbour in neighbours:
        made.neighbour_up(neighbour, 0)
    return made


def of_type(effects: tuple[Effect, ...], kind: type[Effect]) -> list[Effect]:
    return [effect for effect in effects if isinstance(effect, kind)]


def publish_in_turn(net: Network, count: int, *, authors: int, apart: int = 6000) -> list[tuple[Fresh, int]]:
    """One record after the other, each by the node of its author; with when it was written."""
    published = []
    for number in range(count):
        by = net.random.randrange(authors)
        record = fresh(number, author(by))
        published.append((record, net.now))
        net.nodes[by % len(net.nodes)].publish(record)
        net.run(for_ms=apart)
    return published


@pytest.mark.parametrize("authors", [1, 200])
def test_each_of_200_gets_a_record_once_within_the_rounds(authors: int) -> None:
    net = Network(200, seed=1)
    net.join_at_random(8)
    net.run(for_ms=1000)
    published = publish_in_turn(net, 12, authors=authors, apart=3000)
    for record, since in published:
        assert len(net.holders(record.id)) == 200
        assert net.rounds_to(0.99, record, since) <= log2(200) + 3, record.id.hex()
    # From the first record on: the tree is not made by a flood.
    assert net.mean_receptions([record for record, _ in published]) <= 1.05


def test_with_one_packet_in_ten_lost_all_get_it_and_seldom_twice() -> None:
    net = Network(200, seed=2, loss=0.1, breaks=0.0001)
    net.join_at_random(16)
    net.run(for_ms=1000)
    published = publish_in_turn(net, 20, authors=200, apart=4000)
    net.run(for_ms=2 * COMPARE_EVERY_MS)
    records = [record for record, _ in published]
    assert all(len(net.holders(record.id)) == 200 for record in records), "seed 2"
    assert net.mean_receptions(records) <= 1.2
    assert median(net.rounds_to(0.99, record, since) for record, since in published) <= log2(200) + 3


def test_one_author_s_many_records_go_in_few_messages_and_once() -> None:
    net = Network(20, seed=3)
    net.join_at_random(19)
    net.run(for_ms=1000)
    records = [fresh(number, ANN, size=700) for number in range(1000)]
    for at in range(0, 1000, 100):
        net.nodes[1].publish(*records[at : at + 100])
        net.run(for_ms=20)
    net.run(for_ms=5000)
    assert all(len(net.holders(record.id)) == 20 for record in records)
    assert net.mean_receptions(records) <= 1.2


def test_where_interests_differ_each_gets_what_it_wants_and_nobody_else() -> None:
    # Of 30 authors each node wants a third; the first author everybody.
    def wants(node: int, by: AuthorId) -> bool:
        number = int.from_bytes(by[6:], "big")
        return number == 0 or (node * 7 + number * 11) % 3 == 0 or node == number

    net = Network(90, seed=4, wants=wants)
    net.join_at_random(12)
    net.run(for_ms=1000)
    published = publish_in_turn(net, 90, authors=30, apart=2000)
    net.run(for_ms=2 * COMPARE_EVERY_MS)
    for record, _ in published:
        holders = {node.number for node in net.holders(record.id)}
        assert holders == {node.number for node in net.nodes if node.wants(record.author)}
    later = [record for record, _ in published[45:]]
    assert net.mean_receptions(later) <= 1.2


@pytest.mark.parametrize("seed", [5, 6])
def test_while_nodes_come_and_go_those_who_stay_get_everything(seed: int) -> None:
    net = Network(150, seed=seed, loss=0.1)
    net.join_at_random(8)
    net.run(for_ms=1000)
    records = []
    for number in range(20):
        record = fresh(number, author(number % 10))
        records.append(record)
        net.nodes[number % 10].publish(record)
        gone = 100 + net.random.randrange(50)
        net.kill(gone)
        back = net.nodes[100 + net.random.randrange(50)]
        if not back.alive:
            back.machine = Broadcast(back, chance=net.chance)
            back.alive = True
            for other in net.random.sample(range(100), 4):
                net.join(back.number, other)
        net.run(for_ms=1500)
    net.run(for_ms=2 * COMPARE_EVERY_MS)
    for record in records:
        holders = {node.number for node in net.holders(record.id)}
        assert holders >= set(range(100)), f"seed {seed}"
    assert net.mean_receptions(records) <= 1.3


def test_a_network_that_was_divided_has_everything_on_both_sides_afterwards() -> None:
    net = Network(100, seed=7)
    net.join_at_random(8)
    net.run(for_ms=1000)
    across = [link for link in net.links if len({number % 2 for number in link}) == 2]
    publish_in_turn(net, 3, authors=2, apart=1000)
    for link in across:
        net.part(*link)
    apart = [fresh(1000 + number, author(number % 2)) for number in range(10)]
    for record in apart:
        net.nodes[int.from_bytes(record.author[6:], "big")].publish(record)
        net.run(for_ms=500)
    assert all(len(net.holders(record.id)) < 100 for record in apart)
    for link in across:
        net.join(*link)
    net.run(for_ms=3000)
    assert all(len(net.holders(record.id)) == 100 for record in apart)
    after = fresh(5000, author(0))
    net.nodes[0].publish(after)
    net.run(for_ms=3000)
    assert len(net.holders(after.id)) == 100


def test_after_a_third_has_died_the_tree_closes_again() -> None:
    net = Network(200, seed=8)
    net.join_at_random(10)
    net.run(for_ms=1000)
    publish_in_turn(net, 3, authors=20, apart=2000)
    for number in net.random.sample(range(20, 200), 60):
        net.kill(number)
    published = publish_in_turn(net, 30, authors=20, apart=3000)
    for record, _ in published:
        assert len(net.holders(record.id)) == 140
    assert net.mean_receptions([record for record, _ in published]) <= 1.2
    late = [net.rounds_to(0.99, record, since) for record, since in published[-10:]]
    assert median(late) <= log2(140) + 3


def test_the_first_hop_waits_for_nothing() -> None:
    node = machine(X, Y)
    pushes = of_type(node.stored([fresh(1, ANN)], None, How.PUBLISHED, 5), SendPush)
    assert {push.device for push in pushes if isinstance(push, SendPush)} == {X, Y}


def test_with_many_neighbours_few_get_it_whole_and_the_others_its_name_at_once() -> None:
    many = [device(number) for number in range(1, 21)]
    node = machine(*many)
    effects = node.stored([fresh(1, ANN)], None, How.PUBLISHED, 5)
    assert len(of_type(effects, SendPush)) == 5
    assert node.next_wake == 5
    told = of_type(node.timer(5), SendAnnounce)
    assert len(told) == 15


def test_many_records_fill_messages_and_no_more_than_that() -> None:
    node = machine(X)
    records = [fresh(number, ANN, size=2000) for number in range(1000)]
    pushes = [p for p in node.stored(records, None, How.PUBLISHED, 0) if isinstance(p, SendPush)]
    assert [cid for push in pushes for cid in push.ids] == [record.id for record in records]
    assert all(len(push.ids) <= MOST_FETCHED and len(push.ids) * 2000 <= MOST_RECORD_BYTES for push in pushes)
    assert len(pushes) == -(-1000 // (MOST_RECORD_BYTES // 2000))


def test_what_came_by_a_comparison_is_told_but_not_pushed() -> None:
    node = machine(X, Y)
    node.stored([fresh(1, ANN)], None, How.PUBLISHED, 0)
    effects = node.stored([fresh(2, ANN)], X, How.FETCHED, 10)
    assert not of_type(effects, SendPush)
    [told] = of_type(node.timer(1000), SendAnnounce)
    assert told == SendAnnounce(Y, (Names(ANN, (short_id(fresh(2, ANN).id),), 0),))


def test_who_does_not_want_an_author_hears_nothing_of_its_records() -> None:
    interests = Everything()
    interests.unwanted = {(Y, ANN)}
    node = Broadcast(interests, chance=lambda: 0.5)
    node.neighbour_up(X, 0)
    node.neighbour_up(Y, 0)
    effects = (*node.stored([fresh(1, ANN)], None, How.PUBLISHED, 0), *node.timer(1000))
    assert {getattr(effect, "device", X) for effect in effects} == {X}


def test_a_second_copy_of_a_record_is_answered_with_a_prune_once() -> None:
    node = machine(X, Y)
    record = fresh(1, ANN)
    node.push_received(X, ANN, [record.id], 1, 0)
    node.stored([record], X, How.PUSHED, 1)
    assert node.push_received(Y, ANN, [record.id], 1, 2)[0] == SendPrune(Y, ANN, Tree.AUTHOR)
    assert not of_type(node.push_received(Y, ANN, [record.id], 1, 3), SendPrune)


@pytest.mark.parametrize("wide", [True, False])
def test_a_second_way_to_an_author_whom_all_want_leaves_the_tree_of_all(wide: bool) -> None:
    interests = Everything()
    node = Broadcast(interests, chance=lambda: 0.5)
    for neighbour in (X, Y, Z):
        node.neighbour_up(neighbour, 0)
        node.graft_received(neighbour, BEN, [], Tree.EVERYBODY, 0)
    if not wide:
        interests.unwanted = {(Z, ANN)}
    record = fresh(1, ANN)
    node.push_received(X, ANN, [record.id], 1, 0)
    node.stored([record], X, How.PUSHED, 1)
    expected = Tree.EVERYBODY if wide else Tree.AUTHOR
    assert node.push_received(Y, ANN, [record.id], 1, 2)[0] == SendPrune(Y, ANN, expected)


def test_two_copies_that_cross_before_either_is_stored_are_noticed() -> None:
    node = machine(X, Y)
    record = fresh(1, ANN)
    assert not of_type(node.push_received(X, ANN, [record.id], 1, 0), SendPrune)
    assert of_type(node.push_received(Y, ANN, [record.id], 1, 0), SendPrune)


def test_a_shorter_way_takes_the_place_of_a_longer_one_in_its_author_s_tree() -> None:
    node = machine(X, Y)
    for number, now in ((1, 0), (2, 5000)):
        record = fresh(number, ANN)
        node.push_received(X, ANN, [record.id], 6, now)
        node.stored([record], X, How.PUSHED, now)
    effects = node.announce_received(Y, ANN, [short_id(fresh(2, ANN).id)], 3, 5001)
    assert SendPrune(X, ANN, Tree.AUTHOR) in effects
    assert SendGraft(Y, ANN, (), Tree.AUTHOR) in effects
    # Others' records still come over the other link, and one that is no shorter changes nothing.
    again = node.announce_received(X, ANN, [short_id(fresh(2, ANN).id)], 6, 5002)
    assert not of_type(again, SendGraft)


def test_who_announced_a_record_before_it_came_is_not_given_it() -> None:
    node = machine(X, Y)
    first, second = fresh(1, ANN), fresh(2, ANN)
    for neighbour in (X, Y):
        node.graft_received(neighbour, ANN, [], Tree.EVERYBODY, 0)
    node.push_received(X, ANN, [first.id], 1, 0)
    node.stored([first], X, How.PUSHED, 0)
    node.announce_received(Y, ANN, [short_id(second.id)], 2, 10)
    node.push_received(X, ANN, [second.id], 1, 11)
    assert not of_type(node.stored([second], X, How.PUSHED, 12), SendPush)


def test_an_older_program_gets_everything_whole_and_no_other_messages() -> None:
    node = Broadcast(Everything(), chance=lambda: 0.5)
    node.neighbour_up(X, 0, speaks=False)
    node.neighbour_up(Y, 0)
    record = fresh(1, ANN)
    node.push_received(Y, ANN, [record.id], 1, 0)
    effects = node.stored([record], Y, How.PUSHED, 0)
    assert of_type(effects, SendPush) == [SendPush(X, ANN, (record.id,), 2)]
    assert not of_type(node.push_received(X, ANN, [record.id], 1, 1), SendPrune)


def test_what_is_missing_is_asked_of_one_after_the_other() -> None:
    node = machine(X, Y, Z)
    short = short_id(fresh(1, ANN).id)
    [asked] = of_type(node.announce_received(X, ANN, [short], 1, 0), SendGraft)
    assert asked == SendGraft(X, ANN, (short,), Tree.EVERYBODY)
    node.announce_received(Y, ANN, [short], 1, 1)
    wake = node.next_wake
    assert wake is not None
    effects = node.timer(wake)
    [again] = of_type(effects, SendGraft)
    assert isinstance(again, SendGraft) and again.device == Y
    [charge] = of_type(effects, Charge)
    assert isinstance(charge, Charge) and charge.device == X


def test_when_a_neighbour_goes_what_it_was_asked_for_is_asked_of_another() -> None:
    node = machine(X, Y)
    short = short_id(fresh(1, ANN).id)
    node.announce_received(X, ANN, [short], 1, 0)
    node.announce_received(Y, ANN, [short], 1, 1)
    node.neighbour_down(X, 2)
    assert [g.device for g in node.timer(2) if isinstance(g, SendGraft)] == [Y]


def test_a_flood_of_announcements_is_bounded_charged_and_then_not_heeded() -> None:
    limits = BroadcastLimits()
    node = machine(X, Y, limits=limits)
    charged = 0
    for now in range(0, 60_000, 500):
        shorts = [ShortId(b"%08d" % (now * 10 + n)) for n in range(MOST_ANNOUNCED)]
        effects = [*node.announce_received(X, ANN, shorts, 1, now), *node.timer(now)]
        charged += sum(effect.amount for effect in effects if isinstance(effect, Charge))
        assert node.counts.missing <= limits.missing_each
    assert charged >= limits.missing_each
    # Another's word counts as before.
    record = fresh(1, BEN)
    assert of_type(node.announce_received(Y, BEN, [short_id(record.id)], 1, 60_000), SendGraft)


def test_asking_again_and_again_brings_a_record_twice_and_is_charged() -> None:
    node = machine(X)
    many = [device(number) for number in range(10, 20)]
    for neighbour in many:
        node.neighbour_up(neighbour, 0)
    record = fresh(1, ANN)
    node.stored([record], None, How.PUBLISHED, 0)
    told = [e for e in node.timer(0) if isinstance(e, SendAnnounce)]
    by = told[0].device
    given = charged = 0
    for now in range(100):
        effects = node.graft_received(by, ANN, [short_id(record.id)] * MOST_FETCHED, Tree.AUTHOR, now)
        given += sum(len(e.ids) for e in effects if isinstance(e, SendPush))
        charged += sum(e.amount for e in effects if isinstance(e, Charge))
    assert given == 2
    assert charged == 100 * MOST_FETCHED - 2


def test_nobody_is_given_what_it_was_not_told_of() -> None:
    interests = Everything()
    interests.unwanted = {(Y, ANN)}
    node = Broadcast(interests, chance=lambda: 0.5)
    node.neighbour_up(X, 0)
    node.neighbour_up(Y, 0)
    record = fresh(1, ANN)
    node.stored([record], None, How.PUBLISHED, 0)
    node.timer(100)
    effects = node.graft_received(Y, ANN, [short_id(record.id)], Tree.AUTHOR, 200)
    assert not of_type(effects, SendPush)


def test_more_ids_than_can_be_told_are_left_to_a_comparison() -> None:
    limits = BroadcastLimits()
    node = machine(X, Y, limits=limits)
    records = [fresh(number, ANN) for number in range(limits.queued_each + 1)]
    effects = node.stored(records, X, How.FETCHED, 0)
    assert of_type(effects, CompareDue) == [CompareDue(Y)]
    assert node.counts.queued <= limits.queued_each


def test_the_history_is_bounded_by_count_and_by_time() -> None:
    limits = BroadcastLimits(history=100, history_for=1000)
    node = machine(X, limits=limits)
    for number in range(500):
        node.stored([fresh(number, ANN)], None, How.PUBLISHED, 0)
    assert node.counts.remembered == 100
    node.stored([fresh(1000, ANN)], None, How.PUBLISHED, 5000)
    assert node.counts.remembered == 1


ACTS = (
    "up",
    "down",
    "published",
    "pushed",
    "stored",
    "settled",
    "fetched",
    "announce",
    "graft",
    "prune",
    "timer",
)
acts = st.lists(
    st.tuples(
        st.sampled_from(ACTS),
        st.sampled_from([X, Y, Z]),
        st.sampled_from([ANN, BEN, CEM]),
        st.lists(st.integers(0, 40), min_size=1, max_size=12),
        st.sampled_from(list(Tree)),
        st.integers(0, 700),
    ),
    max_size=80,
)


@given(acts)
@settings(max_examples=150, deadline=None)
def test_whatever_happens_in_whatever_order_the_state_stays_within_bounds(
    steps: list[tuple[str, DeviceId, AuthorId, list[int], Tree, int]],
) -> None:
    limits = BroadcastLimits(history=20, missing_each=8, queued_each=6, trees=2, undelivered=5)
    node = Broadcast(Everything(), chance=lambda: 0.5, limits=limits)
    up: set[DeviceId] = set()
    now = 0
    for act, who, by, numbers, tree, wait in steps:
        now += wait
        records = [fresh(number, by) for number in numbers]
        shorts = [short_id(record.id) for record in records]
        match act:
            case "up":
                effects = node.neighbour_up(who, now)
                up.add(who)
            case "down":
                effects = node.neighbour_down(who, now)
                up.discard(who)
            case "published":
                effects = node.stored(records, None, How.PUBLISHED, now)
            case "pushed":
                effects = node.push_received(who, by, [record.id for record in records], 1, now)
            case "stored":
                effects = node.stored(records, who, How.PUSHED, now)
            case "settled":
                effects = node.settled(by, [record.id for record in records], who, now)
            case "fetched":
                effects = node.stored(records, who, How.FETCHED, now)
            case "announce":
                effects = node.announce_received(who, by, shorts, 1, now)
            case "graft":
                effects = node.graft_received(who, by, shorts, tree, now)
            case "prune":
                effects = node.prune_received(who, by, tree, now)
            case _:
                effects = node.timer(now)
        counts = node.counts
        assert counts.remembered <= limits.history
        assert counts.missing <= limits.missing_each * 3
        assert counts.queued <= limits.queued_each * 3
        assert counts.neighbours == len(up)
        for effect in effects:
            # Nothing is sent to who is not there.
            assert getattr(effect, "device", None) in {None, *up} or isinstance(effect, Charge)
    if node.next_wake is not None:
        node.timer(now + 10_000)
        assert node.next_wake is None or node.next_wake > now


def test_the_mean_of_many_seeds_stays_near_one() -> None:
    means = []
    for seed in range(10, 14):
        net = Network(40, seed=seed, loss=0.05)
        net.join_at_random(8)
        net.run(for_ms=1000)
        published = publish_in_turn(net, 10, authors=60, apart=4000)
        means.append(net.mean_receptions([record for record, _ in published]))
    assert mean(means) <= 1.2
