"""Quotas: they fit into the disk however many people there are, and cut an author's past at one place."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pkn_protocol.records.ids import AuthorId, Cid
from pkn_protocol.trust.quotas import (
    STRANGER_BYTES,
    STRANGER_RECORDS,
    Entry,
    Quota,
    author_quotas,
    floor_of,
    stranger_quota,
)

GIB = 1024**3
ME, A, B = (AuthorId(bytes([number]) * 32) for number in range(3))


def cid(number: int) -> Cid:
    return Cid(number.to_bytes(36, "big"))


def test_quotas_shrink_with_distance_and_leave_half_of_the_disk_for_payloads() -> None:
    quotas = author_quotas(ME, {A}, set(), {A: {B}}, max_disk=3 * GIB)
    assert (quotas[A], quotas[B]) == (Quota(GIB), Quota(GIB // 2))


def test_a_crowd_cannot_fill_the_disk() -> None:
    crowd = {AuthorId(number.to_bytes(4, "big") + b"crowd".ljust(28)) for number in range(10_000)}
    quotas = author_quotas(ME, {A, B}, set(), {A: crowd}, max_disk=2 * GIB)
    assert sum(quotas[person].bytes for person in crowd) < quotas[B].bytes
    assert sum(quota.bytes for quota in quotas.values()) <= GIB


@pytest.mark.parametrize(
    ("strangers", "max_disk", "each"),
    [
        (0, 2 * GIB, STRANGER_BYTES),
        (1, 2 * GIB, STRANGER_BYTES),
        (1000, 2 * GIB, 2 * GIB // 10 // 1000),
        (1, 0, 0),
    ],
)
def test_a_stranger_gets_little_and_all_strangers_a_tenth(strangers: int, max_disk: int, each: int) -> None:
    assert stranger_quota(strangers, max_disk=max_disk) == Quota(each, STRANGER_RECORDS)


def test_everything_fits_and_there_is_no_floor() -> None:
    assert floor_of([Entry(2, cid(1), 10), Entry(1, cid(2), 10)], Quota(20)) is None
    assert floor_of([], Quota(0)) is None


def test_the_floor_is_the_lowest_entry_that_fits_in_bytes_and_in_number() -> None:
    entries = [Entry(9 - number, cid(number), 10) for number in range(5)]
    assert floor_of(entries, Quota(35)) == (7, cid(2))
    assert floor_of(entries, Quota(1000, records=2)) == (8, cid(1))


def test_where_nothing_fits_the_floor_lies_above_the_newest() -> None:
    assert floor_of([Entry(9, cid(1), 10)], Quota(5)) == (10, cid(1))
    assert floor_of([Entry(9, cid(1), 10)], Quota(50, records=0)) == (10, cid(1))


entries_newest_first = st.lists(
    st.builds(Entry, st.integers(0, 50), st.integers(0, 255).map(cid), st.integers(1, 40)),
    max_size=30,
    unique_by=lambda entry: (entry.time, entry.id),
).map(lambda entries: sorted(entries, key=lambda entry: (entry.time, entry.id), reverse=True))


@given(entries_newest_first, st.integers(0, 400), st.integers(0, 30))
def test_what_is_kept_fits_and_is_the_newest_without_a_gap(
    entries: list[Entry], size: int, number: int
) -> None:
    floor = floor_of(entries, Quota(size, number))
    kept = [entry for entry in entries if floor is None or (entry.time, entry.id) >= floor]
    assert kept == entries[: len(kept)]
    assert sum(entry.size for entry in kept) <= size
    assert len(kept) <= number
    if len(kept) < len(entries):
        more = entries[: len(kept) + 1]
        assert sum(entry.size for entry in more) > size or len(more) > number
    smaller = floor_of(entries, Quota(size // 2, number))
    assert floor is None or (smaller is not None and smaller >= floor)
