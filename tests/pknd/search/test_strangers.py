"""Figures without the summaries of strangers."""

from __future__ import annotations

import sqlite3

import pytest

from pkn_protocol.search.query import parse_query
from pknd.search import recent
from pknd.search.index import IndexReader
from pknd.search.local import statistics_of
from pknd.search.strangers import LEAST_NEAR, Strangers
from pknd.store.ingest import ingest
from tests.pknd.store.people import NOW, Person


def test_how_many_have_a_word_is_counted_once_until_something_changes(
    db: sqlite3.Connection, anna: Person, bruno: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recent, "MOST_POSTINGS", 1)
    anna.join(db)
    bruno.join(db)
    for number in range(LEAST_NEAR):
        ingest(db, anna.note("Drag", time=NOW + number), now=NOW)
        ingest(db, bruno.note("Drag and lift", time=NOW + number), now=NOW)
    strangers, near, query = Strangers(), frozenset({anna.author}), parse_query("drag lift", {"en"})

    def counted() -> tuple[tuple[int, ...], int]:
        index = IndexReader(db)
        figures = statistics_of(db, query, index, strangers.left_out(db, near))
        return figures.frequencies, index.read

    assert counted() == ((LEAST_NEAR, 0), 3 * LEAST_NEAR)
    assert counted() == ((LEAST_NEAR, 0), 0)
    ingest(db, anna.note("Lift", time=NOW + LEAST_NEAR), now=NOW)
    assert counted()[0] == (LEAST_NEAR, 1)


def test_an_edit_of_the_same_length_counts(db: sqlite3.Connection, anna: Person, bruno: Person) -> None:
    for person in (anna, bruno):
        person.join(db)
    notes = [anna.note("Drag", time=NOW + number) for number in range(LEAST_NEAR)]
    other = bruno.note("Lift", time=NOW)
    for note in (*notes, other):
        ingest(db, note, now=NOW)
    strangers, near = Strangers(), frozenset({anna.author})

    def counted(words: str) -> tuple[int, ...]:
        query = parse_query(words, {"en"})
        return statistics_of(db, query, left_out=strangers.left_out(db, near)).frequencies

    assert counted("drag lift") == (LEAST_NEAR, 0)
    first = notes[0]
    ingest(db, anna.note("Lift", time=NOW + 99, item=first.id, replaces=(first.id,)), now=NOW)
    assert counted("drag lift") == (LEAST_NEAR - 1, 1)
    # A stranger's document in the place of another is left out as that was.
    ingest(db, bruno.note("Drag", time=NOW + 99, item=other.id, replaces=(other.id,)), now=NOW)
    assert counted("drag lift") == (LEAST_NEAR - 1, 1)


def test_what_is_withheld_has_no_part_in_figures(db: sqlite3.Connection, anna: Person, bruno: Person) -> None:
    for person in (anna, bruno):
        person.join(db)
    for number in range(LEAST_NEAR):
        ingest(db, anna.note("Drag", time=NOW + number), now=NOW)
    lies = frozenset(
        ingest(db, bruno.note("Drag of a wing", time=NOW + number), now=NOW).rowid for number in range(9)
    )
    strangers, near, query = Strangers(), frozenset({anna.author, bruno.author}), parse_query("drag", {"en"})

    def counted(in_vain: frozenset[int]) -> tuple[int, float, tuple[int, ...]]:
        figures = statistics_of(db, query, left_out=strangers.left_out(db, near, in_vain))
        return figures.documents, figures.mean_length, figures.frequencies

    assert counted(frozenset())[::2] == (LEAST_NEAR + 9, (LEAST_NEAR + 9,))
    assert counted(lies) == (LEAST_NEAR, 1.0, (LEAST_NEAR,))
    assert counted(frozenset())[::2] == (LEAST_NEAR + 9, (LEAST_NEAR + 9,))
