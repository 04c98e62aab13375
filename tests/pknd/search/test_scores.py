"""Which postings are read for the best documents: frequent words are looked up where they cannot matter."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

import pytest

from pkn_protocol.search.documents import best_class
from pkn_protocol.search.query import Query, Term
from pkn_protocol.search.scoring import Statistics, bm25
from pkn_protocol.text.sketch import length_code, length_of_code
from pknd.search import lists, recent, scores
from pknd.search.index import IndexReader, add_terms, remove_document
from pknd.search.local import statistics_of
from pknd.search.postings import Terms
from pknd.search.scores import Matches
from pknd.store.database import open_database

DOCUMENTS = 100_000
EVERYWHERE, OFTEN, RARE, RARER = 11, 12, 13, 14
"""Stems: in every document, in every third, in every 600th, and in every 1,000th."""
TOP = 10
Document = Mapping[int, int]
Found = list[tuple[int, float]]


@pytest.fixture(scope="module")
def documents() -> Sequence[tuple[Document, int]]:
    chance = random.Random(1)
    found = []
    for number in range(DOCUMENTS):
        classes = {EVERYWHERE: chance.randrange(4)}
        for stem, each in ((OFTEN, 3), (RARE, 600), (RARER, 1000)):
            if number % each == 0:
                classes[stem] = chance.randrange(4)
        found.append((classes, length_of_code(length_code(chance.randrange(40, 400)))))
    return found


@pytest.fixture(scope="module")
def filled(
    documents: Sequence[tuple[Document, int]], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[sqlite3.Connection]:
    db = open_database(tmp_path_factory.mktemp("index") / "index.db")
    with db:
        add_terms(
            db,
            [Terms(doc, classes, length, True) for doc, (classes, length) in enumerate(documents)],
            ["en"] * DOCUMENTS,
        )
    yield db
    db.close()


def query_of(*stems: int, excluded: tuple[int, ...] = ()) -> Query:
    def terms(wanted: tuple[int, ...]) -> tuple[Term, ...]:
        return tuple(Term(f"w{stem}", frozenset({stem})) for stem in wanted)

    return Query("", terms(stems), (), terms(excluded), ())


def best_of(documents: Sequence[tuple[Document, int]], query: Query, statistics: Statistics) -> Found:
    """All that match, best first, each document looked at."""
    terms, out = ([next(iter(t.stems)) for t in some] for some in (query.terms, query.excluded))
    scores = {
        doc: bm25([classes.get(stem) for stem in terms], length, statistics)
        for doc, (classes, length) in enumerate(documents)
        if not any(stem in classes for stem in out)
    }
    return [(doc, score) for doc, score in sorted(scores.items(), key=lambda one: (-one[1], one[0])) if score]


def asked(
    db: sqlite3.Connection, query: Query, most: int | None = TOP
) -> tuple[list[tuple[int, float]], int]:
    """The best, and how many postings were read."""
    reader = IndexReader(db)
    found = list(islice(Matches(db, query, statistics_of(db, query, reader), reader), most))
    return found, reader.read


def same(found: Found, expected: Found) -> bool:
    assert [doc for doc, _ in found] == [doc for doc, _ in expected]
    return [score for _, score in found] == pytest.approx([score for _, score in expected])


@pytest.mark.parametrize(
    "stems", [(RARE, EVERYWHERE), (EVERYWHERE, RARE), (RARER, RARE, EVERYWHERE), (RARE, RARE, EVERYWHERE)]
)
def test_frequent_words_are_looked_up_and_not_read_through(
    filled: sqlite3.Connection,
    documents: Sequence[tuple[Document, int]],
    stems: tuple[int, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lists, "BLOCK_POSTINGS", 16)
    query = query_of(*stems)
    expected = best_of(documents, query, statistics_of(filled, query))
    found, read = asked(filled, query)
    assert same(found, expected[:TOP])
    assert read < DOCUMENTS / 20
    # Whoever wants more than what the rarer words find has them read.
    found, read = asked(filled, query, 5000)
    assert same(found, expected[:5000])
    assert read >= DOCUMENTS


@pytest.mark.parametrize(
    "query",
    [
        query_of(EVERYWHERE),
        query_of(OFTEN, EVERYWHERE),
        query_of(EVERYWHERE, excluded=(OFTEN,)),
        query_of(RARE, EVERYWHERE, excluded=(OFTEN,)),
    ],
)
def test_questions_of_frequent_words_alone_and_without_some_are_answered(
    filled: sqlite3.Connection, documents: Sequence[tuple[Document, int]], query: Query
) -> None:
    found, _ = asked(filled, query)
    assert same(found, best_of(documents, query, statistics_of(filled, query))[:TOP])


@pytest.mark.parametrize("seed", range(8))
def test_the_order_is_that_of_all_scores_however_it_is_planned(
    db: sqlite3.Connection, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module, name, value in (
        (scores, "_SHORT", 0),
        (scores, "_LOOK", 0),
        (scores, "_CHECK", 0),
        (scores, "_FIRST_ASKED", 2),
        (scores, "_GROWTH", 2),
        (lists, "BLOCK_POSTINGS", 4),
        (lists, "_LOOKS", 1),
        (recent, "MOST_POSTINGS", 700),
    ):
        monkeypatch.setattr(module, name, value)
    chance = random.Random(seed)
    # Of the stems of one word, here two in a row, a document counts with the best.
    often = [2 ** -(stem // 2) for stem in range(12)]
    made = []
    for number in range(600):
        classes = {stem: chance.randrange(4) for stem in range(12) if chance.random() < often[stem]}
        made.append(Terms(number, classes, length_of_code(chance.randrange(20, 90)), chance.random() < 0.9))
    for start in range(0, 600, 60):
        add_terms(db, made[start : start + 60], ["en"] * 60)
    gone = set(chance.sample(range(600), 5))
    for doc in gone:
        remove_document(db, doc)
    for _ in range(20):
        words = [frozenset({2 * place, 2 * place + 1}) for place in chance.choices(range(6), k=4)]
        out = frozenset({chance.randrange(8, 12)})
        query = Query("", tuple(Term(str(min(one)), one) for one in words), (), (Term("out", out),), ())
        statistics = statistics_of(db, query)
        public = [one for one in made if one.public and one.doc not in gone]
        assert statistics.frequencies == tuple(
            sum(not one.isdisjoint(d.classes) for d in public) for one in words
        )
        expected = {
            one.doc: bm25([best_class(term, one.classes) for term in query.terms], one.length, statistics)
            for one in made
            if one.doc not in gone and out.isdisjoint(one.classes)
        }
        ordered = sorted(expected.items(), key=lambda one: (-round(one[1], 9), one[0]))
        found = list(Matches(db, query, statistics))
        assert same(
            sorted(found, key=lambda one: (-round(one[1], 9), one[0])), [one for one in ordered if one[1]]
        )
        assert [score for _, score in found] == sorted((score for _, score in found), reverse=True)


def test_a_figure_that_weighs_next_to_nothing_has_no_document_found_twice(
    documents: Sequence[tuple[Document, int]], filled: sqlite3.Connection
) -> None:
    query = query_of(EVERYWHERE, RARE)
    found = list(Matches(filled, query, Statistics(0, 1.0, (2**64 - 1, 2**64 - 1))))
    assert len(found) == len({doc for doc, _ in found}) == DOCUMENTS
