"""The query machine: whom it asks, when it stops, what silent peers cost."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pkn_protocol.records.ids import AuthorId, Cid, DeviceId
from pkn_protocol.search.budget import MOST_NODES, Budget, SeenQueries
from pkn_protocol.search.fanout import (
    AT_ONCE,
    AskPeer,
    Effect,
    FanOut,
    Finished,
    TopChanged,
)
from pkn_protocol.search.patience import CONFIRMING_MS, LEAST_PATIENCE_MS, Candidate

_SLACK = 1.15
"""What those who may know something new are given beyond the time that others' answers explain."""


def cid(number: int) -> Cid:
    return Cid(number.to_bytes(36, "big"))


def device(number: int) -> DeviceId:
    return DeviceId(number.to_bytes(32, "big"))


def peer(
    number: int,
    *,
    promise: float = 0.0,
    unknown: bool = False,
    rtt_ms: float | None = 1.0,
    distance: int | None = 1,
    silences: int = 0,
    confirms: bool = False,
    slow: bool = False,
) -> Candidate:
    author = AuthorId(number.to_bytes(32, "little"))
    return Candidate(device(number), author, distance, promise, unknown, rtt_ms, silences, confirms, slow)


@dataclass
class Outcome:
    asked: list[DeviceId] = field(default_factory=list)
    budgets: list[Budget] = field(default_factory=list)
    took_ms: float = 0.0
    complete: bool | None = None
    changes: int = 0


