"""What is lacking is asked for once, in order, in bounded portions; what fails is asked for again."""

from __future__ import annotations

import random
from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pkn_protocol.channel.messages import MOST_FETCHED, Fetch
from pkn_protocol.records.ids import AuthorId, ShortId, dag_cbor_cid, short_id
from pkn_protocol.sync.compare import LackingRow
from pkn_protocol.sync.facts import Horizon, Progress
from pkn_protocol.sync.fetching import ASKED_MS, CLAIM_MS, MOST_REQUESTS, PATIENCE_MS, Claims, Fetching

NOW = 1_000_000


def author(number: int) -> AuthorId:
    return AuthorId(sha256(b"%d" % number).digest())


AUTHORS = {author(number)[:8]: author(number) for number in range(5)}
DISTANCES = {author(number): number for number in range(5)}


def row(number: int, period: int, count: int) -> LackingRow:
    hashed = author(number)[:8]
    names = (sha256(b"%d %d %d" % (number, period, at)).digest()[:8] for at in range(count))
    return LackingRow(b"", hashed, period, tuple(map(ShortId, names)))


def names_in(fetch: Fetch) -> list[tuple[bytes, bytes]]:
    return [(part.author, short) for part in fetch.shorts for short in part.shorts]


@pytest.mark.parametrize(
    ("rows", "order"),
    [
        # Standing records of all before anything else, though they are of the farthest.
        ([(1, 650, 3), (4, 0, 2)], [(4, 0), (1, 650)]),
        # The nearest author before a newer period of one farther away.
        ([(3, 660, 3), (1, 640, 3)], [(1, 640), (3, 660)]),
        # Of one author the newest period first.
        ([(1, 640, 3), (1, 650, 3), (1, 645, 3)], [(1, 650), (1, 645), (1, 640)]),
    ],
)
def test_the_order_of_fetching(rows: list[tuple[int, int, int]], order: list[tuple[int, int]]) -> None:
    fetching = Fetching(Claims())
    fetching.lacking([row(*one) for one in rows], AUTHORS.get, DISTANCES)
    counts = {(number, period): count for number, period, count in rows}
    asked: list[tuple[bytes, bytes]] = []
    for request in range(10):
        fetch = fetching.next_fetch(request, NOW, 1000)
        if fetch is not None:
            asked += names_in(fetch)
        fetching.replied(request, 0, NOW, more=False)
    expected = [
        (author(number)[:8], short)
        for number, period in order
        for short in row(number, period, counts[number, period]).ids
    ]
    assert asked == expected


def test_requests_are_bounded_in_number_and_size_and_standing_ones_go_apart() -> None:
    fetching = Fetching(Claims())
    fetching.lacking([row(1, 0, 10), row(1, 600, 5000)], AUTHORS.get, DISTANCES)
    sizes = []
    for number in range(10):
        fetch = fetching.next_fetch(number, NOW, 10_000)
        if fetch is not None:
            sizes.append(len(names_in(fetch)))
    assert sizes == [10, *[MOST_FETCHED] * (MOST_REQUESTS - 1)]
    before = fetching.standing_under_way
    assert fetching.replied(0, 10, NOW, more=False) is True
    assert (before, fetching.standing_under_way) == (True, False)
    fetch = fetching.next_fetch(11, NOW, 7)
    assert fetch is not None
    assert len(names_in(fetch)) == 7
    assert fetching.next_fetch(12, NOW, 7) is None


def test_progress_counts_what_is_known_to_be_lacking_until_all_has_come() -> None:
    fetching = Fetching(Claims())
    assert fetching.progress == Progress()
    fetching.lacking([row(1, 600, 300)], AUTHORS.get, DISTANCES)
    assert fetching.progress == Progress(0, 300)
    fetching.next_fetch(1, NOW, 1000)
    fetching.next_fetch(2, NOW, 1000)
    fetching.replied(1, 100, NOW, more=True)
    assert fetching.progress == Progress(100, 300)
    fetching.replied(1, 156, NOW, more=False)
    assert fetching.progress == Progress(256, 300)
    fetching.replied(2, 44, NOW, more=False)
    assert fetching.progress == Progress()


def test_what_one_connection_fetches_another_does_not_until_it_fails_or_takes_too_long() -> None:
    claims = Claims()
    one, other = Fetching(claims), Fetching(claims)
    lacking = [row(1, 600, 5)]
    one.lacking(lacking, AUTHORS.get, DISTANCES)
    other.lacking(lacking, AUTHORS.get, DISTANCES)
    assert one.next_fetch(1, NOW, 100) is not None
    assert other.next_fetch(1, NOW, 100) is None
    assert other.passed_over
    assert one.overdue(NOW + PATIENCE_MS - 1) == []
    assert one.overdue(NOW + PATIENCE_MS) == [1]
    assert one.failed(1)
    assert one.passed_over
    other.lacking(lacking, AUTHORS.get, DISTANCES)
    fetch = other.next_fetch(2, NOW, 100)
    assert fetch is not None
    assert len(names_in(fetch)) == 5
    one.lacking(lacking, AUTHORS.get, DISTANCES)
    assert one.next_fetch(3, NOW + CLAIM_MS - 1, 100) is None
    one.lacking(lacking, AUTHORS.get, DISTANCES)
    assert one.next_fetch(4, NOW + CLAIM_MS, 100) is not None


def test_rows_of_authors_that_are_not_wanted_are_passed_over() -> None:
    fetching = Fetching(Claims())
    fetching.lacking([LackingRow(b"", b"somebody", 600, (ShortId(b"12345678"),))], AUTHORS.get, DISTANCES)
    assert fetching.idle


