"""Documents are found alike wherever their postings are: just written, joined, moved, or taken out."""

from __future__ import annotations

import asyncio
import random
import sqlite3
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pknd.search import recent
from pknd.search.index import add_document, document_frequency, postings, remove_document
from pknd.store.database import open_database
from pknd.store.ingest import ingest
from pknd.store.store import Store
from tests.pknd.store.people import NOW, Person

STEMS = tuple(range(40))
Held = dict[int, tuple[dict[int, int], bool]]


def expected(held: Held, stems: list[int]) -> tuple[dict[int, int], int, int]:
    """Document to highest class, and how many documents have one of the stems: all, public."""
    found = {
        doc: max(classes[stem] for stem in stems if stem in classes)
        for doc, (classes, _) in held.items()
        if any(stem in classes for stem in stems)
    }
    return found, len(found), sum(held[doc][1] for doc in found)


def put(db: sqlite3.Connection, held: Held, doc: int, classes: dict[int, int], public: bool) -> None:
    db.execute("INSERT INTO document (doc, length, public, lang) VALUES (?, 1, ?, '')", (doc, public))
    recent.add(db, doc, classes, public=public)
    held[doc] = classes, public


def take(db: sqlite3.Connection, held: Held, doc: int) -> None:
    db.execute("DELETE FROM document WHERE doc = ?", (doc,))
    if not recent.remove(db, doc):
        db.execute("DELETE FROM posting WHERE doc = ?", (doc,))
    del held[doc]


@settings(max_examples=25)
@given(seed=st.integers(0, 2**32))
def test_any_history_of_an_index_finds_what_is_in_it(
    seed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    chance = random.Random(seed)
    db = open_database(tmp_path_factory.mktemp("index") / "pkn.db")
    held: Held = {}
    try:
        db.execute("BEGIN")
        for doc in range(chance.randrange(400)):
            stems = chance.sample(STEMS, chance.randrange(1, 9))
            put(db, held, doc, {stem: chance.randrange(4) for stem in stems}, chance.random() < 0.7)
            if chance.random() < 0.1 and held:
                take(db, held, chance.choice(sorted(held)))
            if chance.random() < 0.02:
                recent.move_some(db)
        for _ in range(20):
            stems = chance.sample(STEMS, chance.randrange(1, 4))
            found, all_of_them, public = expected(held, stems)
            assert postings(db, stems) == found
            assert document_frequency(db, stems, public_only=False) == all_of_them
            assert document_frequency(db, stems, public_only=True) == public
        db.execute("COMMIT")
    finally:
        db.close()


def test_more_arrays_than_a_query_should_read_are_not_kept(db: sqlite3.Connection) -> None:
    held: Held = {}
    for doc in range(recent.JOINED_DOCUMENTS * (recent.MOST_JOINED + 3)):
        put(db, held, doc, {doc % 7: 0}, True)
    rows = db.execute("SELECT count(*) FROM recent_posting").fetchone()[0]
    assert rows <= recent.JOINED_DOCUMENTS + recent.MOST_JOINED
    assert len(postings(db, [3])) == sum(doc % 7 == 3 for doc in held)


def test_a_document_that_was_moved_can_be_taken_out(db: sqlite3.Connection, anna: Person) -> None:
    anna.join(db)
    record = anna.note("Drag of a sphere")
    rowid = ingest(db, record, now=NOW).rowid
    while recent.move_some(db):
        pass
    stems = [stem for (stem,) in db.execute("SELECT stem FROM posting")]
    assert stems
    remove_document(db, rowid, record)
    assert postings(db, stems) == {}
    add_document(db, rowid, record, public=True)
    assert set(postings(db, stems)) == {rowid}


async def test_postings_are_moved_when_nothing_else_is_written(tmp_path: Path, anna: Person) -> None:
    store = Store.open(tmp_path)
    try:
        await store.write(lambda db: anna.join(db))
        for number in range(3):
            record = anna.note(f"Drag of sphere {number}", time=NOW + number)
            await store.write(lambda db, record=record: ingest(db, record, now=NOW))  # type: ignore[misc]
        async with asyncio.timeout(20):
            while await store.read(recent.is_move_due):
                pass
        moved = await store.read(lambda db: db.execute("SELECT count(DISTINCT doc) FROM posting").fetchone())
        assert moved == (3,)
    finally:
        await store.close()
