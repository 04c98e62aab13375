"""Distances and weights: who is near, and that no crowd weighs more than a person."""

from __future__ import annotations

from math import isclose

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pkn_protocol.records.ids import AuthorId
from pkn_protocol.trust.graph import distances, shares, weights

PEOPLE = [AuthorId(bytes([number]) * 32) for number in range(9)]
ME, A, B, C, D = PEOPLE[:5]
CROWD = [AuthorId(number.to_bytes(4, "big") + b"crowd".ljust(28)) for number in range(10_000)]

people = st.sampled_from(PEOPLE)
groups = st.frozensets(people, max_size=5)
graphs = st.dictionaries(people, groups, max_size=9)


def test_distance_counts_the_steps_of_trust_and_vouches_up_to_the_horizon() -> None:
    vouches = {A: {B}, B: {C}, C: {D}}
    assert distances(ME, {A}, set(), vouches) == {ME: 0, A: 1, B: 2, C: 3}
    assert distances(ME, {A}, set(), vouches, horizon=1) == {ME: 0, A: 1}


def test_the_shortest_way_to_a_person_counts() -> None:
    assert distances(ME, {A, B}, set(), {A: {B, C}, C: {D}, B: {D}})[D] == 2


def test_who_is_blocked_is_not_near_and_leads_to_nobody() -> None:
    vouches = {A: {B, C}, B: {D}}
    assert distances(ME, {A}, {B}, vouches) == {ME: 0, A: 1, C: 2}
    assert distances(ME, {A}, {A}, vouches) == {ME: 0}
    assert weights(ME, {A}, {B}, vouches).keys() == {A, C}


def test_ones_own_vouches_are_for_others_to_read() -> None:
    assert distances(ME, set(), set(), {ME: {A}}) == {ME: 0}


def test_a_voucher_hands_on_half_of_its_weight_split_evenly() -> None:
    assert weights(ME, {A}, set(), {A: {B, C}, B: {D}}) == {A: 1.0, B: 0.25, C: 0.25, D: 0.125}


def test_the_best_way_to_a_person_counts_even_if_it_is_longer() -> None:
    found = weights(ME, {A, B}, set(), {A: {C, *CROWD}, B: {D}, D: {C}})
    assert found[C] == 0.25


def test_who_was_judged_by_the_reader_takes_nothing_of_what_a_voucher_hands_on() -> None:
    assert weights(ME, {A, B}, {D}, {A: {A, B, C, D, ME}})[C] == 0.5


@pytest.mark.parametrize("shape", ["beside each other", "in two layers", "all for all"])
def test_a_crowd_of_ten_thousand_behind_one_voucher_weighs_no_more_than_one_person(shape: str) -> None:
    crowd = CROWD
    vouches = {
        "beside each other": {A: crowd},
        "in two layers": {A: crowd[:100]}
        | {crowd[n]: crowd[100 + 99 * n : 199 + 99 * n] for n in range(100)},
        "all for all": {A: crowd} | dict.fromkeys(crowd[:50], crowd),
    }[shape]
    found = weights(ME, {A, B}, set(), vouches)
    assert len(found) == 10_002
    assert sum(found[person] for person in crowd) < found[A] == found[B]
    divided = shares(ME, {A, B}, set(), vouches)
    assert sum(divided[person] for person in crowd) < divided[B]


@given(graphs, groups, groups, people)
def test_all_who_are_reached_through_one_voucher_alone_weigh_less_than_it(
    vouches: dict[AuthorId, frozenset[AuthorId]],
    trusted: frozenset[AuthorId],
    blocked: frozenset[AuthorId],
    voucher: AuthorId,
) -> None:
    found = weights(ME, trusted, blocked, vouches)
    without = weights(ME, trusted, blocked | {voucher}, vouches)
    behind = found.keys() - without.keys() - {voucher}
    assert sum(found[person] for person in behind) < found.get(voucher, 1e-9)


@given(graphs, groups, groups)
def test_who_weighs_something_is_who_is_within_the_horizon(
    vouches: dict[AuthorId, frozenset[AuthorId]],
    trusted: frozenset[AuthorId],
    blocked: frozenset[AuthorId],
) -> None:
    near = distances(ME, trusted, blocked, vouches)
    found = weights(ME, trusted, blocked, vouches)
    assert found.keys() == near.keys() - {ME}
    assert all((found[person] == 1) == (near[person] == 1) for person in found)
    divided = shares(ME, trusted, blocked, vouches)
    assert not divided or isclose(sum(divided.values()), 1)


@given(graphs, groups, groups, people, people)
def test_a_vouch_never_moves_its_person_away_nor_lowers_their_weight(
    vouches: dict[AuthorId, frozenset[AuthorId]],
    trusted: frozenset[AuthorId],
    blocked: frozenset[AuthorId],
    voucher: AuthorId,
    person: AuthorId,
) -> None:
    more = vouches | {voucher: vouches.get(voucher, frozenset()) | {person}}
    before, after = distances(ME, trusted, blocked, vouches), distances(ME, trusted, blocked, more)
    assert all(after[other] <= distance for other, distance in before.items())
    before_weight = weights(ME, trusted, blocked, vouches).get(person, 0.0)
    assert weights(ME, trusted, blocked, more).get(person, 0.0) >= before_weight


@given(graphs, groups, groups, people)
def test_trusting_somebody_never_lowers_anybodys_weight(
    vouches: dict[AuthorId, frozenset[AuthorId]],
    trusted: frozenset[AuthorId],
    blocked: frozenset[AuthorId],
    person: AuthorId,
) -> None:
    before = weights(ME, trusted, blocked, vouches)
    after = weights(ME, trusted | {person}, blocked, vouches)
    assert all(after[other] >= weight for other, weight in before.items())


@given(graphs, groups, groups)
def test_the_order_in_which_people_are_given_changes_nothing(
    vouches: dict[AuthorId, frozenset[AuthorId]],
    trusted: frozenset[AuthorId],
    blocked: frozenset[AuthorId],
) -> None:
    def turned(group: frozenset[AuthorId]) -> list[AuthorId]:
        return sorted(group, reverse=True)

    other = {voucher: turned(vouches[voucher]) for voucher in reversed(vouches)}
    assert distances(ME, trusted, blocked, vouches) == distances(ME, turned(trusted), turned(blocked), other)
    assert shares(ME, trusted, blocked, vouches) == shares(ME, turned(trusted), turned(blocked), other)
