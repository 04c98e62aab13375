"""What is news to whom, in how many lines, and that nothing is passed over as seen that was not shown."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pkn_protocol.records.ids import AuthorId, Cid
from pkn_protocol.search.experts import ASKED, Expert, may_know
from pkn_protocol.search.news import BUNDLE_ABOVE, Arrival, Piece, Reason, lines_of, reason_for

BEN, CARA, ME = (AuthorId(bytes([number]) * 32) for number in (1, 2, 3))


@pytest.mark.parametrize(
    ("arrival", "knows", "reason"),
    [
        (Arrival(own=True, trusted=True, took_part=True, later=True), True, None),
        (Arrival(own=False, trusted=False), True, None),
        (Arrival(own=False, trusted=True), True, Reason.PUBLISHED),
        (Arrival(own=False, trusted=True, later=True), False, Reason.PUBLISHED),
        (Arrival(own=False, trusted=False, later=True, took_part=True), False, Reason.VERSION),
        (Arrival(own=False, trusted=True, later=True, took_part=True, question=True), True, Reason.VERSION),
        (Arrival(own=False, trusted=True, took_part=True), False, Reason.PUBLISHED),
        (Arrival(own=False, trusted=True, question=True), True, Reason.QUESTION),
        (Arrival(own=False, trusted=True, question=True), False, Reason.PUBLISHED),
        (Arrival(own=False, trusted=False, question=True), True, None),
        (Arrival(own=False, trusted=True, question=True, later=True), True, Reason.PUBLISHED),
    ],
)
def test_why_something_is_news(arrival: Arrival, knows: bool, reason: Reason | None) -> None:
    assert reason_for(arrival, lambda: knows) is reason


def test_what_the_reader_knows_is_looked_up_for_questions_of_trusted_people_alone() -> None:
    def asked() -> bool:
        raise AssertionError("asked in vain")

    for own, trusted, later in itertools.product((True, False), repeat=3):
        reason_for(Arrival(own=own, trusted=trusted, later=later), asked)
    reason_for(Arrival(own=False, trusted=False, question=True), asked)


def expert(author: AuthorId, score: float) -> Expert:
    return Expert(author, score, (Cid(bytes(36)),))


@pytest.mark.parametrize(
    ("ranked", "knows"),
    [
        ([], False),
        ([expert(ME, 1.0)], True),
        ([expert(CARA, 4.0), expert(ME, 1.0)], True),
        ([expert(CARA, 4.0), expert(ME, 0.9)], False),
        # Who asks knows a lot of words about it, and is not counted.
        ([expert(BEN, 400.0), expert(ME, 1.0)], True),
        ([expert(BEN, 4.0)], False),
        ([*(expert(AuthorId(bytes([n]) * 32), 2.0) for n in range(10, 10 + ASKED)), expert(ME, 2.0)], False),
    ],
)
def test_who_may_know(ranked: list[Expert], knows: bool) -> None:
    assert may_know(ranked, ME, BEN) is knows


def pieces(
    number: int, author: AuthorId = BEN, reason: Reason = Reason.PUBLISHED, start: int = 1
) -> list[Piece]:
    return [Piece(start + n, author, 1000 * (start + n), reason) for n in range(number)]


def test_a_few_items_are_a_line_each_newest_first() -> None:
    told = lines_of(pieces(BUNDLE_ABOVE), limit=100)
    assert [line.newest.seq for line in told.lines] == [5, 4, 3, 2, 1]
    assert {line.count for line in told.lines} == {1}


def test_a_thousand_items_of_one_person_are_one_line_and_others_stay_apart() -> None:
    told = lines_of([*pieces(1000), *pieces(2, CARA, start=2000)], limit=100)
    assert [(line.newest.author, line.count) for line in told.lines] == [(CARA, 1), (CARA, 1), (BEN, 1000)]
    assert told.lines[-1].newest.seq == 1000
    assert (told.left, told.upto) == (0, 2001)


def test_without_bundling_each_item_has_its_line() -> None:
    assert len(lines_of(pieces(1000), limit=1000, bundle_above=None).lines) == 1000


def test_the_most_personal_comes_first() -> None:
    given_ = [
        Piece(1, BEN, 40, Reason.PUBLISHED),
        Piece(2, BEN, 30, Reason.MATCH, ("drag",)),
        Piece(3, BEN, 20, Reason.QUESTION),
        Piece(5, BEN, 60, Reason.CUTTING),
        Piece(6, BEN, 50, Reason.COMMENT),
        Piece(4, BEN, 10, Reason.VERSION),
    ]
    assert [line.newest.reason for line in lines_of(given_, limit=9).lines] == list(Reason)


def test_matches_are_bundled_by_the_first_question_that_they_match_whoever_wrote_them() -> None:
    found = [Piece(n, AuthorId(bytes([n]) * 32), n, Reason.MATCH, ("drag",)) for n in range(1, 9)]
    found.append(Piece(9, BEN, 9, Reason.MATCH, ("drag", "lift")))
    found.append(Piece(10, BEN, 10, Reason.MATCH, ("lift",)))
    assert [line.count for line in lines_of(found, limit=9).lines] == [1, 9]


def test_bundles_are_made_sooner_where_there_is_little_room() -> None:
    people = [AuthorId(bytes([n]) * 32) for n in range(1, 5)]
    found = [piece for n, one in enumerate(people) for piece in pieces(3, one, start=10 * n + 1)]
    assert [line.count for line in lines_of(found, limit=4).lines] == [3, 3, 3, 3]


_PIECES = st.lists(
    st.builds(
        lambda author, time, reason, watch: (AuthorId(bytes([author]) * 32), time, reason, watch),
        st.integers(0, 4),
        st.integers(0, 50),
        st.sampled_from(Reason),
        st.sampled_from(["a", "b"]),
    ),
    max_size=60,
).map(
    lambda drawn: [
        Piece(seq, author, time, reason, (watch,) if reason is Reason.MATCH else ())
        for seq, (author, time, reason, watch) in enumerate(drawn, 1)
    ]
)


@given(_PIECES, st.integers(1, 20), st.sampled_from([None, 1, BUNDLE_ABOVE]))
def test_looking_until_nothing_is_left_shows_everything(
    given_: list[Piece], limit: int, above: int | None
) -> None:
    """However little is shown at once, what was marked as seen was in a line, and it comes to an end."""
    left = list(given_)
    for _ in range(len(given_) + 1):
        if not left:
            break
        told = lines_of(left, limit=limit, bundle_above=above)
        assert 0 < len(told.lines) <= limit
        gone = [piece for piece in left if piece.seq <= told.upto]
        assert gone
        shown = sum(line.count for line in told.lines)
        assert shown >= len(gone)
        assert {line.newest for line in told.lines} <= set(left)
        for piece in gone:
            assert any(
                line.newest == piece
                or (line.count > 1 and line.newest.reason is piece.reason and line.first <= piece.seq)
                for line in told.lines
            )
        left = [piece for piece in left if piece.seq > told.upto]
    assert not left
