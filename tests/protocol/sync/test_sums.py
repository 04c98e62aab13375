"""Sums of periods: independent of order, and of clocks that differ by minutes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pkn_protocol.records.ids import Cid, dag_cbor_cid
from pkn_protocol.sync.sums import (
    HOUR_MS,
    MOST_AHEAD_MS,
    PeriodSum,
    comparison_instant,
    counts_at,
    period_of,
    sum_of,
)

ids = st.integers(0, 60).map(lambda number: dag_cbor_cid(b"%d" % number))


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
