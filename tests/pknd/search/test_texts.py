"""Texts that a query looks at more than once."""

from __future__ import annotations

import sqlite3

import pytest

from pknd.search import texts
from pknd.search.texts import once_read
from pknd.store.ingest import ingest
from pknd.store.records import Held, get_row
from tests.pknd.store.people import NOW, Person


def test_a_text_is_read_once_for_each_query_as_far_as_there_is_room(
    db: sqlite3.Connection, anna: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(texts, "REMEMBERED_CHARS", 10)
    anna.join(db)
    rows = [ingest(db, anna.note(title), now=NOW).rowid for title in ("One", "Two", "Three")]
    held = [one for row in rows if (one := get_row(db, row)) is not None]
    here = {held[0].record.id: "12345678", held[1].record.id: "too long"}
    read: list[Held] = []

    def from_disk(db: sqlite3.Connection, one: Held) -> str | None:
        read.append(one)
        return here.get(one.record.id)

    text_of = once_read(from_disk)
    for _ in range(3):
        assert [text_of(db, one) for one in held] == ["12345678", "too long", None]
    assert [read.count(one) for one in held] == [1, 3, 3]
    # What was not here may have come.
    here[held[2].record.id] = "3"
    assert text_of(db, held[2]) == text_of(db, held[2]) == "3"
    assert read.count(held[2]) == 4
