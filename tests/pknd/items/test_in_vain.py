"""When a text counts as withheld by its author."""

from __future__ import annotations

import sqlite3

import pytest

from pkn_protocol.records.ids import Cid, raw_cid
from pkn_protocol.records.model import Payload
from pknd.items import in_vain
from pknd.items.in_vain import ROUNDS, AskedInVain, gone_of
from pknd.store.blocks import set_complete
from pknd.store.ingest import ingest
from tests.pknd.store.people import NOW, Person

MINUTE, HOUR = 60.0, 3600.0


def record(number: int) -> Cid:
    return raw_cid(number.to_bytes(4, "big"))


def test_it_takes_several_answers_some_time_apart() -> None:
    asked = AskedInVain(MINUTE)
    for number in range(ROUNDS):
        assert asked.records == {}
        for later in (0.0, 1.0, MINUTE - 1):
            asked.absent(record(7), 70, number * MINUTE + later)
    assert asked.records == {70: record(7)}


def test_what_its_author_contradicts_is_withheld_at_once_and_until_it_comes() -> None:
    asked = AskedInVain(MINUTE)
    asked.contradicted(record(7), 70, 0.0)
    before = asked.records
    asked.forget({record(8)})
    assert asked.records is before == {70: record(7)}
    asked.forget({record(7)})
    assert asked.records == {}
    asked.absent(record(7), 70, MINUTE)
    assert asked.records == {}


def test_a_record_that_comes_back_in_another_row_leaves_the_old_one() -> None:
    asked = AskedInVain(MINUTE)
    asked.contradicted(record(7), 70, 0.0)
    asked.contradicted(record(7), 71, 1.0)
    assert asked.records == {71: record(7)}


def test_a_row_that_was_given_to_another_record_is_that_ones() -> None:
    asked = AskedInVain(MINUTE)
    asked.contradicted(record(7), 70, 0.0)
    asked.contradicted(record(8), 70, 1.0)
    asked.forget({record(7)})
    assert asked.records == {70: record(8)}


def test_where_there_is_no_room_only_what_was_not_asked_for_lately_makes_some(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(in_vain, "MOST_NOTED", 3)
    asked = AskedInVain(MINUTE)
    # More than there is room for, in turn: they do not push each other out before any has all its rounds.
    for number in range(ROUNDS):
        for one in range(1, 6):
            asked.absent(record(one), one, number * MINUTE)
    assert asked.records == {one: record(one) for one in (1, 2, 3)}


def test_what_was_forgotten_for_want_of_room_begins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(in_vain, "MOST_NOTED", 3)
    asked = AskedInVain(MINUTE)
    for number in range(ROUNDS - 1):
        asked.absent(record(0), 9, number * MINUTE)
    for one in range(1, 4):
        asked.absent(record(one), one, ROUNDS * MINUTE + HOUR)
    asked.absent(record(0), 9, ROUNDS * MINUTE + 3 * HOUR)
    assert asked.records == {}


def test_rows_of_others_and_texts_that_came_are_forgotten(db: sqlite3.Connection, anna: Person) -> None:
    anna.join(db)
    noted, payload = {}, Payload("text/plain", 9, raw_cid(b"some text"))
    for number in range(3):
        note = anna.note(f"N{number}", time=NOW + number, payload=payload)
        noted[ingest(db, note, now=NOW).rowid] = note.id
    _, came, gone = noted
    set_complete(db, came)
    assert gone_of(db, {**noted, gone: record(7)}) == {noted[came], record(7)}
