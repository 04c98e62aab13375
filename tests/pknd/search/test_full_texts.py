"""Where texts are here, the first results are put in order by them and not by their sketches."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Mapping

import pytest

from pkn_protocol.records.ids import AuthorId, Cid
from pkn_protocol.records.model import Item, Payload, Record
from pkn_protocol.search.query import parse_query
from pkn_protocol.text.analysis import analyse
from pkn_protocol.text.sketch import item_text, make_sketch
from pknd.search.full_texts import MOST_READ, MOST_TEXT_BYTES, scored_by_texts
from pknd.search.local import local_query, statistics_of
from pknd.store.ingest import ingest
from pknd.store.records import Filter
from tests.pknd.store.people import NOW, Person

SOME_CID = Cid(b"\x01\x55\x12\x20" + bytes(32))


@pytest.fixture(autouse=True)
def joined(db: sqlite3.Connection, anna: Person) -> None:
    anna.join(db)


def written(person: Person, title: str, text: str) -> Record:
    sketch = make_sketch(analyse(item_text(title, text), "en"))
    payload = Payload("text/plain", len(text.encode()), SOME_CID, None)
    return person.record("note", Item(title, lang="en", sketch=sketch, payload=payload))


def scores(
    db: sqlite3.Connection, asked: str, held: Mapping[Cid, str], doubted: Collection[AuthorId] = ()
) -> tuple[dict[Cid, float], dict[Cid, float]]:
    """By summaries, and then by texts."""
    query = parse_query(asked, {"en"})
    statistics = statistics_of(db, query)
    hits = local_query(
        db,
        query,
        statistics,
        Filter(now=NOW),
        limit=200,
        text_of=lambda _db, _held: None,
        distances={},
    )
    after = scored_by_texts(
        db,
        hits,
        query,
        statistics,
        text_of=lambda _db, one: held.get(one.record.id),
        doubted=doubted,
    )
    assert all(hit.rank.text == hit.text_score for hit in after)
    return (
        {hit.held.record.id: hit.rank.score for hit in hits},
        {hit.held.record.id: hit.rank.score for hit in after},
    )


def test_more_of_a_word_than_a_sketch_can_say_is_seen_in_the_text(
    db: sqlite3.Connection, anna: Person
) -> None:
    some = "wing " * 5 + "air " * 35
    more = "wing " * 20 + "air " * 20
    held = {}
    for text in (some, more):
        record = written(anna, "Note", text)
        ingest(db, record, now=NOW)
        held[record.id] = text
    before, after = scores(db, "wing", held)
    few, many = held
    assert before[few] == before[many]
    assert after[few] < before[few] < after[many]


def test_a_text_of_words_that_occur_once_or_twice_scores_as_its_sketch(
    db: sqlite3.Connection, anna: Person
) -> None:
    text = "The wing of a swift, and a second wing. Tail, beak, feather."
    record = anna.record(
        "note",
        Item(
            "Birds",
            tags=("ornithology",),
            lang="en",
            sketch=make_sketch(analyse(item_text("Birds", text), "en")),
            payload=Payload("text/plain", len(text), SOME_CID, None),
        ),
    )
    ingest(db, record, now=NOW)
    for asked in ("wing", "tail birds", "ornithology"):
        before, after = scores(db, asked, {record.id: text})
        assert after == pytest.approx(before)


def test_what_is_too_long_or_of_somebody_who_is_not_believed_keeps_the_score_of_its_summary(
    db: sqlite3.Connection, anna: Person
) -> None:
    long = "wing " * (MOST_TEXT_BYTES // 5 + 1)
    short = "wing " * 30
    held = {}
    for text in (long, short):
        record = written(anna, "Note", text)
        ingest(db, record, now=NOW)
        held[record.id] = text
    before, after = scores(db, "wing", held)
    changed = {cid for cid in before if before[cid] != after[cid]}
    assert [held[cid] for cid in changed] == [short]
    before, after = scores(db, "wing", held, doubted={anna.author})
    assert before == after


def test_only_the_first_are_read(db: sqlite3.Connection, anna: Person) -> None:
    held = {}
    for number in range(MOST_READ + 20):
        text = "wing " * 30 + f"number {number}"
        record = written(anna, f"Note {number}", text)
        ingest(db, record, now=NOW)
        held[record.id] = text
    before, after = scores(db, "wing", held)
    assert sum(before[cid] != after[cid] for cid in before) == MOST_READ