@settings(max_examples=80, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    rows=st.lists(
        st.tuples(st.integers(0, 4), st.integers(0, 6), st.integers(1, 700)),
        max_size=8,
        unique_by=lambda one: one[:2],
    ),
)
def test_over_several_connections_each_record_is_asked_for_and_once_if_nothing_fails(
    seed: int, rows: list[tuple[int, int, int]]
) -> None:
    chance = random.Random(seed)
    claims = Claims()
    queues = [Fetching(claims) for _ in range(3)]
    lacking = [row(*one) for one in rows]
    for queue in queues:
        queue.lacking(lacking, AUTHORS.get, DISTANCES)
    asked: list[tuple[bytes, bytes]] = []
    open_requests: list[tuple[Fetching, int]] = []
    number = 0
    while not all(queue.idle for queue in queues):
        queue = chance.choice(queues)
        number += 1
        fetch = queue.next_fetch(number, NOW, chance.randint(0, 600))
        if fetch is not None:
            assert len(names_in(fetch)) <= MOST_FETCHED
            asked += names_in(fetch)
            open_requests.append((queue, number))
        elif open_requests:
            answered, which = open_requests.pop(chance.randrange(len(open_requests)))
            answered.replied(which, 1, NOW, more=False)
    expected = {(one.author, name) for one in lacking for name in one.ids}
    assert len(asked) == len(set(asked))
    assert set(asked) == expected


def test_what_came_of_somebody_whose_records_were_deleted_is_asked_for_again() -> None:
    """As after a block that is taken back within a minute."""
    claims = Claims()
    fetching = Fetching(claims)
    before = Horizon(author(0), DISTANCES)
    others = {who: distance for who, distance in DISTANCES.items() if who != author(1)}
    blocking = Horizon(author(0), others, frozenset({author(1)}))
    for number in (1, 2):
        fetching.lacking([row(number, 1, 2)], AUTHORS.get, DISTANCES)
        assert fetching.next_fetch(number, NOW, 10) is not None
        fetching.replied(number, 2, NOW, more=False)
    assert blocking.less_kept_than(before) == {author(1)}
    assert before.less_kept_than(blocking) == set()
    claims.forget(blocking.less_kept_than(before))
    for number, again in ((1, True), (2, False)):
        fetching.lacking([row(number, 1, 2)], AUTHORS.get, DISTANCES)
        assert (fetching.next_fetch(10 + number, NOW + 1, 10) is not None) is again


def test_what_came_another_way_meanwhile_is_not_fetched() -> None:
    claims = Claims()
    fetching = Fetching(claims)
    by, ids = author(1), [dag_cbor_cid(b"%d" % number) for number in range(10)]
    lacking = LackingRow(b"", by[:8], 600, tuple(map(short_id, ids)))
    fetching.lacking([lacking], AUTHORS.get, DISTANCES)
    claims.came([(by, cid) for cid in ids[:4]], NOW)
    fetch = fetching.next_fetch(1, NOW, 100)
    assert fetch is not None
    assert names_in(fetch) == [(by[:8], short_id(cid)) for cid in ids[4:]]
    # Nothing is left to others, so that no further comparison is needed.
    assert not fetching.passed_over
    assert not claims.has_come((by, short_id(ids[0])), NOW + 120_000)


def test_what_a_neighbour_was_asked_for_by_its_announced_id_is_not_fetched_meanwhile() -> None:
    claims = Claims()
    lacking = row(1, 650, 3)
    asked = ShortId(lacking.ids[1])
    claims.asked(author(1), [asked], NOW)
    fetching = Fetching(claims)
    fetching.lacking([lacking], AUTHORS.get, DISTANCES)
    fetch = fetching.next_fetch(1, NOW, 100)
    assert fetch is not None
    assert [short for _, short in names_in(fetch)] == [lacking.ids[0], lacking.ids[2]]
    assert fetching.was_asked
    assert not fetching.passed_over
    # It did not come, and the next comparison finds it lacking still.
    fetching.replied(1, 2, NOW, more=False)
    fetching.lacking([LackingRow(b"", lacking.author, 650, (asked,))], AUTHORS.get, DISTANCES)
    later = fetching.next_fetch(2, NOW + ASKED_MS, 100)
    assert later is not None and names_in(later) == [(lacking.author, asked)]


def test_whoever_announces_a_record_ever_again_and_never_gives_it_keeps_nobody_else_from_giving_it() -> None:
    claims = Claims()
    lacking = row(1, 650, 1)
    fetchable = 0
    for second in range(600):
        now = NOW + 1000 * second
        # A neighbour announces it each second, and is asked for it.
        claims.asked(author(1), [ShortId(lacking.ids[0])], now)
        fetchable += not claims.is_asked((author(1), lacking.ids[0]), now + 500)
    assert fetchable > 0.9 * 600


def test_what_came_is_counted_though_nothing_is_lacking_any_more() -> None:
    """Whether a comparison bore fruit is asked when all that it found was fetched."""
    fetching = Fetching(Claims())
    fetching.lacking([row(1, 650, 3)], AUTHORS.get, DISTANCES)
    assert fetching.next_fetch(1, NOW, 100) is not None
    fetching.replied(1, 3, NOW, more=False)
    assert fetching.idle
    assert fetching.came == 3
    fetching.lacking([], AUTHORS.get, DISTANCES)
    assert fetching.came == 0
