"""The schedule of blocks over sources, in virtual time: each block once, and the quick ones do most."""

from __future__ import annotations

import heapq
import itertools
import random
from collections import Counter
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pkn_protocol.bulk.schedule import Ask, Fetch, GiveUp, Loss, Rules, Schedule
from pkn_protocol.channel.messages import MOST_HAVE
from pkn_protocol.records.ids import Cid, raw_cid
from pkn_protocol.records.payload import BLOCK_BYTES

TICK = 0.25
WINDOW = 256


def cids(number: int) -> list[Cid]:
    return [raw_cid(n.to_bytes(4, "big")) for n in range(number)]


@dataclass
class Peer:
    """A source: `rate` in bytes a second, shared by its flights (0: it never sends a byte)."""

    rate: float
    has: set[Cid]
    joins: float = 0.0
    leaves: float = float("inf")
    breaks: float = 0.0
    """The share of fetches that end with nothing."""
    piece: int = 1
    """Bytes that come together: less of them is neither noticed nor kept."""
    gave: Counter[Cid] = field(default_factory=Counter)


@dataclass
class Result:
    took: float
    came: list[Cid]
    by: Counter[str]
    given_up: int
    asked: int
    complete: bool


def play(
    peers: dict[str, Peer],
    wanted: list[Cid],
    *,
    seed: int = 0,
    assumed: bool = False,
    most_seconds: float = 10_000.0,
    rules: Rules | None = None,
) -> Result:
    """Fetch `wanted` from simulated peers; invariants are checked at every step."""
    chance = random.Random(seed)
    rules = rules or Rules()
    schedule: Schedule[str] = Schedule(rules)
    left = dict.fromkeys(wanted)
    offsets: Counter[Cid] = Counter()
    flights: dict[tuple[str, Cid], float] = {}
    answers: list[tuple[float, int, str, tuple[Cid, ...]]] = []
    here: set[str] = set()
    came: list[Cid] = []
    by: Counter[str] = Counter()
    given_up = asked = number = 0
    now = 0.0
    while left and now < most_seconds:
        for name, peer in peers.items():
            if name not in here and peer.joins <= now < peer.leaves:
                here.add(name)
                schedule.join(name, assumed=assumed)
            if name in here and peer.leaves <= now:
                here.discard(name)
                schedule.leave(name)
                for key in [key for key in flights if key[0] == name]:
                    del flights[key]
        while answers and answers[0][0] <= now:
            _, _, name, questions = heapq.heappop(answers)
            schedule.told(name, questions, [cid in peers[name].has for cid in questions], now)
        schedule.want([(cid, BLOCK_BYTES) for cid in list(left)[:WINDOW]])
        for effect in schedule.next(now):
            match effect:
                case Ask():
                    asked += 1
                    assert 0 < len(effect.cids) <= MOST_HAVE
                    number += 1
                    heapq.heappush(answers, (now + 0.01, number, effect.source, effect.cids))
                case Fetch():
                    assert effect.cid in left
                    assert effect.source in here
                    assert not any(cid == effect.cid for _, cid in flights), "a block in flight twice"
                    flights[effect.source, effect.cid] = 0.0
                    assert sum(name == effect.source for name, _ in flights) <= rules.per_source
                    assert len(flights) <= rules.in_flight
                case GiveUp():
                    given_up += 1
                    del flights[effect.source, effect.cid]
                    schedule.lost(effect.source, effect.cid, Loss.GIVEN_UP, now)
        step = TICK / 10
        now += step
        shares = Counter(name for name, _ in flights)
        for (name, cid), received in list(flights.items()):
            peer = peers[name]
            if cid not in peer.has:
                del flights[name, cid]
                schedule.lost(name, cid, Loss.ABSENT, now)
                continue
            more = peer.rate * step / shares[name]
            flights[name, cid] = received + more
            shown = int(received + more) // peer.piece * peer.piece
            offsets[cid] += shown - int(received) // peer.piece * peer.piece
            schedule.moved(name, cid, shown, now)
            if offsets[cid] >= BLOCK_BYTES:
                del flights[name, cid]
                if chance.random() < peer.breaks:
                    offsets[cid] = 0
                    schedule.lost(name, cid, Loss.BROKEN, now)
                    continue
                schedule.came(name, cid, int(received + more), now)
                came.append(cid)
                by[name] += 1
                del left[cid]
        if schedule.is_hopeless(now) and not any(peer.joins > now for peer in peers.values()):
            break
    return Result(now, came, by, given_up, asked, not left)


MB = 1024 * 1024


