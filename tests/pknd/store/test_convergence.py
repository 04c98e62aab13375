"""Two stores that hold the same records agree, whatever the order in which these came."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from pkn_protocol.records.ids import AuthorId, Cid
from pkn_protocol.records.model import Comment, Record
from pkn_protocol.sync.sums import PeriodSum
from pknd.store.database import open_database
from pknd.store.ingest import ingest
from pknd.store.records import Filter, get, listed
from pknd.store.sums import Row, sums_at
from pknd.store.versions import set_near
from tests.pknd.store.people import NOW, Person

PEOPLE = (Person("Anna"), Person("Bruno"), Person("Chiara"))
NEAR = frozenset({PEOPLE[0].author, PEOPLE[1].author})
FAR_AHEAD = NOW + 10**9


@dataclass(frozen=True)
class State:
    held: frozenset[Cid]
    visible: frozenset[Cid]
    documents: frozenset[Cid]
    sums: tuple[tuple[Row, PeriodSum], ...]


def state_of(db: sqlite3.Connection) -> State:
    sums = [
        entry
        for person in PEOPLE
        for entry in sums_at(db, person.author, [b""], at=FAR_AHEAD, floor=None).items()
    ]
    return State(
        frozenset(Cid(cid) for (cid,) in db.execute("SELECT id FROM record")),
        frozenset(held.record.id for held in listed(db, Filter(now=NOW), limit=1000)),
        frozenset(
            Cid(cid) for (cid,) in db.execute("SELECT id FROM record JOIN document ON doc = record.rowid")
        ),
        tuple(sorted(sums, key=lambda entry: (entry[0].author, entry[0].period))),
    )


def expected_heads(held: Sequence[Record], near: frozenset[AuthorId]) -> set[Cid]:
    """What DESIGN says of versions, as simply as it can be said."""
    items = [record for record in held if record.is_item]
    by_id = {record.id: record for record in items}

    def may_follow(earlier: Record, later: Record) -> bool:
        on_page = earlier.kind == later.kind == "page"
        return earlier.author == later.author or (on_page and later.author in near)

    shown = [
        record
        for record in items
        if (first := by_id.get(record.item_id)) is None or may_follow(first, record)
    ]
    return {
        earlier.id
        for earlier in shown
        if not any(
            earlier.id in later.replaces and later.item_id == earlier.item_id and may_follow(earlier, later)
            for later in shown
        )
    }


@st.composite
def histories(draw: st.DrawFn) -> list[Record]:
    """Items by several people, versions of them by owners and others, remarks, retractions by anybody."""
    records: list[Record] = []
    for number in range(draw(st.integers(1, 14))):
        person = draw(st.sampled_from(PEOPLE))
        time = NOW - 10**9 + number
        items = [record for record in records if record.is_item]
        act = draw(
            st.sampled_from(["item", "item", "version", "version", "version", "comment", "retraction"])
        )
        if act == "item" or not items:
            kind = draw(st.sampled_from(["note", "page"]))
            records.append(person.note(f"Item {number}", kind=kind, time=time))
            continue
        target = draw(st.sampled_from(items))
        if act == "version":
            seen = [record for record in items if record.item_id == target.item_id]
            replaced = draw(st.lists(st.sampled_from(seen), min_size=1, max_size=4, unique_by=lambda r: r.id))
            ids = tuple(record.id for record in replaced)
            kind = draw(st.sampled_from([target.kind, target.kind, "note", "page"]))
            records.append(
                person.note(f"Version {number}", kind=kind, time=time, item=target.item_id, replaces=ids)
            )
        elif act == "comment":
            body = Comment(target.id, f"Remark {number}")
            records.append(person.record("comment", body, time=time, item=target.item_id))
        else:
            records.append(person.retraction(target.item_id, time=time))
    return records


def stored(folder: str, name: str, records: Sequence[Record]) -> tuple[State, set[Cid]]:
    with closing(open_database(Path(folder) / name)) as db:
        db.execute("BEGIN")
        for person in PEOPLE:
            person.join(db)
        set_near(db, NEAR)
        for record in records:
            ingest(db, record, now=NOW)
        state = state_of(db)
        held = [entry.record for cid in state.held if (entry := get(db, cid)) is not None]
        # Whom the reader trusts may change later: the result is that of having trusted them from the start.
        set_near(db, ())
        alone = {Cid(c) for (c,) in db.execute("SELECT id FROM record WHERE head AND shown")}
        assert alone == expected_heads(held, frozenset())
        set_near(db, NEAR)
        assert state_of(db) == state
        db.execute("COMMIT")
    return state, expected_heads(held, NEAR)


@settings(max_examples=40)
@given(histories(), st.randoms(use_true_random=False))
def test_any_order_of_arrival_gives_the_same_store(history: list[Record], random: object) -> None:
    shuffled = list(history)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    with tempfile.TemporaryDirectory() as folder:
        one, heads = stored(folder, "one.db", history)
        other, _ = stored(folder, "other.db", shuffled)
    assert one == other
    assert one.visible == one.documents == heads


def test_a_stranger_to_a_page_does_not_hide_it_until_he_is_trusted(
    db: sqlite3.Connection, anna: Person, chiara: Person
) -> None:
    for person in (anna, chiara):
        person.join(db)
    page = anna.note("Page", kind="page")
    more = chiara.note("Page, defaced", kind="page", time=NOW + 1, item=page.id, replaces=(page.id,))
    for record in (page, more):
        ingest(db, record, now=NOW)
    assert [held.record.id for held in listed(db, Filter(now=NOW), limit=9)] == [page.id]
    assert set_near(db, {chiara.author}) == 1
    assert [held.record.id for held in listed(db, Filter(now=NOW), limit=9)] == [more.id]
    assert set_near(db, {chiara.author}) == 0
    set_near(db, ())
    assert [held.record.id for held in listed(db, Filter(now=NOW), limit=9)] == [page.id]
