"""Many records at once are stored as each would be by itself, whatever comes together and in which order."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pkn_protocol.records.circles import EpochKey
from pkn_protocol.records.ids import raw_cid
from pkn_protocol.records.model import Item, Payload
from pkn_protocol.search.query import parse_query
from pknd.search.local import statistics_of
from pknd.search.scores import Matches
from pknd.store.batch import Arrival, ingest_many
from pknd.store.database import open_database
from pknd.store.ingest import Outcome, Status, ingest
from tests.pknd.store.people import NOW, Person

ANNA, BRUNO, CHIARA = Person("Anna"), Person("Bruno"), Person("Chiara")
EPOCH = EpochKey(b"e" * 32)


def _pool() -> list[Arrival]:
    """Records of every sort that hang together: versions, sealed ones, retractions, a device late."""
    payload = Payload("text/plain", 5, raw_cid(b"hello"))
    notes = [ANNA.note(f"Note {n}", tags=(f"tag/{n % 3}", "Wing"), time=NOW + n) for n in range(20)]
    shared = [ANNA.note(f"Same content {n}", payload=payload, time=NOW + n) for n in range(3)]
    linking = [BRUNO.note(f"See {n}", links=(notes[n].id,)) for n in range(3)]
    later = [ANNA.note("Note 0, again", item=notes[0].id, replaces=(notes[0].id,), time=NOW + 100)]
    page = ANNA.note("A page", kind="page")
    pages = [page, BRUNO.note("A page by two", kind="page", item=page.id, replaces=(page.id,))]
    inner = [ANNA.note(f"Secret {n}", audience="trusted") for n in range(4)]
    records = [
        *notes, *shared, *linking, *later, *pages,
        ANNA.retraction(notes[1].id),
        BRUNO.retraction(notes[2].id),
        ANNA.note("Over", expires=NOW - 1),
        ANNA.note("Long ahead", time=NOW + 40 * 86_400_000),
        ANNA.note("For a circle, and open", audience="trusted"),
        CHIARA.note("By nobody known"),
        CHIARA.device_record(),
        ANNA.record("note", Item("What is this", lang="en"), extra={"!strange": 1}),
    ]  # fmt: skip
    arrivals = [Arrival(record) for record in records]
    arrivals += [Arrival(ANNA.sealed(one, EPOCH, n), one) for n, one in enumerate(inner)]
    arrivals += [
        Arrival(ANNA.sealed(inner[0], EPOCH, 99), inner[0]),
        Arrival(ANNA.sealed(inner[1], EPOCH, 98)),
    ]
    return arrivals


POOL = _pool()


@given(batches=st.lists(st.lists(st.sampled_from(POOL), max_size=30), max_size=3))
@settings(max_examples=60, deadline=None)
def test_a_batch_is_stored_as_its_records_one_by_one(
    batches: list[list[Arrival]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("stores")
    with _store(folder / "many.db") as many, _store(folder / "single.db") as single:
        for batch in batches:
            together = ingest_many(many, batch, now=NOW, near=(BRUNO.author,))
            one_by_one = [
                ingest(single, one.record, now=NOW, inner=one.inner, near=(BRUNO.author,)) for one in batch
            ]
            assert [_told(one) for one in together] == [_told(one) for one in one_by_one]
        assert _content(many) == _content(single)


def test_records_of_a_batch_are_findable_and_complete_at_once(tmp_path: Path) -> None:
    payload = Payload("text/plain", 5, raw_cid(b"hello"))
    notes = [ANNA.note(f"Glider {n}", payload=payload if n == 7 else None) for n in range(40)]
    with _store(tmp_path / "pkn.db") as db:
        outcomes = ingest_many(db, [Arrival(note, complete=True) for note in notes], now=NOW)
        assert {one.status for one in outcomes} == {Status.ADDED}
        query = parse_query("gliders", ["en"])
        found = Matches(db, query, statistics_of(db, query))
        assert {doc for doc, _ in found} == {one.rowid for one in outcomes}
        assert db.execute("SELECT record, complete FROM payload").fetchall() == [(outcomes[7].rowid, 1)]


def _told(outcome: Outcome) -> tuple[Status, str, bytes | None]:
    return outcome.status, outcome.reason, outcome.by


def _store(path: Path) -> Any:
    db = open_database(path)
    ANNA.join(db)
    BRUNO.join(db)
    return closing(db)


def _content(db: sqlite3.Connection) -> dict[str, list[tuple[Any, ...]]]:
    """All that is stored, by the ids of records in place of rows."""
    cited = "(SELECT other.id FROM record AS other WHERE other.rowid = {})".format
    return {
        name: sorted(db.execute(statement).fetchall())
        for name, statement in {
            "record": "SELECT id, author, scope, period, wire, coalesce(" + cited("record.inner") + ", ''),"
            " coalesce(item, ''), coalesce(audience, ''), coalesce(expires, 0), understood, head, shown,"
            " block FROM record",
            "sums": "SELECT scope, author, period, count, value, bytes FROM period_sum",
            "tags": f"SELECT tag, {cited('record')} FROM tag",
            "links": f"SELECT target, {cited('record')} FROM link",
            "replaced": f"SELECT old, {cited('record')} FROM replaced",
            "payloads": f"SELECT cid, size, complete, {cited('record')} FROM payload",
            "documents": f"SELECT length, public, lang, {cited('doc')} FROM document",
            "retracted": "SELECT item, author, retraction, owner FROM retracted",
            "retracted records": "SELECT id, retraction FROM retracted_record",
        }.items()
    }
