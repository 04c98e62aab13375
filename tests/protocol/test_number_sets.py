"""Sets of numbers as arrays are what sets are."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pkn_protocol.number_sets import are_among, distinct, without

NUMBERS = st.lists(st.integers(0, 9) | st.sampled_from([2**63, 2**64 - 1]), max_size=20)


@given(NUMBERS, NUMBERS)
def test_they_agree_with_sets(some: list[int], others: list[int]) -> None:
    values, wanted = np.array(some, np.uint64), np.array(others, np.uint64)
    assert distinct(values).tolist() == sorted(set(some))
    assert are_among(values, wanted).tolist() == [value in others for value in some]
    assert without(values, wanted).tolist() == sorted(set(some) - set(others))
