"""Documents are found alike wherever their postings are: just written, in runs, half merged, or taken out."""

from __future__ import annotations

import asyncio
import random
import sqlite3
from math import isclose
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.payloads import text_payload
from pkn_protocol.records.model import Item, Record
from pkn_protocol.search.documents import terms_of, text_score
from pkn_protocol.search.query import parse_query
from pkn_protocol.text.analysis import analyse
from pkn_protocol.text.sketch import Sketch, encode_sketch, length_code, length_of_code, make_sketch
from pknd.search import index, recent, runs
from pknd.search.index import IndexReader, NewDocument, add_documents, remove_document
from pknd.search.local import statistics_of
from pknd.search.postings import classes_of, documents_of
from pknd.search.scores import Matches
from pknd.store.database import open_database
from pknd.store.ingest import ingest
from pknd.store.store import Store
from tests.pknd.store.people import NOW, Person

ANNA = Person("Anna")
STEMS = tuple(range(100, 140))
Held = dict[int, tuple[dict[int, int], bool]]


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits at which a few hundred documents fill several runs and merges take many steps."""
    monkeypatch.setattr(recent, "MOST_POSTINGS", 120)
    monkeypatch.setattr(recent, "MOST_ROWS", 5)
    monkeypatch.setattr(runs, "CHUNK_POSTINGS", 16)
    monkeypatch.setattr(runs, "STEP_POSTINGS", 60)


def document(number: int, classes: dict[int, int]) -> Record:
    length = length_of_code(length_code(200))
    sketch = encode_sketch(Sketch(1, length, dict(sorted(classes.items()))))
    return ANNA.record(
        "note",
        Item(f"T{number}", lang="en", sketch=sketch, payload=text_payload("made up")),
        time=NOW + number,
    )


def put(db: sqlite3.Connection, held: Held, numbers: list[int], chance: random.Random) -> None:
    batch = []
    for number in numbers:
        classes = {stem: chance.randrange(4) for stem in chance.sample(STEMS, chance.randrange(1, 9))}
        public = chance.random() < 0.7
        batch.append(NewDocument(number, document(number, classes), public))
        held[number] = classes, public
    add_documents(db, batch)


def found_by(reader: IndexReader, stem: int) -> dict[int, int]:
    found: dict[int, int] = {}
    for entries, _ in reader.list_of(stem).postings():
        docs, classes = documents_of(entries), classes_of(entries)
        for doc, kind in zip(docs.tolist(), classes.tolist(), strict=True):
            if doc not in reader.forgotten:
                assert doc not in found, "a document was found twice"
                found[doc] = kind
    return found


@pytest.mark.usefixtures("small")
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_any_history_of_an_index_finds_what_is_in_it(
    seed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    chance = random.Random(seed)
    db = open_database(tmp_path_factory.mktemp("index") / "pkn.db")
    held: Held = {}
    try:
        db.execute("BEGIN")
        for number in range(chance.randrange(60)):
            put(db, held, [number * 20 + n for n in range(chance.randrange(1, 20))], chance)
            if held and chance.random() < 0.3:
                for doc in chance.sample(sorted(held), min(len(held), 3)):
                    remove_document(db, doc)
                    classes = held.pop(doc)
                    if chance.random() < 0.3:
                        held[doc] = classes
                        add_documents(db, [NewDocument(doc, document(doc, classes[0]), classes[1])])
            if chance.random() < 0.5 and not index.is_tidy(db):
                index.tidy_some(db)
        check(db, held, chance)
        for _ in range(1000):
            if index.is_tidy(db):
                break
            index.tidy_some(db)
        assert index.is_tidy(db) and index.forgotten(db) == set()
        check(db, held, chance)
        assert db.execute("SELECT count(*) FROM posting_run").fetchone()[0] < 4 * runs.FAN_IN
        db.execute("COMMIT")
    finally:
        db.close()


def check(db: sqlite3.Connection, held: Held, chance: random.Random) -> None:
    reader = IndexReader(db)
    for stem in chance.sample(STEMS, 10):
        expected = {doc: classes[stem] for doc, (classes, _) in held.items() if stem in classes}
        assert found_by(reader, stem) == expected
        assert reader.frequency([stem], public_only=False) == len(expected)
        assert reader.frequency([stem], public_only=True) == sum(held[doc][1] for doc in expected)
    either = {doc for doc, (classes, _) in held.items() if {100, 101} & classes.keys()}
    assert reader.frequency([100, 101], public_only=False) == len(either)
    assert index.collection(db, public_only=False).documents == len(held)
    assert index.collection(db, public_only=True).documents == sum(public for _, public in held.values())


@pytest.mark.usefixtures("small")
def test_what_is_forgotten_gives_its_space_back(db: sqlite3.Connection) -> None:
    chance, held = random.Random(1), Held()
    put(db, held, list(range(300)), chance)
    for doc in list(held):
        remove_document(db, doc)
    while not index.is_tidy(db):
        index.tidy_some(db)
    postings = db.execute("SELECT count(*) FROM posting").fetchone()[0]
    assert postings == db.execute("SELECT count(*) FROM recent_posting").fetchone()[0] == 0
    assert index.languages(db) == set()


@pytest.mark.usefixtures("small")
def test_scores_of_the_index_are_those_of_the_records(db: sqlite3.Connection) -> None:
    ANNA.join(db)
    chance = random.Random(2)
    words = ["drag", "lift", "wing", "layer", "boundary", "flow", "stall", "keel"]
    records = {}
    for number in range(200):
        title = " ".join(chance.choices(words, k=chance.randrange(1, 12)))
        tags = (chance.choice(words),) if chance.random() < 0.3 else ()
        record = ANNA.note(title, tags=tags, time=NOW + number)
        records[ingest(db, record, now=NOW + number).rowid] = record
    for asked in ("drag", "boundary layer flow", "wing -lift", '"keel" stall', "drag drag of the wings"):
        query = parse_query(asked, ["en"])
        statistics = statistics_of(db, query)
        expected = {
            doc: score
            for doc, record in records.items()
            if (score := text_score(record, query, statistics)) is not None
        }
        found = list(Matches(db, query, statistics))
        assert {doc for doc, _ in found} == expected.keys()
        assert all(isclose(score, expected[doc]) for doc, score in found)
        assert [score for _, score in found] == sorted((score for _, score in found), reverse=True)


def test_many_documents_are_found_by_what_each_alone_is_found_by(db: sqlite3.Connection) -> None:
    chance = random.Random(3)
    words = ["drag", "lift", "wing", "layer", "boundary", "flow", "stall", "keel"]
    documents = {}
    for number in range(60):
        text = " ".join(chance.choices(words, k=chance.randrange(12)))
        sketch = make_sketch(analyse(text, "en")) if chance.random() < 0.9 else b"\x01 no sketch"
        # Some of them in the text too, in another class, and some twice.
        tags = tuple(dict.fromkeys(chance.choices([*words, "wings", "Drag lift"], k=chance.randrange(4))))
        # Of some no text could say whether the sketch is theirs.
        payload = text_payload(text) if number % 5 else None
        item = Item(f"Title{number} drag", lang="en", tags=tags, sketch=sketch, payload=payload)
        documents[number] = NewDocument(number, ANNA.record("note", item, time=NOW), chance.random() < 0.5)
    add_documents(db, list(documents.values()))
    reader = IndexReader(db)
    expected = {number: terms_of(one.record) for number, one in documents.items()}
    for stem in {stem for terms in expected.values() for stem in terms.classes}:
        having = {n: terms.classes[stem] for n, terms in expected.items() if stem in terms.classes}
        assert found_by(reader, stem) == having
        public = sum(documents[number].public for number in having)
        assert reader.frequency([stem], public_only=True) == public
    lengths = dict(db.execute("SELECT doc, length FROM document"))
    assert lengths == {number: terms.length for number, terms in expected.items()}


async def test_what_was_forgotten_is_taken_out_when_nothing_else_is_written(
    tmp_path: Path, anna: Person
) -> None:
    store = Store.open(tmp_path)
    try:
        await store.write(lambda db: anna.join(db))
        first = anna.note("Drag of a sphere")
        again = anna.note("Drag, again", item=first.id, replaces=(first.id,), time=NOW + 1)
        await store.write(lambda db: [ingest(db, record, now=NOW) for record in (first, again)])
        async with asyncio.timeout(20):
            while not await store.read(index.is_tidy):
                pass
        query = parse_query("drag", ["en"])
        matches = await store.read(lambda db: list(Matches(db, query, statistics_of(db, query))))
        assert len(matches) == 1
    finally:
        await store.close()


def test_a_document_without_a_word_to_find_it_by_is_stored_in_an_empty_index(
    db: sqlite3.Connection, anna: Person
) -> None:
    anna.join(db)
    assert ingest(db, anna.note("The"), now=NOW).status == "added"
    assert index.collection(db, public_only=True).documents == 1
