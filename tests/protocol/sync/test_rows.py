"""The root of a connection: kept by changes, it is that of the table; nobody else can foresee it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pkn_protocol.sync.rows import ConnectionRoot, Key, RowSum, comparison_key, root_of, row_items
from pkn_protocol.sync.sums import HOUR_MS

keys = st.tuples(st.sampled_from([b"", b"s" * 16]), st.sampled_from([b"a" * 8, b"b" * 8]), st.integers(0, 3))
sums = st.tuples(st.integers(0, 3), st.sampled_from([b"d" * 32, b"e" * 32]))
tables = st.dictionaries(keys, sums.filter(lambda row: row[0] > 0), max_size=10)
KEY = comparison_key(b"session" * 4, 1)


@given(tables, st.lists(st.tuples(keys, st.none() | sums)))
def test_a_root_that_was_changed_row_by_row_is_that_of_the_table(
    table: dict[Key, RowSum], changes: list[tuple[Key, RowSum | None]]
) -> None:
    root = root_of(table, HOUR_MS)
    for key, new in changes:
        root.replace_row(key, table.pop(key, None), new)
        if new is not None and new[0]:
            table[key] = new
    assert root.digest(KEY) == root_of(table, HOUR_MS).digest(KEY)
    assert root.rows == len(table)


@given(tables, tables)
def test_when_the_hour_moves_on_the_rows_that_changed_are_enough(
    before: dict[Key, RowSum], after: dict[Key, RowSum]
) -> None:
    root = root_of(before, HOUR_MS)
    changes = [(key, before.get(key), after.get(key)) for key in {**before, **after}]
    changes = [change for change in changes if change[1] != change[2]]
    other = root.with_changes(2 * HOUR_MS, changes)
    assert (root.at, root.digest(KEY)) == (HOUR_MS, root_of(before, HOUR_MS).digest(KEY))
    root.moved(2 * HOUR_MS, changes)
    assert root.at == other.at == 2 * HOUR_MS
    assert root.digest(KEY) == other.digest(KEY) == root_of(after, 0).digest(KEY)


def test_the_root_and_the_items_notice_every_part_of_a_row() -> None:
    base: dict[Key, RowSum] = {(b"", b"a" * 8, 5): (1, b"d" * 32)}
    others: list[dict[Key, RowSum]] = [
        {(b"s" * 16, b"a" * 8, 5): (1, b"d" * 32)},
        {(b"", b"b" * 8, 5): (1, b"d" * 32)},
        {(b"", b"a" * 8, 6): (1, b"d" * 32)},
        {(b"", b"a" * 8, 5): (2, b"d" * 32)},
        {(b"", b"a" * 8, 5): (1, b"e" * 32)},
        {},
    ]
    assert len({root_of(table, 0).digest(KEY) for table in (base, *others)}) == 7
    assert len({row_items(KEY, table).tobytes() for table in (base, *others)}) == 7


def test_another_connection_or_comparison_has_other_roots_and_items() -> None:
    table: dict[Key, RowSum] = {(b"", b"a" * 8, 5): (1, b"d" * 32)}
    keys = [comparison_key(b"x" * 32, 1), comparison_key(b"x" * 32, 3), comparison_key(b"y" * 32, 1)]
    assert len({root_of(table, 0).digest(key) for key in keys}) == 3
    assert len({row_items(key, table).tobytes() for key in keys}) == 3
    assert len({ConnectionRoot(0).digest(key) for key in keys}) == 3