def test_one_source_gives_everything_in_order() -> None:
    blocks = cids(100)
    result = play({"a": Peer(20 * MB, set(blocks))}, blocks)
    assert result.complete
    assert result.given_up == 0
    # Four at a time: nothing comes far from its place.
    assert all(abs(blocks.index(cid) - place) <= 8 for place, cid in enumerate(result.came))
    assert result.took < 100 / 20 * 1.3 + 1


def test_two_equal_sources_halve_the_time_and_the_work() -> None:
    blocks = cids(200)
    alone = play({"a": Peer(20 * MB, set(blocks))}, blocks)
    both = play({"a": Peer(20 * MB, set(blocks)), "b": Peer(20 * MB, set(blocks))}, blocks)
    assert both.took < 0.65 * alone.took
    assert abs(both.by["a"] - both.by["b"]) < 40


def test_a_slow_source_does_what_it_can_and_does_not_hold_up_the_end() -> None:
    blocks = cids(100)
    result = play({"fast": Peer(20 * MB, set(blocks)), "slow": Peer(0.2 * MB, set(blocks))}, blocks)
    assert result.complete
    assert result.took < 8
    assert result.by["fast"] > 90


def test_a_source_that_falls_silent_gives_up_its_blocks() -> None:
    blocks = cids(50)
    result = play({"silent": Peer(0, set(blocks)), "b": Peer(20 * MB, set(blocks))}, blocks)
    assert result.complete
    assert result.by == {"b": 50}
    assert result.took < 15


def test_a_source_that_joins_in_the_middle_helps_and_one_that_leaves_loses_nothing() -> None:
    blocks = cids(200)
    alone = play({"a": Peer(10 * MB, set(blocks))}, blocks)
    helped = play({"a": Peer(10 * MB, set(blocks)), "b": Peer(10 * MB, set(blocks), joins=5.0)}, blocks)
    assert helped.took < 0.85 * alone.took and helped.by["b"] > 40
    left = play({"a": Peer(10 * MB, set(blocks), leaves=5.0), "b": Peer(10 * MB, set(blocks))}, blocks)
    assert left.complete and sorted(left.came) == sorted(blocks)


def test_what_only_one_has_comes_from_that_one_and_first() -> None:
    blocks = cids(60)
    rare = set(blocks[10:20])
    result = play({"all": Peer(10 * MB, set(blocks)), "most": Peer(10 * MB, set(blocks) - rare)}, blocks)
    assert result.complete
    places = {cid: place for place, cid in enumerate(result.came)}
    assert sum(places[cid] for cid in rare) / 10 < sum(places[cid] for cid in blocks[:10]) / 10 + 10


def test_two_partial_holders_together_are_a_whole_one() -> None:
    blocks = cids(80)
    result = play({"odd": Peer(5 * MB, set(blocks[1::2])), "even": Peer(5 * MB, set(blocks[::2]))}, blocks)
    assert result.complete
    assert result.by == {"odd": 40, "even": 40}


def test_what_nobody_has_is_hopeless_and_few_questions_find_that_out() -> None:
    blocks = cids(1000)
    result = play({"a": Peer(MB, set()), "b": Peer(MB, set())}, blocks)
    assert not result.complete
    assert result.took < 1
    assert result.asked == 2


def test_a_holder_of_a_thousand_is_asked_in_few_questions() -> None:
    blocks = cids(1024)
    assert play({"a": Peer(100 * MB, set(blocks))}, blocks).asked <= 8


def test_a_single_block_is_tried_without_asking_the_preferred_first() -> None:
    [block] = cids(1)
    schedule: Schedule[str] = Schedule()
    schedule.join("other", preference=1.0, assumed=True)
    schedule.join("author", preference=0.0, assumed=True)
    schedule.want([(block, 10)])
    assert schedule.next(0.0) == [Fetch("author", block)]
    schedule.lost("author", block, Loss.ABSENT, 0.1)
    assert schedule.next(0.1) == [Fetch("other", block)]
    schedule.lost("other", block, Loss.ABSENT, 0.2)
    assert schedule.next(0.2) == []
    assert schedule.is_hopeless(0.2)


def test_a_busy_source_is_left_alone_for_a_moment_and_asked_for_less() -> None:
    blocks = cids(8)
    schedule: Schedule[str] = Schedule()
    schedule.join("a", assumed=True)
    schedule.want([(cid, BLOCK_BYTES) for cid in blocks])
    first = [effect.cid for effect in schedule.next(0.0) if isinstance(effect, Fetch)]
    assert len(first) == 2
    schedule.lost("a", first[0], Loss.BUSY, 0.0)
    schedule.came("a", first[1], BLOCK_BYTES, 1.0)
    assert len(schedule.next(1.0)) == 1


