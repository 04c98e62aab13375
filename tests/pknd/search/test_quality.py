"""How near answers from sketches come to a central index of full texts."""

from __future__ import annotations

import sqlite3

import pytest

from bench.documents import collection
from bench.payloads import text_payload
from bench.relevance import central_ndcg, ndcg
from pkn_protocol.records.ids import Cid
from pkn_protocol.records.model import Item
from pkn_protocol.search.query import parse_query
from pkn_protocol.text.analysis import analyse
from pkn_protocol.text.sketch import make_sketch
from pknd.search.local import local_query, statistics_of
from pknd.store.ingest import ingest
from pknd.store.records import Filter
from tests.pknd.store.people import NOW, Person


@pytest.mark.needs("shared:data/cran")
def test_answers_from_summaries_are_as_good_as_a_central_index(db: sqlite3.Connection, anna: Person) -> None:
    held = collection("cran")
    anna.join(db)
    names: dict[Cid, str] = {}
    db.execute("BEGIN")
    for name, text in held.documents.items():
        title, _, _ = text.partition("\n")
        body = Item(
            title[:200] or "Untitled",
            lang="en",
            sketch=make_sketch(analyse(text, "en")),
            payload=text_payload(text),
        )
        record = anna.record("note", body)
        names[record.id] = name
        ingest(db, record, now=NOW)
    db.execute("COMMIT")
    results = []
    for number, text in held.queries.items():
        query = parse_query(text, {"en"})
        hits = local_query(
            db,
            query,
            statistics_of(db, query),
            Filter(now=NOW),
            limit=10,
            text_of=lambda _db, _held: None,
            distances={anna.author: 1},
        )
        results.append(ndcg([names[hit.held.record.id] for hit in hits], held.grades[number]))
    assert sum(results) / len(results) >= 0.98 * central_ndcg(held)