def play(
    fan: FanOut,
    peers: list[Candidate],
    delays: Mapping[DeviceId, float],
    answers: Mapping[DeviceId, Mapping[Cid, float]] | None = None,
) -> Outcome:
    """Run a query to its end: peers answer after `delays` in ms; who has none stays silent."""
    outcome = Outcome()
    now = 0.0
    due: list[tuple[float, DeviceId]] = []

    def carry_out(effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case AskPeer(asked, budget):
                    outcome.asked.append(asked)
                    outcome.budgets.append(budget)
                    if asked in delays:
                        due.append((now + delays[asked], asked))
                case TopChanged():
                    outcome.changes += 1
                case Finished(complete):
                    assert outcome.complete is None, "it ends once"
                    outcome.complete = complete

    carry_out(fan.start(peers, now))
    for _ in range(10_000):
        if outcome.complete is not None:
            outcome.took_ms = now
            return outcome
        wake = fan.wake_at(now)
        assert wake is not None, "while it is not finished it says when to wake it"
        due.sort()
        if due and due[0][0] <= wake:
            now, answering = due.pop(0)
            carry_out(fan.answered(answering, (answers or {}).get(answering, {}), now))
        else:
            now = wake
            carry_out(fan.tick(now))
    raise AssertionError("the query does not end")


def test_without_peers_it_is_finished_at_once() -> None:
    assert FanOut(10, {cid(1): 1.0}).start([], 0.0) == [Finished(complete=True)]


def test_it_ends_when_the_last_one_has_answered() -> None:
    peers = [peer(number, unknown=True) for number in range(8)]
    outcome = play(FanOut(10, {}), peers, {device(number): 2.0 + number for number in range(8)})
    assert (outcome.took_ms, outcome.complete, len(outcome.asked)) == (9.0, True, 8)


@pytest.mark.parametrize(("found", "silences", "took"), [(0, 0, 300.0), (1, 0, 25.0), (0, 1, 25.0)])
def test_with_nothing_found_the_first_answer_is_waited_for(found: int, silences: int, took: float) -> None:
    # All that the peer wrote is here, yet it may know somebody who has it.
    fan = FanOut(10, {cid(number): 1.0 for number in range(found)})
    outcome = play(fan, [peer(1, silences=silences)], {device(1): 300.0}, {device(1): {cid(9): 1.0}})
    assert outcome.took_ms == took
    assert (cid(9) in fan.top()) is (took == 300.0)


def test_the_best_peers_are_asked_first() -> None:
    peers = [
        peer(1, silences=2, promise=9.0),
        peer(2),
        peer(3, unknown=True),
        peer(4, promise=1.0),
        peer(5, promise=5.0),
        peer(6, unknown=True, distance=3),
        peer(7, unknown=True, distance=None),
    ]
    outcome = play(FanOut(10, {}), peers, {})
    assert outcome.asked == [device(number) for number in (5, 4, 3, 6, 7, 2, 1)]


@pytest.mark.parametrize("silences", [0, 1])
@pytest.mark.parametrize("unknown", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_five_silent_peers_among_eight_cost_at_most_a_fifth_more_time(
    seed: int, unknown: bool, silences: int
) -> None:
    chance = random.Random(seed)
    hits = {cid(number): 10.0 - number for number in range(12)}
    delays = {device(number): chance.uniform(20, 40) for number in range(8)}
    delays[device(7)] = 40.0

    def peers(silences: int) -> list[Candidate]:
        return [peer(n, promise=1.0, unknown=unknown, silences=silences if n < 5 else 0) for n in range(8)]

    full, partial = FanOut(10, dict(hits)), FanOut(10, dict(hits))
    answered_by_all = play(full, peers(0), delays)
    with_silence = play(partial, peers(silences), {d: delays[d] for d in map(device, (5, 6, 7))})
    assert len(with_silence.asked) == 8
    assert partial.top() == full.top()
    assert with_silence.took_ms <= 1.2 * max(delays.values())
    assert answered_by_all.took_ms <= max(delays.values())


def test_silent_peers_hold_a_quick_query_for_the_least_patience_alone() -> None:
    peers = [peer(number, promise=1.0) for number in range(8)]
    outcome = play(FanOut(10, {cid(1): 1.0}), peers, {device(number): 3.0 for number in range(3)})
    assert (outcome.took_ms, outcome.complete) == (LEAST_PATIENCE_MS, True)


def test_who_can_confirm_a_phrase_is_waited_for_until_it_is_confirmed() -> None:
    scores = {cid(number): 1.0 for number in range(10)}
    peers = [peer(number, promise=10.0 - number, confirms=number == 4) for number in range(8)]
    delays = {device(number): 400.0 if number == 4 else 3.0 for number in range(8)}
    outcome = play(FanOut(10, dict(scores)), peers, delays)
    assert (outcome.took_ms, outcome.complete) == (400.0, True)
    # Silent, it holds the query for a second, and for nothing where it was silent before.
    delays.pop(device(4))
    outcome = play(FanOut(10, dict(scores)), peers, delays)
    assert (outcome.took_ms, outcome.complete) == (CONFIRMING_MS, False)
    peers[4] = peer(4, confirms=True, silences=1)
    assert play(FanOut(10, dict(scores)), peers, delays).took_ms < LEAST_PATIENCE_MS
    # Another has confirmed it.
    fan = FanOut(10, dict(scores))
    fan.start([peer(1, confirms=True), peer(2)], 0.0)
    fan.confirm(())
    fan.answered(device(2), {}, 3.0)
    assert fan.tick(LEAST_PATIENCE_MS) == [Finished(complete=True)]


@pytest.mark.parametrize("unknown", [False, True])
@pytest.mark.parametrize("answering", [0, 1, 3])
def test_however_many_could_confirm_a_phrase_they_hold_a_query_once(unknown: bool, answering: int) -> None:
    """Eight at once, each held it for a second, and those who may know something new for two."""
    peers = [peer(number, promise=99.0 - number, unknown=unknown, confirms=True) for number in range(40)]
    delays = {device(number): 3.0 for number in range(answering)}
    outcome = play(FanOut(10, {cid(1): 1.0}), peers, delays)
    # A first answer of somebody who may know something new is waited for longer, on its own account.
    until = CONFIRMING_MS if answering or not unknown else CONFIRMING_MS + 3 * LEAST_PATIENCE_MS
    assert (outcome.took_ms, outcome.complete) == (until, False)
    assert len(outcome.asked) == MOST_NODES, "who is waited for to confirm alone keeps nobody's place"


def test_who_took_long_to_confirm_a_phrase_does_not_have_others_waited_for_as_long() -> None:
    peers = [peer(number, unknown=True, promise=9.0 - number, confirms=number == 1) for number in range(8)]
    delays = {device(0): 3.0, device(1): 900.0}
    outcome = play(FanOut(10, {}), peers, delays, {device(1): {cid(1): 1.0}})
    assert (outcome.took_ms, outcome.complete) == (900.0, False)


def test_only_those_are_waited_for_whose_texts_are_not_confirmed_yet() -> None:
    fan = FanOut(10, {cid(1): 1.0})
    first, second = peer(1, confirms=True), peer(2, confirms=True)
    fan.start([first, second, peer(3)], 0.0)
    fan.confirm({first.author, second.author})
    fan.answered(device(3), {}, 3.0)
    assert fan.tick(LEAST_PATIENCE_MS) == []
    fan.confirm({second.author})
    assert fan.tick(30.0) == []
    # All that it holds may be confirmed by itself, and its other texts by nobody.
    assert fan.answered(device(2), {}, 40.0) == [Finished(complete=True)]
    assert fan.silent() == [device(1)]


@pytest.mark.parametrize(
    ("took", "confirming", "slow"),
    [
        (3.0, True, False),
        (3.0, False, False),
        (400.0, True, False),
        (400.0, False, True),
        (990.0, True, True),
    ],
)
def test_who_held_a_query_to_confirm_a_phrase_does_not_hold_the_next(
    took: float, confirming: bool, slow: bool
) -> None:
    fan = FanOut(10, {cid(1): 1.0})
    one = peer(1, confirms=True)
    fan.start([one, peer(2)], 0.0)
    fan.answered(device(2), {}, 2.0)
    fan.confirm(() if confirming else {one.author})
    assert fan.answered(device(1), {}, took) == [Finished(complete=True)]
    assert fan.slow == {device(1): slow}
    again = FanOut(10, {cid(1): 1.0})
    again.start([peer(1, confirms=True, slow=slow), peer(2)], 0.0)
    again.answered(device(2), {}, 3.0)
    again.tick(LEAST_PATIENCE_MS)
    assert again.finished is slow
    assert bool(again.wake_at(LEAST_PATIENCE_MS) == CONFIRMING_MS) is not slow


def test_peers_that_were_silent_before_are_not_waited_for() -> None:
    peers = [peer(number, unknown=True, silences=int(number > 2)) for number in range(8)]
    outcome = play(FanOut(10, {cid(1): 1.0}), peers, {device(number): 3.0 for number in range(3)})
    assert (outcome.took_ms, outcome.complete) == (3.0, False)


def test_a_distant_peer_is_waited_for_as_its_distance_explains() -> None:
    far = peer(9, unknown=True, rtt_ms=150.0)
    near = [peer(number, unknown=True) for number in range(3)]
    delays = {device(number): 5.0 for number in range(3)}
    outcome = play(FanOut(10, {}), [*near, far], delays | {device(9): 320.0}, {device(9): {cid(1): 1.0}})
    assert (outcome.took_ms, outcome.complete, outcome.changes) == (320.0, True, 1)


@pytest.mark.parametrize("unknown", [False, True])
def test_silent_peers_far_away_cost_no_more_than_their_answers_would_have(unknown: bool) -> None:
    """Four round trips were 2.9 times the time of a query that all answer."""
    peers = [peer(number, unknown=unknown, rtt_ms=100.0) for number in range(8)]
    usual = 220.0 if unknown else 120.0
    hits = {cid(1): 1.0}
    everybody = play(FanOut(10, hits), peers, {device(number): usual for number in range(8)})
    some = play(FanOut(10, hits), peers, {device(number): usual for number in range(3)})
    assert (everybody.took_ms, everybody.complete) == (usual, True)
    assert some.took_ms <= _SLACK * usual
    assert some.complete is not unknown


def test_near_answers_end_a_query_that_only_far_and_silent_peers_hold() -> None:
    near = [peer(number) for number in range(3)]
    far = [peer(number, rtt_ms=100.0) for number in range(3, 8)]
    outcome = play(FanOut(10, {cid(1): 1.0}), near + far, {device(number): 31.0 for number in range(3)})
    assert (outcome.took_ms, outcome.complete) == (130.0, True)


def test_while_answers_change_the_top_the_others_get_more_time() -> None:
    peers = [peer(number, unknown=True) for number in range(3)]
    answers = {device(number): {cid(number): 1.0} for number in range(3)}
    delays = {device(0): 5.0, device(1): 6.0, device(2): LEAST_PATIENCE_MS + 20}
    fan = FanOut(10, {})
    outcome = play(fan, peers, delays, answers)
    assert (outcome.complete, len(fan.top())) == (True, 3)


def test_a_surprise_makes_the_silence_of_peers_thought_to_be_known_count() -> None:
    peers = [peer(number) for number in range(3)]
    surprised = play(FanOut(10, {}), peers, {device(0): 1.0}, {device(0): {cid(1): 1.0}})
    assert surprised.complete is False
    assert play(FanOut(10, {}), peers, {device(0): 1.0}).complete is True


def test_if_nobody_answers_it_ends_and_says_that_it_is_not_complete() -> None:
    outcome = play(FanOut(10, {}), [peer(number, unknown=True) for number in range(40)], {})
    assert outcome.complete is False
    assert len(outcome.asked) == MOST_NODES


def test_a_peer_that_fails_is_not_waited_for_and_another_takes_its_place() -> None:
    fan = FanOut(10, {}, Budget(nodes=1))
    first = fan.start([peer(1, unknown=True), peer(2, unknown=True)], 0.0)
    assert [effect.device for effect in first if isinstance(effect, AskPeer)] == [device(1)]
    second = fan.failed(device(1), 1.0)
    assert [effect.device for effect in second if isinstance(effect, AskPeer)] == [device(2)]
    assert fan.answered(device(2), {}, 2.0) == [Finished(complete=False)]
    assert (fan.asked, fan.answers) == (2, 1)


def test_once_settled_nobody_is_asked_whose_summaries_are_here() -> None:
    peers = [peer(number, promise=50.0 - number) for number in range(30)]
    delays = {device(number): 5.0 for number in range(30)}
    assert len(play(FanOut(10, {cid(1): 1.0}), peers, delays).asked) < 12
    strangers = [peer(number, unknown=True) for number in range(30)]
    assert len(play(FanOut(10, {cid(1): 1.0}), strangers, delays).asked) == 30


def test_once_the_top_is_full_and_settled_people_around_are_asked_no_more_and_strangers_are() -> None:
    full = {cid(number): 50.0 for number in range(10)}
    delays = {device(number): 5.0 + number for number in range(30)}
    around = [peer(number, unknown=True) for number in range(30)]
    assert len(play(FanOut(10, dict(full)), around, delays).asked) < 12
    strangers = [peer(number, unknown=True, distance=None) for number in range(30)]
    assert len(play(FanOut(10, dict(full)), strangers, delays).asked) == 30


def test_the_oftener_answers_bring_something_the_more_are_asked() -> None:
    full = {cid(number): 50.0 for number in range(10)}
    delays = {device(number): 5.0 + number for number in range(30)}
    around = [peer(number, unknown=True) for number in range(30)]

    def asked(bringing: int) -> int:
        answers = {device(number): {cid(100 + number): 60.0 + number} for number in range(bringing)}
        return len(play(FanOut(10, dict(full)), around, delays, answers).asked)

    numbers = [asked(bringing) for bringing in (0, 1, 3, 6, 12)]
    assert numbers == sorted(set(numbers))
    assert numbers[-1] < 30


def test_answers_merge_by_id_with_their_sources_and_the_best_score() -> None:
    fan = FanOut(2, {cid(1): 3.0})
    fan.start([peer(1), peer(2)], 0.0)
    assert fan.answered(device(1), {cid(1): 3.0, cid(2): 5.0}, 1.0) == [TopChanged()]
    assert fan.answered(device(2), {cid(2): 4.0, cid(3): 1.0}, 2.0) == [Finished(complete=True)]
    assert fan.top() == [cid(2), cid(1)]
    assert fan.sources[cid(2)] == {device(1), device(2)}


def test_answers_of_those_who_were_not_asked_or_come_too_late_count_for_nothing() -> None:
    fan = FanOut(10, {})
    fan.start([peer(1)], 0.0)
    assert fan.answered(device(2), {cid(1): 1.0}, 1.0) == []
    assert fan.silent() == [device(1)]
    assert fan.stop() == [Finished(complete=False)]
    assert fan.stop() == []
    assert fan.answered(device(1), {cid(1): 1.0}, 2.0) == []
    assert (fan.top(), fan.tick(3.0), fan.wake_at(3.0)) == ([], [], None)


def test_a_peer_that_forwards_may_take_longer_for_the_rest() -> None:
    fan = FanOut(10, {})
    fan.start([peer(1, unknown=True)], 0.0)
    assert fan.answered(device(1), {cid(1): 1.0}, 5.0, more=True) == [TopChanged()]
    assert fan.tick(100.0) == []
    assert fan.answered(device(1), {cid(2): 1.0}, 110.0) == [TopChanged(), Finished(complete=True)]


def test_one_peer_cannot_end_a_query_for_others_by_empty_parts() -> None:
    fan = FanOut(10, {cid(number): 1.0 for number in range(10)})
    first = peer(0, promise=100.0, rtt_ms=5.0)
    fan.start([first, *(peer(number, unknown=number % 2 == 0, rtt_ms=5.0) for number in range(1, 20))], 0.0)
    for number in range(6):
        fan.answered(device(0), {}, 1.0 + number, more=True)
    assert device(0) not in fan.silent(), "there are two parts at most, whatever it announces"
    asked = fan.asked
    for now in range(20, 400, 5):
        fan.tick(float(now))
    assert fan.asked == 20 > asked


def test_with_many_peers_nobody_passes_on_what_may_be_known_here() -> None:
    full = {cid(number): 10.0 + number for number in range(10)}
    few = dict(list(full.items())[:9])
    delays = {device(number): 5.0 for number in range(12)}

    def budgets(
        known: Mapping[Cid, float], peers: int, answers: Mapping[DeviceId, Mapping[Cid, float]]
    ) -> list[int]:
        found = [peer(number, unknown=True) for number in range(peers)]
        return [one.nodes for one in play(FanOut(10, dict(known)), found, delays, answers).budgets]

    assert budgets(full, 12, {})[:AT_ONCE] == [0] * AT_ONCE
    # Those who can all be asked at once are few: who is behind them may be many.
    assert budgets(full, 4, {}) == [7] * 4
    # Something is missing for certain, or as an answer shows.
    assert set(budgets(few, 12, {})) == {1}
    surprise = {device(number): {cid(50 + number): 100.0} for number in range(12)}
    assert budgets(full, 12, surprise) == [0] * AT_ONCE + [1] * 4
    # Of more peers none would get a node of the whole; of what the first have left over the others do.
    surprise = {device(number): {cid(50 + number): 100.0} for number in range(18)}
    delays = dict.fromkeys(surprise, 5.0)
    assert budgets(full, 18, surprise) == [0] * AT_ONCE + [1] * 10


def test_the_budget_is_divided_and_ends_after_two_hops() -> None:
    whole = Budget()
    near = whole.divided(4)
    assert near == Budget(nodes=7, bytes=16 * 1024, hops=1)
    far = near.divided(3)
    assert far == Budget(nodes=1, bytes=16 * 1024 // 3, hops=0)
    assert FanOut(10, {}, far).start([peer(1)], 0.0) == [Finished(complete=True)]
    assert Budget(1000, 2**24, 16).capped() == whole


@given(st.integers(0, 40), st.integers(0, 40), st.integers(0, 2), st.integers(0, 2**20))
def test_however_a_budget_is_divided_the_parts_cost_no_more_than_the_whole(
    peers: int, nodes: int, hops: int, size: int
) -> None:
    def spent(budget: Budget) -> int:
        """Nodes asked by one who has as many peers as it likes, and by all behind it."""
        fan = FanOut(10, {}, budget)
        outcome = play(fan, [peer(number, unknown=True) for number in range(peers)], {})
        assert sum(part.bytes for part in outcome.budgets) <= budget.bytes
        assert all(part.hops == budget.hops - 1 for part in outcome.budgets)
        return sum(1 + spent(part) for part in outcome.budgets)

    assert spent(Budget(nodes, size, hops)) <= nodes


candidates = st.builds(
    peer,
    st.integers(0, 60),
    promise=st.floats(0, 100),
    unknown=st.booleans(),
    rtt_ms=st.none() | st.floats(0, 500),
    distance=st.none() | st.integers(1, 3),
    silences=st.integers(0, 3),
    confirms=st.booleans(),
    slow=st.booleans(),
)


@given(
    st.lists(candidates, max_size=50, unique_by=lambda candidate: candidate.device),
    st.dictionaries(st.integers(0, 60).map(device), st.floats(0, 2000), max_size=50),
    st.dictionaries(
        st.integers(0, 60).map(device),
        st.dictionaries(st.integers(0, 30).map(cid), st.floats(0, 50), max_size=8),
        max_size=50,
    ),
)
def test_whatever_peers_do_a_query_ends_within_its_bounds(
    peers: list[Candidate],
    delays: dict[DeviceId, float],
    answers: dict[DeviceId, dict[Cid, float]],
) -> None:
    fan = FanOut(10, {cid(1): 1.0})
    outcome = play(fan, peers, delays, answers)
    assert len(outcome.asked) == len(set(outcome.asked)) <= MOST_NODES
    assert set(outcome.asked) <= {candidate.device for candidate in peers}
    assert outcome.complete is not None
    assert len(fan.top()) <= 10
    assert set(outcome.asked[:AT_ONCE]) >= set(outcome.asked[: min(AT_ONCE, len(peers))])


def test_a_query_that_comes_round_again_is_known() -> None:
    seen = SeenQueries(most=2)
    assert [seen.is_new(query) for query in (b"a", b"b", b"a", b"c", b"a")] == [True, True, False, True, True]
