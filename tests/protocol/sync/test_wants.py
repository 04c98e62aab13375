"""Wants: told once and then as changes, the same on both sides, meaningless to others."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pkn_protocol.channel import messages as m
from pkn_protocol.channel.errors import ChannelError
from pkn_protocol.records.ids import AuthorId, Cid, DeviceId, dag_cbor_cid
from pkn_protocol.records.signing import Ed25519Key
from pkn_protocol.sync.wants import PairKey, PeerWant, changed_by, common, want_changes, whole_want

ids = st.integers(0, 60).map(lambda number: dag_cbor_cid(b"%d" % number))
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


def test_changes_to_a_version_that_was_not_told_change_nothing_and_a_whole_want_does() -> None:
    known = changed_by(PeerWant(), m.Want(1, 0, (m.WantEntry(b"1" * 8),)))
    assert changed_by(known, m.Want(4, 3, (m.WantEntry(b"2" * 8),))) == known
    assert changed_by(known, m.Want(5, 0, (m.WantEntry(b"3" * 8),))).floors.keys() == {b"3" * 8}


def test_a_whole_want_takes_the_place_of_one_whose_end_was_lost() -> None:
    first, _ = whole_want(1, {AuthorId(b"%032d" % n): None for n in range(5000)}, KEY)
    known = changed_by(PeerWant(), first)
    assert known.partial
    assert changed_by(known, m.Want(2, 1, ())) == known
    assert changed_by(known, m.Want(3, 0, ())) == PeerWant(3, {})


def test_more_authors_than_anybody_has_are_an_error() -> None:
    with pytest.raises(ChannelError):
        changed_by(PeerWant(), m.Want(1, 0, tuple(m.WantEntry(b"%08d" % n) for n in range(65_537))))
