"""What the store lets in, and what follows from each record."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from pkn_protocol.records.circles import EpochKey
from pkn_protocol.records.codec import countersign_device, sign_record
from pkn_protocol.records.ids import Cid, DeviceId, ShortId, raw_cid, short_id
from pkn_protocol.records.model import Comment, Device, DeviceRetraction, Item, Payload, Profile, Retraction
from pkn_protocol.text.analysis import analyse
from pknd.search.index import IndexReader
from pknd.store.blocks import is_complete, put_block, set_complete
from pknd.store.files import BlockFiles
from pknd.store.floors import Floor, floor_of, forget_below
from pknd.store.ingest import Status, ingest
from pknd.store.people import claimed_name, claimed_names, devices_of, set_opinion
from pknd.store.records import (
    Filter,
    counts,
    get,
    is_held,
    listed,
    of_short,
    unopened,
    versions,
    with_prefix,
)
from pknd.store.removal import remove_author, remove_expired
from pknd.store.retract import retraction_of
from pknd.store.sums import sums_at
from tests.pknd.store.people import NOW, Person

HOUR = 3_600_000
DAY = 24 * HOUR
EPOCH = EpochKey(b"k" * 32)


def titles(db: sqlite3.Connection, now: int, **wanted: object) -> list[str]:
    found = listed(db, Filter(now=now, **wanted), limit=50)  # type: ignore[arg-type]
    return [held.record.body.title for held in found if isinstance(held.record.body, Item)]


def found_by(db: sqlite3.Connection, word: str) -> int:
    return IndexReader(db).frequency(analyse(word, "en"), public_only=False)


def test_a_record_is_taken_once(db: sqlite3.Connection, anna: Person) -> None:
    assert anna.join(db).status is Status.ADDED
    note = anna.note("Knots", excerpt="A bowline holds.")
    first = ingest(db, note, now=NOW)
    again = ingest(db, note, now=NOW)
    assert (first.status, again.status) == (Status.ADDED, Status.KNOWN)
    assert first.rowid == again.rowid
    held = get(db, note.id)
    assert held is not None and held.record == note and held.head and held.shown
    assert titles(db, NOW) == ["Knots"]
    assert found_by(db, "knots") == 1


def test_a_record_by_a_device_that_is_not_known_waits_outside(db: sqlite3.Connection, anna: Person) -> None:
    note = anna.note("Knots")
    assert ingest(db, note, now=NOW).status is Status.UNKNOWN_DEVICE
    assert not is_held(db, note.id)
    anna.join(db)
    assert ingest(db, note, now=NOW).status is Status.ADDED


def test_a_device_belongs_to_one_author(db: sqlite3.Connection, anna: Person, bruno: Person) -> None:
    anna.join(db)
    stolen = sign_record(
        author=bruno.author,
        key=bruno.key,
        time=NOW,
        kind="device",
        body=Device(DeviceId(anna.device.public), "mine", countersign_device(bruno.author, anna.device, NOW)),
    )
    assert ingest(db, stolen, now=NOW).status is Status.REFUSED
    in_annas_name = sign_record(
        author=anna.author, key=bruno.device, time=NOW, kind="note", body=Item("Not hers")
    )
    bruno.join(db)
    assert ingest(db, in_annas_name, now=NOW).status is Status.REFUSED


@pytest.mark.parametrize(
    ("ahead", "status", "visible"),
    [
        (0, Status.ADDED, True),
        (10 * 60_000, Status.ADDED, True),
        (10 * 60_000 + 1, Status.ADDED, False),
        (DAY, Status.ADDED, False),
        (DAY + 1, Status.REFUSED, False),
    ],
)
def test_a_time_ahead_hides_a_record_and_further_ahead_refuses_it(
    db: sqlite3.Connection, anna: Person, ahead: int, status: Status, visible: bool
) -> None:
    anna.join(db)
    note = anna.note("Tomorrow", time=NOW + ahead)
    assert ingest(db, note, now=NOW).status is status
    assert (titles(db, NOW) == ["Tomorrow"]) is visible
    if status is Status.ADDED:
        assert titles(db, NOW + DAY) == ["Tomorrow"]


def test_an_expired_record_is_neither_let_in_nor_shown_nor_kept(db: sqlite3.Connection, anna: Person) -> None:
    anna.join(db)
    assert ingest(db, anna.note("Gone", expires=NOW), now=NOW).status is Status.REFUSED
    passing = anna.note("Passing", expires=NOW + 1)
    assert ingest(db, passing, now=NOW).status is Status.ADDED
    assert titles(db, NOW) == ["Passing"]
    assert titles(db, NOW + 1) == []
    assert remove_expired(db, now=NOW + 1, limit=10).records == 1
    assert not is_held(db, passing.id)
    assert found_by(db, "passing") == 0


def test_what_is_not_understood_is_kept_and_passed_on_but_not_shown(
    db: sqlite3.Connection, anna: Person
) -> None:
    anna.join(db)
    strange = anna.note("Strange", extra={"!rule": 1})
    assert ingest(db, strange, now=NOW).status is Status.ADDED
    assert titles(db, NOW) == []
    assert found_by(db, "strange") == 0
    assert sum(s.count for s in sums_at(db, anna.author, [b""], at=NOW, floor=None).values()) == 2


def test_a_retraction_that_is_not_understood_takes_nothing_back(
    db: sqlite3.Connection, anna: Person, bruno: Person
) -> None:
    for person in (anna, bruno):
        person.join(db)
    note = anna.note("Still here")
    ingest(db, note, now=NOW)
    conditional = anna.record("retraction", Retraction(), item=note.id, extra={"!from": NOW + DAY})
    outcome = ingest(db, conditional, now=NOW)
    assert (outcome.status, outcome.removed) == (Status.ADDED, 0)
    assert titles(db, NOW) == ["Still here"]
    assert found_by(db, "still") == 1
    assert retraction_of(db, note.id) is None
    later = anna.note("Said again", time=NOW + 1, item=note.id, replaces=(note.id,))
    assert ingest(db, later, now=NOW).status is Status.ADDED
    # It travels like any other.
    assert sum(s.count for s in sums_at(db, anna.author, [b""], at=NOW + 1, floor=None).values()) == 4


def test_a_device_that_is_not_understood_joins_nothing(db: sqlite3.Connection, anna: Person) -> None:
    body = anna.device_record().body
    strange = sign_record(
        author=anna.author, key=anna.key, time=NOW, kind="device", body=body, extra={"!until": NOW + DAY}
    )
    assert ingest(db, strange, now=NOW).status is Status.ADDED
    assert ingest(db, anna.note("By whom?"), now=NOW).status is Status.UNKNOWN_DEVICE
    assert devices_of(db, anna.author) == []


def test_what_is_sealed_in_a_record_that_is_not_understood_stays_closed(
    db: sqlite3.Connection, anna: Person
) -> None:
    anna.join(db)
    inner = anna.note("Only under a condition", audience="trusted")
    plain = anna.sealed(inner, EPOCH)
    strange = anna.record("sealed", plain.body, extra={"!seen": 1})
    assert ingest(db, strange, now=NOW, inner=inner).status is Status.ADDED
    assert titles(db, NOW) == []
    assert not is_held(db, inner.id)
    assert ingest(db, plain, now=NOW, inner=inner).status is Status.ADDED
    assert titles(db, NOW) == ["Only under a condition"]


def test_a_profile_that_is_not_understood_names_nobody(db: sqlite3.Connection, anna: Person) -> None:
    anna.join(db)
    first = anna.record("profile", Profile("Anna"))
    strange = anna.record(
        "profile", Profile("Nobody"), time=NOW + 1, replaces=(first.id,), extra={"!until": NOW}
    )
    for record in (first, strange):
        ingest(db, record, now=NOW)
    assert claimed_name(db, anna.author) == "Anna"
    assert claimed_names(db) == {anna.author: "Anna"}


def test_a_newer_version_takes_the_place_of_the_older(db: sqlite3.Connection, anna: Person) -> None:
    anna.join(db)
    first = anna.note("Old words")
    second = anna.note("New phrases", time=NOW + 1, item=first.id, replaces=(first.id,))
    for record in (second, first):  # the later one arrives first
        assert ingest(db, record, now=NOW).status is Status.ADDED
    assert titles(db, NOW) == ["New phrases"]
    assert (found_by(db, "words"), found_by(db, "phrases")) == (0, 1)
    assert [held.record.id for held in versions(db, first.id)] == [second.id, first.id]


def test_two_heads_show_as_two(db: sqlite3.Connection, anna: Person) -> None:
    anna.join(db)
    first = anna.note("First")
    left = anna.note("Left", time=NOW + 1, item=first.id, replaces=(first.id,))
    right = anna.note("Right", time=NOW + 2, item=first.id, replaces=(first.id,))
    for record in (first, left, right):
        ingest(db, record, now=NOW)
    assert titles(db, NOW) == ["Right", "Left"]
    joined = anna.note("Joined", time=NOW + 3, item=first.id, replaces=(left.id, right.id))
    ingest(db, joined, now=NOW)
    assert titles(db, NOW) == ["Joined"]


def test_nobody_takes_over_anothers_note_even_when_he_comes_first(
    db: sqlite3.Connection, anna: Person, bruno: Person
) -> None:
    anna.join(db)
    bruno.join(db)
    first = anna.note("Mine")
    theft = bruno.note("Stolen", time=NOW + 1, item=first.id, replaces=(first.id,))
    ingest(db, theft, now=NOW, near={bruno.author})
    ingest(db, first, now=NOW, near={bruno.author})
    assert titles(db, NOW) == ["Mine"]
    assert found_by(db, "stolen") == 0


def test_blocked_authors_are_not_shown(db: sqlite3.Connection, anna: Person) -> None:
    anna.join(db)
    ingest(db, anna.note("Noise"), now=NOW)
    set_opinion(db, anna.author, "blocked", None, NOW)
    assert titles(db, NOW) == []
    assert counts(db).items == 0


def test_lists_are_filtered_by_tag_author_kind_time_and_audience(
    db: sqlite3.Connection, anna: Person, bruno: Person
) -> None:
    anna.join(db)
    bruno.join(db)
    ingest(db, anna.note("Reef", tags=("Sail/Heavy",)), now=NOW)
    ingest(db, anna.note("Jib", tags=("sail",), time=NOW + 1, kind="page"), now=NOW)
    ingest(db, bruno.note("Sailor", tags=("sailors",), time=NOW + 2), now=NOW)
    inner = bruno.note("Secret", time=NOW + 3, audience="trusted")
    ingest(db, bruno.sealed(inner, EpochKey(b"k" * 32)), now=NOW, inner=inner)
    assert titles(db, NOW, tags=("sail",)) == ["Jib", "Reef"]
    assert titles(db, NOW, tags=("sail/heavy",)) == ["Reef"]
    assert titles(db, NOW, author=bruno.author) == ["Secret", "Sailor"]
    assert titles(db, NOW, kind="page") == ["Jib"]
    assert titles(db, NOW, since=NOW + 1) == ["Secret", "Sailor", "Jib"]
    assert titles(db, NOW, audience="public") == ["Sailor", "Jib", "Reef"]
    assert titles(db, NOW, audience="sealed") == titles(db, NOW, audience="trusted") == ["Secret"]
    assert titles(db, NOW, audience="private") == []


def test_a_sealed_record_travels_as_one_and_is_cited_as_the_other(
    db: sqlite3.Connection, anna: Person
) -> None:
    anna.join(db)
    epoch = EpochKey(b"k" * 32)
    inner = anna.note("Secret plan", audience="trusted")
    outer = anna.sealed(inner, epoch)
    outcome = ingest(db, outer, now=NOW, inner=inner)
    held = get(db, inner.id)
    assert held is not None and outcome.rowid == held.rowid and held.scope == epoch.tag
    sums = sums_at(db, anna.author, [b"", epoch.tag], at=NOW, floor=None)
    assert {(row.scope, total.count) for row, total in sums.items()} == {(b"", 1), (epoch.tag, 1)}
    assert with_prefix(db, outer.id, outer.id, most=2) == []
    assert with_prefix(db, inner.id, inner.id, most=2) == [inner.id]
    assert ingest(db, outer, now=NOW, inner=inner).rowid == held.rowid


def test_a_sealed_record_can_be_opened_later(db: sqlite3.Connection, anna: Person) -> None:
    anna.join(db)
    epoch = EpochKey(b"k" * 32)
    inner = anna.note("Secret plan", audience="trusted")
    outer = anna.sealed(inner, epoch)
    ingest(db, outer, now=NOW)
    assert titles(db, NOW) == []
    [waiting] = unopened(db, epoch.tag)
    assert ingest(db, waiting.record, now=NOW, inner=inner).status is Status.ADDED
    assert titles(db, NOW) == ["Secret plan"]
    assert unopened(db, epoch.tag) == []


def test_a_sealed_record_that_turns_out_to_be_retracted_goes(db: sqlite3.Connection, anna: Person) -> None:
    anna.join(db)
    epoch = EpochKey(b"k" * 32)
    inner = anna.note("Secret plan", audience="trusted")
    outer = anna.sealed(inner, epoch)
    ingest(db, outer, now=NOW)
    ingest(db, anna.retraction(inner.id), now=NOW)
    assert is_held(db, outer.id)
    assert ingest(db, outer, now=NOW, inner=inner).status is Status.RETRACTED
    assert not is_held(db, outer.id)
    assert list(sums_at(db, anna.author, [epoch.tag], at=NOW, floor=None)) == []


def test_one_record_sealed_twice_is_shown_once_and_counted_twice(
    db: sqlite3.Connection, anna: Person
) -> None:
    anna.join(db)
    before, after = EpochKey(b"k" * 32), EpochKey(b"l" * 32)
    inner = anna.note("Secret plan", audience="trusted")
    first, second = anna.sealed(inner, before), anna.sealed(inner, after)
    assert ingest(db, first, now=NOW, inner=inner).status is Status.ADDED
    assert ingest(db, second, now=NOW, inner=inner).status is Status.ADDED
    assert titles(db, NOW) == ["Secret plan"]
    ingest(db, anna.retraction(inner.id), now=NOW)
    assert titles(db, NOW) == []
    assert not any(is_held(db, record.id) for record in (inner, first, second))
    assert list(sums_at(db, anna.author, [before.tag, after.tag], at=NOW, floor=None)) == []


def test_a_record_for_a_circle_is_refused_unsealed(db: sqlite3.Connection, anna: Person) -> None:
    anna.join(db)
    assert ingest(db, anna.note("Secret", audience="trusted"), now=NOW).status is Status.REFUSED


def test_what_was_retracted_is_gone_and_does_not_come_back(
    db: sqlite3.Connection, anna: Person, bruno: Person
) -> None:
    anna.join(db)
    bruno.join(db)
    first = anna.note("Mistake")
    second = anna.note("Mistake again", time=NOW + 1, item=first.id, replaces=(first.id,))
    remark = bruno.record("comment", Comment(first.id, "True!"), item=first.id)
    for record in (first, second, remark):
        ingest(db, record, now=NOW)
    taken_back = anna.retraction(first.id)
    assert ingest(db, taken_back, now=NOW).removed == 3
    third = anna.note("Mistake once more", time=NOW + 2, item=first.id, replaces=(second.id,))
    for record in (first, second, third, remark):
        outcome = ingest(db, record, now=NOW)
        assert (outcome.status, outcome.by) == (Status.RETRACTED, taken_back.id)
    assert titles(db, NOW) == []
    assert found_by(db, "mistake") == 0
    assert all(retraction_of(db, record.id) == taken_back.id for record in (first, second, remark))
    assert is_held(db, taken_back.id)


def test_a_retraction_that_comes_first_keeps_its_item_out(
    db: sqlite3.Connection, anna: Person, bruno: Person
) -> None:
    anna.join(db)
    bruno.join(db)
    first = anna.note("Page", kind="page")
    by_bruno = bruno.note("Page, extended", kind="page", time=NOW + 1, item=first.id, replaces=(first.id,))
    ingest(db, anna.retraction(first.id), now=NOW)
    assert ingest(db, by_bruno, now=NOW, near={bruno.author}).status is Status.ADDED
    assert ingest(db, first, now=NOW).status is Status.RETRACTED
    # Now it is known whose item it was.
    assert not is_held(db, by_bruno.id)
    assert ingest(db, by_bruno, now=NOW, near={bruno.author}).status is Status.RETRACTED


def test_anothers_retraction_takes_only_what_is_his(
    db: sqlite3.Connection, anna: Person, bruno: Person
) -> None:
    anna.join(db)
    bruno.join(db)
    first = anna.note("Page", kind="page")
    by_bruno = bruno.note("Page, extended", kind="page", time=NOW + 1, item=first.id, replaces=(first.id,))
    for record in (first, by_bruno):
        ingest(db, record, now=NOW, near={bruno.author})
    assert titles(db, NOW) == ["Page, extended"]
    ingest(db, bruno.retraction(first.id), now=NOW)
    assert is_held(db, first.id) and not is_held(db, by_bruno.id)
    assert retraction_of(db, first.id) is None


def test_forgetting_raises_the_floor_and_makes_no_holes(db: sqlite3.Connection, anna: Person) -> None:
    anna.join(db)
    notes = [anna.note(f"Note {number}", time=NOW + number) for number in range(6)]
    for note in notes:
        ingest(db, note, now=NOW)
    floor = Floor(notes[3].time, notes[3].id)
    assert forget_below(db, anna.author, floor).records == 3
    assert titles(db, NOW) == ["Note 5", "Note 4", "Note 3"]
    assert floor_of(db, anna.author) == floor
    assert ingest(db, notes[0], now=NOW).status is Status.REFUSED
    assert forget_below(db, anna.author, Floor(0, Cid(b""))).records == 0
    assert floor_of(db, anna.author) == floor
    # The device record is standing: it stays, whatever its time.
    assert ingest(db, anna.note("Later", time=NOW + 9), now=NOW).status is Status.ADDED


def test_removing_an_author_leaves_nothing_to_find(
    db: sqlite3.Connection, anna: Person, bruno: Person
) -> None:
    anna.join(db)
    bruno.join(db)
    page = anna.note("Shared page", kind="page")
    more = bruno.note("Shared page, more", kind="page", time=NOW + 1, item=page.id, replaces=(page.id,))
    for record in (page, more, bruno.note("Own note")):
        ingest(db, record, now=NOW, near={bruno.author})
    remove_author(db, bruno.author, keep_standing=False)
    assert titles(db, NOW) == ["Shared page"]
    assert ingest(db, bruno.note("Back"), now=NOW).status is Status.UNKNOWN_DEVICE
    assert list(sums_at(db, bruno.author, [b""], at=NOW, floor=None)) == []


def test_a_payload_of_another_size_is_not_taken_for_the_same(
    db: sqlite3.Connection, anna: Person, bruno: Person
) -> None:
    anna.join(db)
    bruno.join(db)
    cid = raw_cid(b"text")
    true = ingest(db, anna.note("True", payload=Payload("text/plain", 4, cid)), now=NOW)
    put_block(db, BlockFiles(Path("/nonexistent")), cid, b"text", record=true.rowid)
    set_complete(db, true.rowid)
    same = ingest(db, bruno.note("Same", payload=Payload("text/plain", 4, cid)), now=NOW)
    false = ingest(db, bruno.note("False", payload=Payload("text/plain", 5, cid)), now=NOW)
    assert [is_complete(db, outcome.rowid) for outcome in (true, same, false)] == [True, True, False]


def test_a_retraction_of_a_device_is_kept_among_the_standing_records(
    db: sqlite3.Connection, anna: Person
) -> None:
    anna.join(db)
    record = sign_record(
        author=anna.author,
        key=anna.key,
        time=NOW,
        kind="retraction",
        body=DeviceRetraction(DeviceId(anna.device.public)),
    )
    assert ingest(db, record, now=NOW).status is Status.ADDED
    [(row, total)] = sums_at(db, anna.author, [b""], at=NOW, floor=None).items()
    assert (row.period, total.count) == (0, 2)


def test_a_short_id_means_records_of_its_author_and_what_was_retracted(
    db: sqlite3.Connection, anna: Person, bruno: Person
) -> None:
    anna.join(db)
    bruno.join(db)
    note = anna.note("Knots")
    ingest(db, note, now=NOW)
    short = short_id(note.id)
    assert [cid for cid, _ in of_short(db, anna.author, short)] == [note.id]
    assert [cid for cid, _ in of_short(db, bruno.author, short)] == []
    assert [cid for cid, _ in of_short(db, anna.author, ShortId(bytes(8)))] == []
    ingest(db, anna.retraction(note.id), now=NOW)
    # It is answered with its retraction.
    assert [cid for cid, _ in of_short(db, anna.author, short)] == [note.id]


def test_a_short_id_is_found_without_going_through_all_records_of_its_author(
    db: sqlite3.Connection, anna: Person
) -> None:
    anna.join(db)
    steps: list[int] = []
    db.set_progress_handler(lambda: steps.append(1), 1)
    costs = []
    for size in (10, 400):
        notes = [anna.note(f"{size} {number}", time=NOW - number) for number in range(size)]
        for note in notes:
            ingest(db, note, now=NOW)
        steps.clear()
        assert [cid for cid, _ in of_short(db, anna.author, short_id(notes[0].id))] == [notes[0].id]
        costs.append(len(steps))
    assert costs[1] < 2 * costs[0]
