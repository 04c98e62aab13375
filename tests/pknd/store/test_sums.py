"""Sums kept with each write are those of the records that are held, at every instant and floor."""

from __future__ import annotations

import sqlite3
import tempfile
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from pkn_protocol.records.circles import EpochKey
from pkn_protocol.records.ids import Cid
from pkn_protocol.records.model import Profile, Record
from pkn_protocol.sync.sums import counts_at, sum_of
from pknd.store.database import open_database
from pknd.store.floors import Floor, floor_of, forget_below
from pknd.store.ingest import Status, ingest
from pknd.store.records import get
from pknd.store.removal import remove_author, remove_expired
from pknd.store.retract import retraction_of
from pknd.store.sums import Row, ids_of_row, sums_at
from tests.pknd.store.people import NOW, Person

DAY = 86_400_000
EPOCH = EpochKey(b"e" * 32)
SCOPES = (b"", EPOCH.tag)
PEOPLE = (Person("Anna"), Person("Bruno"))
MOMENTS = st.integers(NOW - 100 * DAY, NOW + DAY)
INSTANTS = st.one_of(MOMENTS, st.just(NOW), st.just(NOW + DAY))


def month(time: int) -> int:
    moment = datetime.fromtimestamp(time / 1000, UTC)
    return (moment.year - 1970) * 12 + moment.month


class SumsMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.db = open_database(Path(self.folder.name) / "pkn.db")
        self.db.execute("BEGIN")
        self.wire: dict[Cid, Record] = {}
        self.number = 0

    def teardown(self) -> None:
        self.db.execute("COMMIT")
        self.db.close()
        self.folder.cleanup()

    @initialize()
    def everybody_joins(self) -> None:
        for person in PEOPLE:
            person.join(self.db)
            self.wire[person.device_record().id] = person.device_record()

    def take(self, record: Record, inner: Record | None = None) -> Status:
        status = ingest(self.db, record, now=NOW, inner=inner).status
        if status in (Status.ADDED, Status.KNOWN):
            self.wire[record.id] = record
        return status

    def forget_what_is_gone(self) -> None:
        self.wire = {cid: record for cid, record in self.wire.items() if get(self.db, cid) is not None}

    @rule(
        person=st.sampled_from(PEOPLE),
        time=MOMENTS,
        lasts=st.none() | st.integers(1, 3 * DAY),
        sealed=st.booleans(),
    )
    def publish(self, person: Person, time: int, lasts: int | None, sealed: bool) -> None:
        self.number += 1
        fields: dict[str, Any] = {} if lasts is None else {"expires": NOW + lasts}
        if not sealed:
            self.take(person.note(f"N{self.number}", time=time, **fields))
            return
        inner = person.note(f"N{self.number}", time=time, audience="trusted", **fields)
        self.take(person.sealed(inner, EPOCH, self.number), inner)

    @rule(person=st.sampled_from(PEOPLE), time=MOMENTS)
    def describe_oneself(self, person: Person, time: int) -> None:
        self.number += 1
        assert self.take(person.record("profile", Profile(f"P{self.number}"), time=time)) is Status.ADDED

    @rule(data=st.data())
    def come_again(self, data: st.DataObject) -> None:
        assert self.take(data.draw(st.sampled_from(sorted(self.wire.values(), key=lambda r: r.id)))) in (
            Status.KNOWN,
            Status.REFUSED,
        )

    @rule(data=st.data())
    def retract(self, data: st.DataObject) -> None:
        items = sorted(record.id for record in self.wire.values() if record.is_item)
        if items:
            item = self.wire[data.draw(st.sampled_from(items))]
            person = next(person for person in PEOPLE if person.author == item.author)
            retraction = person.retraction(item.id)
            self.take(retraction)
            assert get(self.db, item.id) is None
            assert retraction_of(self.db, item.id) == retraction.id
            self.forget_what_is_gone()

    @rule(person=st.sampled_from(PEOPLE), time=MOMENTS)
    def make_room(self, person: Person, time: int) -> None:
        forget_below(self.db, person.author, Floor(time, Cid(b"\x01\x71\x12\x20" + bytes(32))))
        self.forget_what_is_gone()

    @rule(person=st.sampled_from(PEOPLE))
    def forget_somebody(self, person: Person) -> None:
        remove_author(self.db, person.author, keep_standing=True)
        self.forget_what_is_gone()

    @rule(later=st.integers(0, 3 * DAY))
    def time_passes(self, later: int) -> None:
        remove_expired(self.db, now=NOW + later, limit=100)
        self.forget_what_is_gone()

    @rule(data=st.data(), besides=st.sampled_from([-1, 0, 1]))
    def compare_at_the_edges_of_a_record(self, data: st.DataObject, besides: int) -> None:
        edges = {edge for r in self.wire.values() for edge in (r.time, r.expires) if edge is not None}
        at = data.draw(st.sampled_from(sorted(edges)))
        floor = data.draw(st.sampled_from(sorted((r.time, r.id) for r in self.wire.values())))
        for person in PEOPLE:
            self.compare(person, at + besides, None)
            self.compare(person, at + besides, (floor[0], Cid(floor[1][:-1] + bytes([floor[1][-1] ^ 1]))))
            self.compare(person, at + besides, floor)

    @rule(at=INSTANTS, time=MOMENTS)
    def compare_with_a_floor_of_the_other_side(self, at: int, time: int) -> None:
        for person in PEOPLE:
            self.compare(person, at, (time, Cid(b"\x01\x71\x12\x20" + bytes(32))))

    @invariant()
    def sums_are_those_of_the_records(self) -> None:
        for person in PEOPLE:
            floor = floor_of(self.db, person.author)
            for at in (NOW, NOW + DAY):
                self.compare(person, at, None)
                if floor is not None:
                    self.compare(person, at, (floor.time, floor.id))

    def compare(self, person: Person, at: int, floor: tuple[int, Cid] | None) -> None:
        expected: dict[Row, list[Record]] = {}
        for record in self.wire.values():
            if record.author != person.author or not counts_at(record.time, record.expires, at):
                continue
            if not record.is_standing and floor is not None and (record.time, record.id) < floor:
                continue
            scope = EPOCH.tag if record.kind == "sealed" else b""
            period = 0 if record.is_standing else month(record.time)
            expected.setdefault(Row(scope, person.author, period), []).append(record)
        found = sums_at(self.db, person.author, SCOPES, at=at, floor=floor)
        assert found == {row: sum_of([r.id for r in records]) for row, records in expected.items()}
        for row, records in expected.items():
            newest_first = sorted(records, key=lambda r: (r.time, r.id), reverse=True)
            assert ids_of_row(self.db, row, at=at, floor=floor) == [r.id for r in newest_first]


SumsMachine.TestCase.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)
TestSums = SumsMachine.TestCase


def test_an_author_without_records_has_no_sums(db: sqlite3.Connection, anna: Person) -> None:
    assert sums_at(db, anna.author, [b""], at=NOW, floor=None) == {}


def test_sums_survive_a_restart(tmp_path: Path, anna: Person) -> None:
    with closing(open_database(tmp_path / "pkn.db")) as db:
        anna.join(db)
        ingest(db, anna.note("Note"), now=NOW)
        before = sums_at(db, anna.author, [b""], at=NOW, floor=None)
    with closing(open_database(tmp_path / "pkn.db")) as db:
        assert sums_at(db, anna.author, [b""], at=NOW, floor=None) == before
        assert len(before) == 2
