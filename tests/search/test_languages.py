"""Questions in six languages, and the notes that must come first: all in one store, with its real index."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from bench.payloads import text_payload
from pkn_protocol.records.model import Item
from pkn_protocol.search.query import parse_query
from pkn_protocol.text.analysis import analyse
from pkn_protocol.text.languages import guess_language
from pkn_protocol.text.sketch import item_text, make_sketch
from pknd.search.index import IndexReader, languages
from pknd.search.local import LocalHit, local_query, statistics_of
from pknd.store.database import open_database
from pknd.store.ingest import Status, ingest
from pknd.store.records import Filter, Held
from tests.pknd.store.people import NOW, Person

NOTES = Path(__file__).parent / "notes"
LANGUAGES = ("de", "fr", "es", "ru", "zh", "ja")
ANNA = Person("anna")


@dataclass(frozen=True)
class Corpus:
    """Texts by title, and (query, the title that must come first)."""

    texts: dict[str, str]
    queries: list[tuple[str, str]]


def corpus(lang: str) -> Corpus:
    notes, _, asked = (NOTES / f"{lang}.txt").read_text("utf-8").partition("\n---\n")
    texts = dict(note.strip().split("\n", 1) for note in notes.split("\n\n"))
    queries = [line.partition(" | ")[::2] for line in asked.strip().splitlines()]
    return Corpus(texts, queries)


CORPORA = {lang: corpus(lang) for lang in LANGUAGES}
ASKED = [(lang, words, title) for lang in LANGUAGES for words, title in CORPORA[lang].queries]


@pytest.fixture(scope="module")
def db(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sqlite3.Connection]:
    with closing(open_database(tmp_path_factory.mktemp("languages") / "pkn.db")) as opened:
        ANNA.join(opened)
        for lang in LANGUAGES:
            for title, text in CORPORA[lang].texts.items():
                sketch = make_sketch(analyse(item_text(title, text), lang))
                record = ANNA.record(
                    "note", Item(title, lang=lang, sketch=sketch, payload=text_payload(text))
                )
                assert ingest(opened, record, now=NOW).status is Status.ADDED
        yield opened


def find(db: sqlite3.Connection, words: str) -> list[LocalHit]:
    query = parse_query(words, languages(db))
    index = IndexReader(db)

    def text_of(_db: sqlite3.Connection, held: Held) -> str | None:
        item = held.record.body
        assert isinstance(item, Item)
        return CORPORA[item.lang or ""].texts[item.title]

    return local_query(
        db,
        query,
        statistics_of(db, query, index),
        Filter(now=NOW),
        limit=10,
        text_of=text_of,
        distances={ANNA.author: 1},
        index=index,
    )


def test_each_language_has_its_notes_and_questions() -> None:
    for lang, held in CORPORA.items():
        assert len(held.texts) >= 20, lang
        assert len(held.queries) == 20, lang
        assert {title for _, title in held.queries} <= held.texts.keys(), lang
        assert all(guess_language(text, "") == lang for text in held.texts.values() if len(text) > 200), lang


@pytest.mark.parametrize(("lang", "words", "title"), ASKED)
def test_what_is_asked_for_comes_first(db: sqlite3.Connection, lang: str, words: str, title: str) -> None:
    hits = find(db, words)
    titles = [getattr(hit.held.record.body, "title", "") for hit in hits]
    assert titles[:1] == [title], titles[:3]
    # Where the words are in the title alone there is no passage.
    assert hits[0].passage is None or hits[0].passage.marks


@pytest.mark.parametrize("lang", LANGUAGES)
def test_each_note_is_found_first_by_its_own_title(db: sqlite3.Connection, lang: str) -> None:
    for title in CORPORA[lang].texts:
        assert getattr(find(db, title)[0].held.record.body, "title", "") == title
