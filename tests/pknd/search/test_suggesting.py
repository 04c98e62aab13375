"""What is suggested for words that nobody has, from a real index."""

from __future__ import annotations

import sqlite3
import time

import numpy as np
import pytest

from bench.payloads import text_payload
from pkn_protocol.control.query import Suggestion
from pkn_protocol.records.model import Item
from pkn_protocol.search.query import parse_query
from pkn_protocol.text.analysis import analyse
from pkn_protocol.text.sketch import make_sketch
from pknd.search import index, runs
from pknd.search.index import IndexReader, add_terms
from pknd.search.postings import Terms, postings_of
from pknd.search.suggesting import suggestions, unknown_words
from pknd.store.ingest import ingest
from pknd.store.people import set_opinion
from pknd.store.records import Held
from tests.pknd.store.people import NOW, Person


@pytest.fixture(autouse=True)
def known(db: sqlite3.Connection, anna: Person) -> None:
    anna.join(db)


def suggest(db: sqlite3.Connection, text: str, *langs: str) -> tuple[Suggestion, ...]:
    query = parse_query(text, langs or ("en",))
    words = unknown_words(query, IndexReader(db))
    return suggestions(db, words, langs or ("en",), now=NOW, text_of=lambda _db, _held: None)


def test_the_word_that_most_items_have_is_suggested_as_it_is_written(
    db: sqlite3.Connection, anna: Person
) -> None:
    for number in range(3):
        ingest(db, anna.note(f"Boundary layer {number}"), now=NOW)
    ingest(db, anna.note("A laundry list"), now=NOW)
    assert suggest(db, "bondary") == (Suggestion("bondary", "Boundary", 3),)
    assert suggest(db, "boundary layr") == (Suggestion("layr", "layer", 3),)
    assert suggest(db, "bonday") == ()
    assert suggest(db, "the boundary") == ()


def test_endings_and_languages_are_no_obstacle(db: sqlite3.Connection, anna: Person) -> None:
    for title, lang in (("Die Segelboote", "de"), ("Корабли и паруса", "ru"), ("Les voiliers", "fr")):
        item = Item(title, lang=lang, sketch=make_sketch(analyse(title, lang)))
        ingest(db, anna.record("note", item), now=NOW)
    langs = ("de", "fr", "ru")
    [german] = suggest(db, "seglboot", *langs)
    assert german.instead == "Segelboote"
    [russian] = suggest(db, "порус", *langs)
    assert russian.instead == "паруса"
    [french] = suggest(db, "voillier", *langs)
    assert french.instead == "voiliers"


def test_a_word_that_only_a_text_has_is_seen_there(db: sqlite3.Connection, anna: Person) -> None:
    item = Item(
        "Untitled",
        lang="en",
        sketch=make_sketch(analyse("Untitled\nlateral drift", "en")),
        payload=text_payload("lateral drift"),
    )
    ingest(db, anna.record("note", item), now=NOW)
    words = ("latral",)
    assert suggestions(db, words, ("en",), now=NOW, text_of=lambda _db, _held: None) == ()

    def text(_db: sqlite3.Connection, _held: Held) -> str:
        return "about lateral drift"

    [found] = suggestions(db, words, ("en",), now=NOW, text_of=text)
    assert found.instead == "lateral"


def test_the_words_of_blocked_people_are_not_suggested(db: sqlite3.Connection, anna: Person) -> None:
    ingest(db, anna.note("Boundary"), now=NOW)
    set_opinion(db, anna.author, "blocked", None, NOW)
    assert suggest(db, "bondary") == ()


def test_counts_of_many_stems_are_those_of_each(db: sqlite3.Connection) -> None:
    chance = np.random.default_rng(1)
    stems = np.sort(chance.choice(1 << 24, 4000, replace=False)).astype(np.uint32)
    for run in range(3):
        documents = [
            Terms(run * 1000 + doc, dict.fromkeys(map(int, chance.choice(stems[:3000], 60)), 0), 60, True)
            for doc in range(600)
        ]
        runs.write_run(db, postings_of(documents), level=0)
    recent = [Terms(9000 + doc, {int(stems[doc]): 0, int(stems[0]): 1}, 2, True) for doc in range(1, 50)]
    add_terms(db, recent, ["en"] * len(recent))
    reader = IndexReader(db)
    assert reader.counts(stems).tolist() == [
        reader.frequency([int(stem)], public_only=False) for stem in stems
    ]
    assert index.forgotten(db) == set()


def test_a_suggestion_is_a_bounded_search(db: sqlite3.Connection, anna: Person) -> None:
    ingest(db, anna.note("Boundary"), now=NOW)
    began = time.perf_counter()
    query = parse_query(" ".join("x" * 20 + letter for letter in "abcdefgh"), ("en",))
    words = unknown_words(query, IndexReader(db))
    assert len(words) == 3
    assert suggestions(db, words, ("en",), now=NOW, text_of=lambda _db, _held: None) == ()
    # Hundreds of times what it takes; a search without bounds takes longer still.
    assert time.perf_counter() - began < 20
