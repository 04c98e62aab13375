"""What is found on the own disk: which items, in which order, with which passages."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import replace

import pytest

from pkn_protocol.records.circles import EpochKey
from pkn_protocol.records.ids import Cid
from pkn_protocol.records.model import Item, Payload, Record
from pkn_protocol.search.documents import text_score
from pkn_protocol.search.query import parse_query
from pkn_protocol.text.analysis import analyse
from pkn_protocol.text.sketch import make_sketch
from pknd.search.index import IndexReader, collection, languages
from pknd.search.local import LocalHit, local_query, search, statistics_of
from pknd.search.texts import TextOf
from pknd.store.ingest import ingest
from pknd.store.people import set_opinion
from pknd.store.records import Filter, Held
from tests.pknd.store.people import NOW, Person

DAY = 86_400_000
SOME_CID = Cid(b"\x01\x55\x12\x20" + bytes(32))


@pytest.fixture(autouse=True)
def joined(db: sqlite3.Connection, anna: Person, bruno: Person, chiara: Person) -> None:
    for person in (anna, bruno, chiara):
        person.join(db)


def written(person: Person, title: str, text: str, lang: str = "en") -> Record:
    """A note whose payload is `text`."""
    sketch = make_sketch(analyse(f"{title}\n{text}", lang))
    payload = Payload("text/plain", len(text.encode()), SOME_CID, None)
    return person.record("note", Item(title, lang=lang, sketch=sketch, payload=payload))


def texts(held: Mapping[Cid, str]) -> TextOf:
    def text_of(_db: sqlite3.Connection, one: Held) -> str | None:
        return held.get(one.record.id)

    return text_of


def find(
    db: sqlite3.Connection,
    asked: str,
    *,
    wanted: Filter | None = None,
    limit: int = 10,
    near: Mapping[Person, int] | None = None,
    held: Mapping[Cid, str] | None = None,
    shown: int | None = None,
) -> list[LocalHit]:
    query = parse_query(asked, languages(db) | {"en"})
    return local_query(
        db,
        query,
        statistics_of(db, query),
        wanted or Filter(now=NOW),
        limit=limit,
        text_of=texts(held or {}),
        distances={person.author: distance for person, distance in (near or {}).items()},
        shown=shown,
    )


def titles(hits: list[LocalHit]) -> list[str]:
    return [hit.held.record.body.title for hit in hits if isinstance(hit.held.record.body, Item)]


def test_words_are_found_in_all_their_forms_and_exclusions_are_kept(
    db: sqlite3.Connection, anna: Person
) -> None:
    for title in ("Turbulent layers", "A laminar layer", "Wings"):
        ingest(db, anna.note(title), now=NOW)
    assert set(titles(find(db, "layer"))) == {"Turbulent layers", "A laminar layer"}
    assert titles(find(db, "layer -turbulence")) == ["A laminar layer"]
    assert find(db, "propeller") == []


def test_passages_are_made_for_what_can_be_shown_alone(db: sqlite3.Connection, anna: Person) -> None:
    bodies = ("drag drag drag drag drag", "drag drag drag", "drag of wings", "drag of plates")
    held: dict[Cid, str] = {}
    for number, text in enumerate(bodies):
        record = written(anna, f"Note {number}", text)
        ingest(db, record, now=NOW)
        held[record.id] = text
    having = [hit.passage is not None for hit in find(db, "drag", held=held, shown=1)]
    assert having == [True, False, False, False]
    equals = find(db, "drag", held=held, shown=3)
    assert equals[2].rank.score == equals[3].rank.score
    assert [hit.passage is not None for hit in equals] == [True] * 4
    assert all(hit.passage is not None for hit in find(db, "drag", held=held))


def test_each_hit_says_what_its_score_is_made_of(db: sqlite3.Connection, anna: Person) -> None:
    record = anna.note("Wings", time=NOW - 365 * DAY)
    ingest(db, record, now=NOW)
    (hit,) = find(db, "wing", near={anna: 2})
    query = parse_query("wing", {"en"})
    assert hit.text_score == text_score(record, query, statistics_of(db, query))
    factors = hit.rank.explained()
    assert (factors["distance"], round(factors["freshness"], 3)) == (0.9, 0.95)
    assert hit.rank.score == pytest.approx(hit.text_score * 0.9 * 0.95)


def test_what_is_replaced_retracted_hidden_or_of_a_blocked_author_is_not_found(
    db: sqlite3.Connection, anna: Person, bruno: Person, chiara: Person
) -> None:
    old = anna.note("Old wing")
    new = anna.note("New wing", time=NOW + 1, item=old.id, replaces=(old.id,))
    gone = anna.note("Gone wing")
    later = bruno.note("Later wing", time=NOW + DAY // 2)
    passing = bruno.note("Passing wing", expires=NOW + 10)
    blocked = chiara.note("Blocked wing")
    for record in (old, new, gone, later, passing, blocked, anna.retraction(gone.id, time=NOW + 2)):
        ingest(db, record, now=NOW)
    set_opinion(db, chiara.author, "blocked", None, NOW)
    assert set(titles(find(db, "wing"))) == {"New wing", "Passing wing"}
    assert set(titles(find(db, "wing", wanted=Filter(now=NOW + DAY)))) == {"New wing", "Later wing"}
    assert IndexReader(db).frequency(analyse("gone", "en"), public_only=False) == 0


def test_filters_apply(db: sqlite3.Connection, anna: Person, bruno: Person) -> None:
    ingest(db, anna.note("Tagged wing", tags=("Birds/Swift",)), now=NOW)
    ingest(db, anna.note("Paged wing", kind="page"), now=NOW)
    ingest(db, bruno.note("Early wing", time=NOW - DAY), now=NOW)
    cases = {
        "Tagged wing": Filter(tags=("birds",), now=NOW),
        "Paged wing": Filter(kind="page", now=NOW),
        "Early wing": Filter(author=bruno.author, now=NOW),
    }
    for title, wanted in cases.items():
        assert titles(find(db, "wing", wanted=wanted)) == [title]
    assert len(find(db, "wing", wanted=Filter(since=NOW, now=NOW))) == 2


def test_a_flood_of_stuffed_items_by_a_stranger_does_not_push_near_people_out(
    db: sqlite3.Connection, anna: Person, bruno: Person
) -> None:
    db.execute("BEGIN")
    for number in range(300):
        ingest(db, bruno.note(f"wing lift {number}"), now=NOW)
    for number in range(5):
        ingest(db, anna.note(f"Some lift of a wing seen from afar on a {number}th day"), now=NOW)
    db.execute("COMMIT")
    hits = find(db, "wing lift", near={anna: 1}, limit=5)
    assert {hit.held.record.author for hit in hits} == {anna.author}
    assert [hit.rank.score for hit in hits] == sorted((hit.rank.score for hit in hits), reverse=True)
    assert len(find(db, "wing lift", near={anna: 1}, limit=50)) == 50


def test_a_phrase_is_confirmed_by_the_text_and_flagged_where_there_is_none(
    db: sqlite3.Connection, anna: Person
) -> None:
    has = written(anna, "One", "the boundary layer is thin")
    lacks = written(anna, "Two", "the boundary of a layer")
    unknown = written(anna, "Three", "somewhere a layer with a boundary")
    words_missing = written(anna, "Four", "a layer")
    for record in (has, lacks, unknown, words_missing):
        ingest(db, record, now=NOW)
    held = {has.id: "the boundary layer is thin", lacks.id: "the boundary of a layer"}
    found = {hit.held.record.id: hit.confirmed for hit in find(db, '"boundary layer"', held=held)}
    assert found == {has.id: True, unknown.id: False}
    excluding = find(db, 'layer -"boundary layer"', held=held)
    assert {hit.held.record.id for hit in excluding} == {lacks.id, unknown.id, words_missing.id}


def test_of_a_text_that_was_cut_a_phrase_beyond_the_cut_is_not_denied(
    db: sqlite3.Connection, anna: Person
) -> None:
    record = written(anna, "Long", "a layer, a boundary, and a boundary layer")
    ingest(db, record, now=NOW)
    (hit,) = find(db, '"boundary layer"', held={record.id: "a layer, a boundary"})
    assert not hit.confirmed


def test_a_phrase_with_a_stop_word_is_found_among_items_in_several_languages(
    db: sqlite3.Connection, anna: Person
) -> None:
    english = written(anna, "One", "the flow of heat in metal")
    german = written(anna, "Zwei", "heat flow", lang="de")
    for record in (english, german):
        ingest(db, record, now=NOW)
    held = {english.id: "the flow of heat in metal"}
    (hit,) = find(db, '"flow of heat"', held=held)
    assert (hit.held.record.id, hit.confirmed) == (english.id, True)


def test_the_passage_comes_from_the_text_where_it_is_held_and_else_from_the_excerpt(
    db: sqlite3.Connection, anna: Person
) -> None:
    record = anna.note("Wings", excerpt="An excerpt on wings.")
    ingest(db, record, now=NOW)
    (hit,) = find(db, "wing")
    assert hit.passage is not None
    assert hit.passage.text == "An excerpt on wings."
    (hit,) = find(db, "wing", held={record.id: "The text says that a wing lifts."})
    assert hit.passage is not None
    assert [hit.passage.text[start:end] for start, end in hit.passage.marks] == ["wing"]


def test_a_word_is_found_in_each_language_that_is_held(db: sqlite3.Connection, anna: Person) -> None:
    ingest(db, written(anna, "Flügel", "Die Flügeln der Vögel", lang="de-AT"), now=NOW)
    assert languages(db) == {"de-AT"}
    assert titles(find(db, "vogel")) == ["Flügel"]


def test_a_peers_figures_come_from_public_summaries_alone_and_are_rounded(
    db: sqlite3.Connection, anna: Person
) -> None:
    for number in range(35):
        ingest(db, anna.note(f"Wing {number}"), now=NOW)
    epoch = EpochKey(bytes(32))
    secret = anna.record("note", Item("Secret wing", lang="en"), audience="trusted")
    ingest(db, anna.sealed(secret, epoch), inner=secret, now=NOW)
    statistics = statistics_of(db, parse_query("wing secret", {"en"})).as_told()
    assert statistics.frequencies == (32, 0)
    assert (statistics.documents, collection(db, public_only=False).documents) == (32, 36)
    assert "Secret wing" in titles(find(db, "secret"))


def test_a_peer_gets_the_best_by_text_of_what_it_may_see(
    db: sqlite3.Connection, anna: Person, bruno: Person
) -> None:
    ingest(db, anna.note("Wing"), now=NOW)
    ingest(db, bruno.note("Wing of a swift"), now=NOW)
    query = parse_query("wing", {"en"})
    statistics = replace(statistics_of(db, query), documents=1000)

    def ask(author: bytes | None) -> list[str]:
        hits = search(
            db,
            query,
            statistics,
            Filter(now=NOW),
            limit=10,
            text_of=texts({}),
            admit=None if author is None else lambda held: held.record.author == author,
        )
        assert [hit.text_score for hit in hits] == [hit.rank.score for hit in hits]
        return titles(hits)

    assert ask(None) == ["Wing", "Wing of a swift"]
    assert ask(bruno.author) == ["Wing of a swift"]


def test_what_is_withheld_counts_half(db: sqlite3.Connection, anna: Person, bruno: Person) -> None:
    lie = written(bruno, "Wing", "wing wing wing")
    vain = ingest(db, lie, now=NOW).rowid
    ingest(db, anna.note("Wing of a swift in flight"), now=NOW)
    query = parse_query("wing", {"en"})
    statistics = replace(statistics_of(db, query), documents=1000)

    def both(in_vain: dict[int, Cid]) -> tuple[list[LocalHit], list[str]]:
        asked = db, query, statistics, Filter(now=NOW)
        own = local_query(*asked, limit=10, text_of=texts({}), distances={}, in_vain=in_vain)
        return own, titles(search(*asked, limit=10, text_of=texts({}), in_vain=in_vain))

    before, answered = both({})
    assert titles(before) == answered == ["Wing", "Wing of a swift in flight"]
    after, answered = both({vain: lie.id})
    assert answered == titles(after)
    factors = {hit.held.rowid: hit.rank.explained()["claim"] for hit in after}
    assert factors[vain] == 0.5 and set(factors.values()) == {0.5, 1.0}
    # Of two the better is answered, as if the other had half its score.
    [one] = search(db, query, statistics, Filter(now=NOW), limit=1, text_of=texts({}), in_vain={vain: lie.id})
    assert titles([one]) == ["Wing of a swift in flight"]
    # The row may be another's by now.
    assert both({vain: SOME_CID})[0] == before