def test_a_source_that_refuses_is_asked_ever_later() -> None:
    blocks = cids(8)
    schedule: Schedule[str] = Schedule()
    schedule.join("a", assumed=True)
    schedule.want([(cid, BLOCK_BYTES) for cid in blocks])
    asked = []
    for quarters in range(4 * 60):
        now = quarters / 4
        fetches = [effect for effect in schedule.next(now) if isinstance(effect, Fetch)]
        if fetches:
            asked.append(now)
        for fetch in fetches:
            schedule.lost("a", fetch.cid, Loss.BUSY, now)
    assert [after - before for before, after in itertools.pairwise(asked)] == [1, 2, 4, 8, 16, 16]
    assert not schedule.is_hopeless(60.0)
    [next_one] = schedule.next(80.0)
    assert isinstance(next_one, Fetch)
    schedule.came("a", next_one.cid, BLOCK_BYTES, 80.1)
    for effect in schedule.next(80.1):
        assert isinstance(effect, Fetch)
        schedule.lost("a", effect.cid, Loss.BUSY, 80.2)
    assert schedule.next(80.9) == []
    assert schedule.next(81.3)


def test_a_source_that_refuses_for_ever_counts_as_gone() -> None:
    [block] = cids(1)
    schedule: Schedule[str] = Schedule()
    schedule.join("a", assumed=True)
    schedule.want([(block, 10)])
    now, tried = 0.0, 0
    while schedule.sources and now < 1000:
        for effect in schedule.next(now):
            assert isinstance(effect, Fetch)
            tried += 1
            schedule.lost("a", block, Loss.BUSY, now)
        now += 0.25
    assert tried == Rules().most_refusals
    assert schedule.is_hopeless(now)
    assert 60 < now < 180


def test_a_source_that_gives_one_block_at_a_time_stays_however_often_it_refuses_more() -> None:
    blocks = cids(4000)
    schedule: Schedule[str] = Schedule()
    schedule.join("a", assumed=True)
    now, refusals, came = 0.0, 0, 0
    while came < 1200:
        schedule.want([(cid, BLOCK_BYTES) for cid in blocks[:WINDOW]])
        fetches = [effect for effect in schedule.next(now) if isinstance(effect, Fetch)]
        for refused in fetches[1:]:
            refusals += 1
            schedule.lost("a", refused.cid, Loss.BUSY, now)
        for brought in fetches[:1]:
            schedule.came("a", brought.cid, BLOCK_BYTES, now + 0.01)
            blocks.remove(brought.cid)
            came += 1
        now += 0.25
        assert schedule.sources
    assert refusals > 1000


def test_a_source_that_only_fails_counts_as_gone() -> None:
    [block] = cids(1)
    schedule: Schedule[str] = Schedule()
    schedule.join("a", assumed=True)
    schedule.want([(block, 10)])
    now, tried = 0.0, 0
    while schedule.sources:
        for effect in schedule.next(now):
            assert isinstance(effect, Fetch)
            tried += 1
            schedule.lost("a", block, Loss.BROKEN, now)
        now += 0.1
    assert tried == Rules().most_failures
    assert schedule.is_hopeless(now)


@pytest.mark.parametrize("seed", range(3))
def test_one_who_lacks_everything_at_first_is_asked_again(seed: int) -> None:
    """Two fetch the same: what the other got meanwhile is had from it."""
    blocks = cids(40)
    late = Peer(20 * MB, set())
    schedule: Schedule[str] = Schedule()
    schedule.join("late")
    schedule.want([(cid, BLOCK_BYTES) for cid in blocks])
    [ask] = schedule.next(0.0)
    assert isinstance(ask, Ask)
    schedule.told("late", ask.cids, [False] * len(ask.cids), 0.0)
    assert schedule.next(1.0) == []
    assert schedule.is_hopeless(1.0)
    late.has |= set(blocks[: 10 + seed])
    [ask] = schedule.next(60.0)
    assert isinstance(ask, Ask)
    schedule.told("late", ask.cids, [cid in late.has for cid in ask.cids], 60.0)
    assert len(schedule.next(60.1)) == 2


