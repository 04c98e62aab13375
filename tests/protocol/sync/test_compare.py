"""Comparing: whatever two sides hold and want, each finds exactly what it lacks, and then nothing more."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pkn_protocol.channel import messages as m
from pkn_protocol.channel.codec import Stage, decode_message, encode_message
from pkn_protocol.channel.errors import ChannelError
from pkn_protocol.records.ids import AuthorId, Cid, DeviceId, dag_cbor_cid
from pkn_protocol.records.signing import Ed25519Key
from pkn_protocol.sync.compare import Ended, Initiator, Key, Lacking, NeedIds, Responder, root_of
from pkn_protocol.sync.sums import (
    HOUR_MS,
    MOST_AHEAD_MS,
    PeriodSum,
    comparison_instant,
    counts_at,
    period_of,
    sum_of,
)
from pkn_protocol.sync.wants import PairKey, PeerWant, changed_by, common, want_changes, whole_want

ids = st.integers(0, 60).map(lambda number: dag_cbor_cid(b"%d" % number))
rows = st.tuples(st.sampled_from([b"", b"s" * 16]), st.sampled_from([b"a" * 8, b"b" * 8]), st.integers(0, 3))
holdings = st.dictionaries(rows, st.frozensets(ids, min_size=1, max_size=20), max_size=8)
Holding = dict[Key, frozenset[Cid]]


def sums(holding: Holding) -> dict[Key, tuple[int, bytes]]:
    totals = {row: sum_of(list(found)) for row, found in holding.items()}
    return {row: (total.count, total.digest()) for row, total in totals.items()}


def listed(holding: Holding, wanted: tuple[Key, ...]) -> dict[Key, list[Cid]]:
    return {row: sorted(holding.get(row, frozenset())) for row in wanted}


def over_the_wire(messages: Iterator[m.Message]) -> list[m.Message]:
    return [decode_message(encode_message(m.Envelope(message)), Stage.OPEN).message for message in messages]


def compare(one: Holding, other: Holding) -> tuple[set[Cid], set[Cid]]:
    """What each side finds that it lacks."""
    a = Initiator(1, at=HOUR_MS, mine=1, yours=1, sums=sums(one))
    b = Responder(a.start(), sums(other))
    if b.same:
        assert a.same() is Ended.SAME
        return set(), set()
    need: NeedIds | Ended | None = None
    for message in over_the_wire(b.start()):
        assert isinstance(message, m.Sums)
        need = a.receive_sums(message)
    assert isinstance(need, NeedIds)
    asked: NeedIds | None = None
    for message in over_the_wire(a.own_ids(listed(one, need.rows))):
        assert isinstance(message, m.Ids)
        asked = b.receive_ids(message)
    assert asked is not None
    replies, lacking_b = b.own_ids(listed(other, asked.rows))
    lacking_a: Lacking | None = None
    for message in over_the_wire(replies):
        assert isinstance(message, m.Ids)
        lacking_a = a.receive_ids(message)
    assert lacking_a is not None
    return set(lacking_a.ids), set(lacking_b.ids)


@given(holdings, holdings)
def test_each_side_finds_what_it_lacks_and_a_second_comparison_finds_nothing(
    one: Holding, other: Holding
) -> None:
    lacking_one, lacking_other = compare(one, other)
    for row in {**one, **other}:
        mine, theirs = one.get(row, frozenset()), other.get(row, frozenset())
        assert theirs - mine <= lacking_one
        assert mine - theirs <= lacking_other
    assert lacking_one <= {cid for found in other.values() for cid in found}
    union = {row: one.get(row, frozenset()) | other.get(row, frozenset()) for row in {**one, **other}}
    assert compare(union, dict(union)) == (set(), set())


def test_long_lists_go_in_several_messages() -> None:
    many = {(b"", b"a" * 8, 5): frozenset(dag_cbor_cid(b"%d" % n) for n in range(10_000))}
    lacking_one, lacking_other = compare(many, {})
    assert (len(lacking_one), len(lacking_other)) == (0, 10_000)


def test_standing_records_are_fetched_first_then_the_newest() -> None:
    held = {(b"", b"a" * 8, period): frozenset([dag_cbor_cid(b"%d" % period)]) for period in (0, 5, 9)}
    a = Initiator(1, at=0, mine=1, yours=1, sums={})
    [message] = Responder(a.start(), sums(held)).start()
    assert isinstance(message, m.Sums)
    need = a.receive_sums(message)
    assert isinstance(need, NeedIds)
    list(a.own_ids(listed({}, need.rows)))
    lists = tuple(m.IdList(*row, tuple(held[row])) for row in held)
    lacking = a.receive_ids(m.Ids(1, lists, more=False))
    assert lacking is not None
    assert lacking.ids == tuple(dag_cbor_cid(b"%d" % period) for period in (0, 9, 5))


def test_a_peer_that_says_more_than_it_was_asked_changes_nothing() -> None:
    a = Initiator(1, at=0, mine=1, yours=1, sums={})
    assert a.receive_sums(m.Sums(1, (), more=False)) is Ended.SAME
    with pytest.raises(ChannelError):
        a.receive_sums(m.Sums(1, (), more=False))
    b = Initiator(1, at=0, mine=1, yours=1, sums={})
    with pytest.raises(ChannelError):
        b.receive_ids(m.Ids(1, (), more=False))


@given(st.lists(ids, unique=True), st.randoms())
def test_sums_do_not_depend_on_order_and_can_be_taken_back(found: list[Cid], random: object) -> None:
    total = PeriodSum()
    for cid in found:
        total = total.with_id(cid)
    backwards = PeriodSum()
    for cid in reversed(found):
        backwards = backwards.with_id(cid)
    assert total == backwards == sum_of(found)
    for cid in found:
        total = total.without_id(cid)
    assert total == PeriodSum()


def test_the_root_notices_every_part_of_a_row() -> None:
    base = {(b"", b"a" * 8, 5): (1, b"d" * 32)}
    others = [
        {(b"s" * 16, b"a" * 8, 5): (1, b"d" * 32)},
        {(b"", b"b" * 8, 5): (1, b"d" * 32)},
        {(b"", b"a" * 8, 6): (1, b"d" * 32)},
        {(b"", b"a" * 8, 5): (2, b"d" * 32)},
        {(b"", b"a" * 8, 5): (1, b"e" * 32)},
        {},
    ]
    assert len({root_of(base), *map(root_of, others)}) == 7


@pytest.mark.parametrize(
    ("time", "period"),
    [(0, 1), (1_764_000_000_000, 671), (1_764_547_200_000 - 1, 671), (1_764_547_200_000, 672)],
)
def test_periods_are_months_in_utc(time: int, period: int) -> None:
    assert period_of(False, time) == period
    assert period_of(True, time) == 0
    assert period_of(False, 2**48) > 0


@given(st.integers(0, 2**45))
def test_a_comparison_counts_what_clocks_ten_minutes_ahead_have_written(now: int) -> None:
    at = comparison_instant(now)
    assert at % HOUR_MS == 0
    assert now + MOST_AHEAD_MS < at <= now + MOST_AHEAD_MS + HOUR_MS
    assert counts_at(now + MOST_AHEAD_MS, None, at)
    assert not counts_at(at + 1, None, at)
    assert not counts_at(0, at, at)


ANN, BEN = (Ed25519Key.from_seed(bytes((n,)) * 32) for n in (1, 2))
KEY = PairKey.of(ANN, DeviceId(BEN.public))
authors = st.integers(0, 20).map(lambda number: AuthorId(bytes((number,)) * 32))
wants = st.dictionaries(authors, st.none() | st.tuples(st.integers(0, 100), ids), max_size=12)


def test_both_sides_hash_an_author_alike_and_others_do_not() -> None:
    author = AuthorId(b"a" * 32)
    assert PairKey.of(BEN, DeviceId(ANN.public)).hash(author) == KEY.hash(author)
    eve = Ed25519Key.from_seed(b"\x03" * 32)
    assert PairKey.of(eve, DeviceId(BEN.public)).hash(author) != KEY.hash(author)


@given(wants, wants)
def test_changes_to_a_want_arrive_at_the_same_as_telling_it_anew(
    before: dict[AuthorId, tuple[int, Cid] | None], after: dict[AuthorId, tuple[int, Cid] | None]
) -> None:
    known = PeerWant()
    for message in whole_want(1, before, KEY):
        known = changed_by(known, message)
    change = want_changes(1, before, after, KEY)
    assert change is not None
    known = changed_by(known, change)
    anew = PeerWant()
    for message in whole_want(2, after, KEY):
        anew = changed_by(anew, message)
    assert known == anew


@given(wants, wants)
def test_what_is_compared_is_the_same_on_both_sides(
    one: dict[AuthorId, tuple[int, Cid] | None], other: dict[AuthorId, tuple[int, Cid] | None]
) -> None:
    told_one, told_other = PeerWant(), PeerWant()
    for message in whole_want(1, one, KEY):
        told_one = changed_by(told_one, message)
    for message in whole_want(1, other, KEY):
        told_other = changed_by(told_other, message)
    assert common(one, told_other, KEY) == common(other, told_one, KEY)
    assert set(common(one, told_other, KEY)) == one.keys() & other.keys()


def test_changes_to_a_version_that_was_not_told_are_an_error() -> None:
    with pytest.raises(ChannelError):
        changed_by(PeerWant(), m.Want(3, 2, ()))
