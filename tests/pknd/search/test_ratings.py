"""Ratings that came as records, and what they make of the rank."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pytest

from pkn_protocol.records.ids import Cid
from pkn_protocol.records.model import Comment, Rating, Record
from pkn_protocol.search.query import parse_query
from pknd.search.local import LocalHit, local_query, statistics_of
from pknd.search.ratings import Ratings
from pknd.store.ingest import Status, ingest
from pknd.store.records import Filter, get
from tests.pknd.store.people import NOW, Person

DAY = 86_400_000
ME, CROWD = Person("me"), [Person(f"crowd {number}") for number in range(30)]


@pytest.fixture
def item(db: sqlite3.Connection, anna: Person, bruno: Person, chiara: Person) -> Record:
    for person in (ME, anna, bruno, chiara, *CROWD):
        person.join(db)
    note = anna.note("The wing of a swift")
    ingest(db, note, now=NOW)
    return note


def rate(db: sqlite3.Connection, person: Person, item: Record, value: int, *, time: int = NOW) -> None:
    record = person.record("rating", Rating(item.id, value), time=time, item=item.item_id)
    assert ingest(db, record, now=NOW).status is Status.ADDED


def found(
    db: sqlite3.Connection,
    near: Mapping[Person, int],
    weights: Mapping[Person, float] | None = None,
) -> list[LocalHit]:
    query = parse_query("wing", {"en"})
    given = {person: 1.0 for person, far in near.items() if far == 1} if weights is None else weights
    return local_query(
        db,
        query,
        statistics_of(db, query),
        Filter(now=NOW),
        limit=10,
        text_of=lambda _db, _held: None,
        distances={ME.author: 0, **{person.author: far for person, far in near.items()}},
        weights={person.author: weight for person, weight in given.items()},
    )


def factor(
    db: sqlite3.Connection, near: Mapping[Person, int], weights: Mapping[Person, float] | None = None
) -> float:
    (hit,) = found(db, near, weights)
    assert hit.rank.score == pytest.approx(hit.rank.explained()["ratings"] * hit.text_score)
    return hit.rank.explained()["ratings"]


def test_what_people_near_think_lifts_and_lowers(
    db: sqlite3.Connection, item: Record, anna: Person, bruno: Person, chiara: Person
) -> None:
    near = {anna: 1, bruno: 1, chiara: 1}
    assert factor(db, near) == 1.0
    rate(db, bruno, item, 5)
    assert factor(db, near) == pytest.approx(1.1)
    rate(db, chiara, item, 5)
    assert factor(db, near) == pytest.approx(1 + 0.2 * 2 / 3)
    rate(db, chiara, item, 1, time=NOW + 1)
    assert factor(db, near) == pytest.approx(1.0)
    rate(db, ME, item, 1)
    assert factor(db, near) == pytest.approx(0.95)


def test_the_better_rated_of_two_comes_first(
    db: sqlite3.Connection, item: Record, anna: Person, bruno: Person
) -> None:
    other = anna.note("The wing of a crane")
    ingest(db, other, now=NOW)
    near = {anna: 1, bruno: 1}
    rate(db, bruno, other, 4)
    assert [hit.held.record.id for hit in found(db, near)] == [other.id, item.id]
    rate(db, bruno, item, 5)
    assert [hit.held.record.id for hit in found(db, near)] == [item.id, other.id]


def test_the_newest_of_each_person_counts_whatever_came_last(
    db: sqlite3.Connection, item: Record, anna: Person, bruno: Person
) -> None:
    rate(db, bruno, item, 5, time=NOW - 1)
    rate(db, bruno, item, 1, time=NOW - 2)
    for number in range(20):
        rate(db, bruno, item, 2, time=NOW - DAY - number)
    assert factor(db, {anna: 1, bruno: 1}) == pytest.approx(1.1)


def test_strangers_the_author_and_the_future_say_nothing(
    db: sqlite3.Connection, item: Record, anna: Person, bruno: Person, chiara: Person
) -> None:
    near = {anna: 1, bruno: 1}
    rate(db, anna, item, 5)
    rate(db, bruno, item, 5, time=NOW + DAY // 2)
    for stranger in (chiara, *CROWD):
        rate(db, stranger, item, 1)
    assert factor(db, near) == 1.0


@contextmanager
def counted(db: sqlite3.Connection) -> Iterator[list[None]]:
    """What SQLite does meanwhile: an entry for each hundred of its instructions."""
    steps: list[None] = []
    db.set_progress_handler(lambda: steps.append(None), 100)
    try:
        yield steps
    finally:
        db.set_progress_handler(None, 0)


def test_what_strangers_pile_up_does_not_hide_what_people_near_think(
    db: sqlite3.Connection, item: Record, anna: Person, bruno: Person, chiara: Person
) -> None:
    db.execute("BEGIN")
    rate(db, bruno, item, 5, time=NOW - DAY)
    rate(db, bruno, anna.note("Another"), 1)
    for number in range(1200):
        rate(db, chiara, item, 1, time=NOW - number)
    db.execute("COMMIT")
    assert factor(db, {anna: 1, bruno: 1}) == pytest.approx(1.1)


def test_what_strangers_pile_up_has_no_query_read_all_that_people_near_published(
    db: sqlite3.Connection, item: Record, anna: Person, bruno: Person, chiara: Person
) -> None:
    def work() -> int:
        """What SQLite does for the ratings of an item."""
        ratings = Ratings(db, {}, {anna.author: 1.0, bruno.author: 1.0}, NOW)
        with counted(db) as steps:
            assert ratings.of(item) == [(1.0, 5)]
        return len(steps)

    db.execute("BEGIN")
    rate(db, bruno, item, 5)
    for number in range(1200):
        comment = chiara.record("comment", Comment(item.id, "No"), time=NOW - number, item=item.item_id)
        assert ingest(db, comment, now=NOW).status is Status.ADDED
    piled_up = work()
    assert piled_up < 20
    for number in range(1000):
        ingest(db, bruno.note(f"Note {number}", time=NOW - number), now=NOW)
    db.execute("COMMIT")
    assert work() <= piled_up + 1


def test_a_crowd_behind_one_voucher_weighs_less_than_one_who_is_trusted(
    db: sqlite3.Connection, item: Record, anna: Person, bruno: Person
) -> None:
    near = {anna: 1, bruno: 1, **dict.fromkeys(CROWD, 2)}
    weights = {anna: 1.0, bruno: 1.0, **dict.fromkeys(CROWD, 0.5 / len(CROWD))}
    for one in CROWD:
        rate(db, one, item, 1)
    alone = factor(db, near, weights)
    assert 0.9 < alone < 1.0
    rate(db, bruno, item, 5)
    assert factor(db, near, weights) > 1.0


def test_beyond_what_others_can_reach_only_what_was_rated_is_looked_at(
    db: sqlite3.Connection, anna: Person, bruno: Person
) -> None:
    for person in (ME, anna, bruno):
        person.join(db)
    db.execute("BEGIN")
    # The longer the title, the less each of its words weighs; there are more than are looked at together.
    titles = ("wing " + " ".join(f"word{n}" for n in range(8 + k // 40)) for k in range(800))
    notes = [anna.note(title, time=NOW - k) for k, title in enumerate(titles)]
    for note in notes:
        ingest(db, note, now=NOW)
    db.execute("COMMIT")
    near = {anna: 1, bruno: 1}

    def looked_at() -> tuple[list[LocalHit], int]:
        """What is found, and how many records were read for it."""
        statements: list[str] = []
        db.set_trace_callback(statements.append)
        hits = found(db, near)
        db.set_trace_callback(None)
        return hits, sum("block" in one and "rowid =" in one for one in statements)

    before, unrated = looked_at()
    assert 0 < unrated < 200
    rate(db, bruno, notes[700], 1)
    hits, read = looked_at()
    assert hits == before and read <= unrated + 1
    rate(db, bruno, notes[45], 5)
    hits, read = looked_at()
    assert [hit.held.record.id for hit in hits] == [
        notes[45].id,
        *(hit.held.record.id for hit in before[:-1]),
    ]
    assert read <= unrated + 1


@pytest.fixture
def wings(db: sqlite3.Connection, anna: Person, bruno: Person, chiara: Person) -> list[Record]:
    """Notes by falling text score, more than are looked at together."""
    for person in (ME, anna, bruno, chiara, *CROWD):
        person.join(db)
    db.execute("BEGIN")
    titles = ("wing " + " ".join(f"word{n}" for n in range(2 + k // 40)) for k in range(300))
    notes = [anna.note(title, time=NOW - k) for k, title in enumerate(titles)]
    for note in notes:
        ingest(db, note, now=NOW)
    db.execute("COMMIT")
    return notes


def test_more_ratings_than_a_query_goes_through_are_gone_through_once(
    db: sqlite3.Connection, wings: list[Record], anna: Person, bruno: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pknd.search.ratings._MOST_LISTED", 20)
    near = {anna: 1, bruno: 1, **dict.fromkeys(CROWD, 1)}

    def listed() -> int:
        """How often the ratings that somebody gave were listed."""
        statements: list[str] = []
        db.set_trace_callback(statements.append)
        found(db, near)
        db.set_trace_callback(None)
        return sum("SELECT item FROM record WHERE kind = 'rating'" in one for one in statements)

    db.execute("BEGIN")
    for note in wings[:10]:
        rate(db, bruno, note, 5)
    assert listed() == 1, "of thirty people near one has rated something"
    for note in wings[10:40]:
        rate(db, bruno, note, 5)
    assert listed() == 1
    rate(db, bruno, wings[290], 5)
    assert len(found(db, near)) == 10
    db.execute("COMMIT")


def test_what_strangers_say_of_rated_items_is_not_read_to_find_these(
    db: sqlite3.Connection, wings: list[Record], anna: Person, bruno: Person, chiara: Person
) -> None:
    def work() -> int:
        """What SQLite does to find those that were rated."""
        docs = [get_id(db, note.id) for note in wings[:64]]
        ratings = Ratings(db, {}, {anna.author: 1.0, bruno.author: 1.0}, NOW)
        with counted(db) as steps:
            ratings.look_at(docs)
            assert [doc for doc in docs if ratings.may_have(doc)] == [docs[3]]
        return len(steps)

    def get_id(db: sqlite3.Connection, cid: Cid) -> int:
        held = get(db, cid)
        assert held is not None
        return held.rowid

    rate(db, bruno, wings[3], 5)
    before = work()
    db.execute("BEGIN")
    for number in range(1000):
        comment = chiara.record(
            "comment", Comment(wings[3].id, "No"), time=NOW - number, item=wings[3].item_id
        )
        assert ingest(db, comment, now=NOW).status is Status.ADDED
    db.execute("COMMIT")
    assert work() <= before + 2