@pytest.mark.parametrize("first", ["slow", "mute"])
def test_a_block_that_was_handed_to_somebody_mute_comes_back(first: str) -> None:
    [block] = cids(1)
    schedule: Schedule[str] = Schedule()
    schedule.want([(block, BLOCK_BYTES)])
    schedule.join("slow", preference=float(first != "slow"), assumed=True)
    assert schedule.next(0.0) == [Fetch("slow", block)]
    # Given up for somebody faster, who is gone before it begins.
    schedule.lost("slow", block, Loss.GIVEN_UP, 1.0)
    schedule.join("mute", preference=float(first != "mute"), assumed=True)
    assert schedule.next(1.0) == [Fetch("mute", block)]
    assert schedule.next(2.0) == []
    assert schedule.next(5.0) == [GiveUp("mute", block)]
    schedule.lost("mute", block, Loss.GIVEN_UP, 5.0)
    assert schedule.next(5.0) == [Fetch("slow", block)]


@pytest.mark.parametrize("number", [2, 3])
def test_some_who_are_all_slower_than_silence_is_waited_for_bring_everything(number: int) -> None:
    blocks = cids(8)
    rate = 30_000
    peers = {f"p{n}": Peer(rate, set(blocks), piece=256 * 1024) for n in range(number)}
    alone = len(blocks) * BLOCK_BYTES / rate
    result = play(peers, blocks, most_seconds=2 * alone)
    assert result.complete
    assert result.took < 1.2 * alone


def test_what_is_on_its_way_from_who_fails_is_fetched_by_nobody_else() -> None:
    first, second = cids(2)
    schedule: Schedule[str] = Schedule(Rules(most_failures=1))
    schedule.want([(first, BLOCK_BYTES), (second, BLOCK_BYTES)])
    schedule.join("bad", assumed=True)
    assert schedule.next(0.0) == [Fetch("bad", first), Fetch("bad", second)]
    schedule.join("good", assumed=True)
    schedule.lost("bad", first, Loss.BROKEN, 0.5)
    assert schedule.next(0.5) == [Fetch("good", first)]
    schedule.lost("bad", second, Loss.BROKEN, 1.0)
    assert list(schedule.sources) == ["good"]
    assert schedule.next(1.0) == [Fetch("good", second)]


def test_who_brings_a_block_after_all_is_asked_again_however_often_it_failed_before() -> None:
    kept, *others = cids(8)
    schedule: Schedule[str] = Schedule(Rules(most_failures=2))
    schedule.join("a", assumed=True)
    schedule.want([(cid, BLOCK_BYTES) for cid in (kept, *others)])
    assert schedule.next(0.0) == [Fetch("a", kept), Fetch("a", others[0])]
    schedule.came("a", kept, BLOCK_BYTES, 0.1)
    began = [effect.cid for effect in schedule.next(0.1) if isinstance(effect, Fetch)]
    assert len(began) >= 2
    schedule.lost("a", others[0], Loss.BUSY, 0.2)
    for cid in began[:-1]:
        schedule.lost("a", cid, Loss.BROKEN, 0.3)
    assert list(schedule.sources) == ["a"]
    assert schedule.next(100.0) == []
    schedule.came("a", began[-1], BLOCK_BYTES, 100.0)
    assert schedule.next(100.0)


@st.composite
def swarms(draw: st.DrawFn) -> tuple[dict[str, Peer], list[Cid], int]:
    blocks = cids(draw(st.integers(1, 60)))
    peers = {"steady": Peer(draw(st.floats(0.5, 50)) * MB, set(blocks))}
    for number in range(draw(st.integers(0, 5))):
        share = draw(st.floats(0, 1))
        has = {cid for cid in blocks if random.Random(f"{number}{cid!r}").random() < share}
        joins = draw(st.floats(0, 10))
        leaves = draw(st.sampled_from([float("inf"), joins + 1.0, joins + 7.0]))
        rate = draw(st.sampled_from([0.0, 0.05, 1.0, 30.0])) * MB
        piece = draw(st.sampled_from([1, 256 * 1024]))
        peers[f"p{number}"] = Peer(
            rate, has, joins, leaves, draw(st.sampled_from([0.0, 0.2, 1.0])), piece=piece
        )
    return peers, blocks, draw(st.integers(0, 2**32))


@given(swarms(), st.booleans())
def test_whatever_the_others_do_one_steady_holder_is_enough(
    swarm: tuple[dict[str, Peer], list[Cid], int], assumed: bool
) -> None:
    peers, blocks, seed = swarm
    result = play(peers, blocks, seed=seed, assumed=assumed, most_seconds=3000.0)
    assert result.complete
    assert sorted(result.came) == sorted(blocks)
    alone = len(blocks) * BLOCK_BYTES / peers["steady"].rate
    # What the others spoil (a block that comes in full and is wrong) is fetched again, and each silence
    # costs its stall; never more than that.
    assert result.took < 4 * alone + 120
