"""A stranger whose summaries claim every frequent word, against what people within the horizon wrote."""

from __future__ import annotations

import random
import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

import pytest

from bench.documents import Collection, collection, is_there
from bench.payloads import text_payload
from bench.relevance import ndcg
from pkn_protocol.records.ids import AuthorId, Cid
from pkn_protocol.records.model import Item, Record
from pkn_protocol.search.query import parse_query
from pkn_protocol.text.analysis import ANALYSER, analyse
from pkn_protocol.text.sketch import MOST_STEMS, Sketch, encode_sketch, make_sketch
from pknd.search.index import IndexReader
from pknd.search.local import local_query, statistics_of
from pknd.search.strangers import Strangers
from pknd.store.database import open_database
from pknd.store.ingest import Status, ingest
from pknd.store.records import Filter
from tests.pknd.store.people import NOW, Person

SPAM = 2000
GARDENS = Path(__file__).resolve().parents[2] / "demo" / "gardens"
ME, FRIEND, STRANGER = Person("me"), Person("friend"), Person("stranger")
NEAR: Mapping[AuthorId, int] = {ME.author: 0, FRIEND.author: 1}


@dataclass(frozen=True)
class Held:
    """Who wrote what, the names of what the friend wrote, and the questions."""

    db: sqlite3.Connection
    names: Mapping[Cid, str]
    collection: Collection


def texts() -> Collection:
    """cran where it is at hand, else the gardens of the demonstration, asked for the names of their files."""
    if is_there("cran"):
        return collection("cran")
    documents = {path.name: path.read_text("utf-8") for path in sorted(GARDENS.rglob("*.md"))}
    names = {name: Path(name).stem.replace("-", " ") for name in documents}
    return Collection("gardens", documents, names, {name: {name: 1} for name in documents})


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Held]:
    found = texts()
    with closing(open_database(tmp_path_factory.mktemp("spam") / "pkn.db")) as db:
        FRIEND.join(db)
        STRANGER.join(db)
        names = {}
        records = []
        for name, text in found.documents.items():
            title = text.partition("\n")[0][:200] or "Untitled"
            body = Item(title, lang="en", sketch=make_sketch(analyse(text, "en")), payload=text_payload(text))
            record = FRIEND.record("note", body)
            names[record.id] = name
            records.append(record)
        _take(db, records)
        yield Held(db, names, found)


def _take(db: sqlite3.Connection, records: Sequence[Record]) -> None:
    db.execute("BEGIN")
    for record in records:
        assert ingest(db, record, now=NOW).status in (Status.ADDED, Status.KNOWN)
    db.execute("COMMIT")


def spam(found: Collection) -> list[Record]:
    """Records that each claim 1,024 of the most frequent stems, in differing numbers."""
    stems = Counter(stem for text in found.documents.values() for stem in analyse(text, "en"))
    popular = [stem for stem, _ in stems.most_common(MOST_STEMS)]
    chance = random.Random(1)
    rare = 0
    while len(popular) < MOST_STEMS:
        rare += 1
        popular.append(rare)
    records = []
    for number in range(SPAM):
        kinds = [number % 2 * 3] * MOST_STEMS if number % 4 < 2 else [chance.randrange(4) for _ in popular]
        classes = dict(sorted(zip(popular, kinds, strict=True)))
        sketch = encode_sketch(Sketch(ANALYSER, 8 * MOST_STEMS, classes))
        body = Item(
            f"Best answer {number}", lang="en", sketch=sketch, payload=text_payload(f"Answer {number}")
        )
        records.append(STRANGER.record("note", body, time=NOW - number))
    return records


def ranked(held: Held, text: str, limit: int) -> list[str | None]:
    """What is found, best first: the name of an honest text, None for spam."""
    query = parse_query(text.replace('"', " ").replace(" -", " "), {"en"})
    index = IndexReader(held.db)
    hits = local_query(
        held.db,
        query,
        statistics_of(held.db, query, index, Strangers().left_out(held.db, NEAR)),
        Filter(now=NOW),
        limit=limit,
        text_of=lambda _db, _held: None,
        distances=NEAR,
        shown=0,
        index=index,
    )
    return [held.names.get(hit.held.record.id) for hit in hits]


def test_spam_stands_below_every_honest_match_and_changes_nothing_above(held: Held) -> None:
    questions = dict(list(held.collection.queries.items())[:: 1 if len(held.collection.queries) < 90 else 4])
    before = {number: ranked(held, text, 10) for number, text in questions.items()}
    matches = {number: len(ranked(held, text, 10_000)) for number, text in questions.items()}
    _take(held.db, spam(held.collection))
    seen = 0
    for number, text in questions.items():
        assert [name for name in ranked(held, text, 10) if name is not None] == before[number]
        everything = ranked(held, text, 10_000)
        honest = [place for place, name in enumerate(everything) if name is not None]
        assert len(honest) == matches[number]
        assert honest == list(range(len(honest)))
        seen += len(everything) - len(honest)
    # It is not that the spam was never a match.
    assert seen >= SPAM * len(questions) // 4
    quality = [
        ndcg([name for name in ranked(held, text, 10) if name is not None], held.collection.grades[number])
        for number, text in questions.items()
    ]
    assert mean(quality) == mean(
        ndcg([name for name in before[number] if name is not None], held.collection.grades[number])
        for number in questions
    )


def test_who_trusts_nobody_finds_long_texts_of_strangers_like_any(held: Held) -> None:
    record = STRANGER.record(
        "note",
        Item(
            "A long one",
            lang="en",
            sketch=make_sketch(analyse(" ".join(f"zymurgy word{number}" for number in range(400)), "en")),
            payload=text_payload("zymurgy"),
        ),
        time=NOW - 9_999,
    )
    _take(held.db, [record])
    query = parse_query("zymurgy", {"en"})
    statistics = statistics_of(held.db, query)

    def claim(near: Mapping[AuthorId, int]) -> float:
        [hit] = local_query(
            held.db,
            query,
            statistics,
            Filter(now=NOW),
            limit=10,
            text_of=lambda _db, _held: None,
            distances=near,
        )
        return hit.rank.explained()["claim"]

    assert claim({ME.author: 0}) == 1.0
    assert claim(NEAR) < 0.01
    assert claim({**NEAR, STRANGER.author: 2}) == 1.0
