"""Who follows the news of rows knows them without reading, whatever was written and by whom."""

from __future__ import annotations

import asyncio
import random
import sqlite3
from collections.abc import Callable
from hashlib import sha256

import pytest

from pkn_protocol.sync.facts import RowName
from pkn_protocol.sync.rows import RowSum
from pkn_protocol.sync.sums import comparison_instant
from pknd.store.floors import Floor, forget_below
from pknd.store.ingest import ingest
from pknd.store.removal import remove_author, remove_expired
from pknd.store.row_feed import RowNews
from pknd.store.store import Store
from tests.pknd.store.people import NOW, Person

HOUR = 3_600_000


def rows_in(db: sqlite3.Connection) -> dict[RowName, RowSum]:
    return {
        RowName(scope, author, period): (count, sha256(value).digest())
        for scope, author, period, count, value in db.execute(
            "SELECT scope, author, period, count, value FROM period_sum"
        )
    }


class Follower:
    """Keeps rows from the news alone."""

    def __init__(self, store: Store) -> None:
        self.rows: dict[RowName, RowSum] = {}
        self.even: dict[RowName, bool] = {}
        self.version = 0
        self.floors = 0
        store.rows.watch(self.hear, lambda: comparison_instant(NOW))

    def hear(self, news: RowNews) -> None:
        if news.rows:
            assert news.version == self.version + 1
            self.version = news.version
        self.floors += news.floors
        for change in news.rows:
            assert change.old == self.rows.get(change.name)
            self.even[change.name] = change.even
            if change.new is None:
                del self.rows[change.name]
            else:
                self.rows[change.name] = change.new


@pytest.mark.parametrize("seed", range(5))
async def test_news_tell_all_that_happens_to_rows(store: Store, seed: int) -> None:
    follower = Follower(store)
    chance = random.Random(seed)
    people = [Person("Anna"), Person("Bruno")]
    for person in people:
        await store.write(person.join)
    records = []
    for number in range(60):
        person = chance.choice(people)
        time = NOW - chance.randint(0, 90) * 24 * HOUR
        expires = chance.choice([None, None, time + chance.randint(1, 60) * 24 * HOUR])
        record = person.note(f"Note {number}", time=time, expires=expires)
        acts: list[Callable[[sqlite3.Connection], object]] = [
            lambda db, r=record: ingest(db, r, now=NOW),  # type: ignore[misc]
            lambda db, r=record: ingest(db, r, now=NOW - 80 * 24 * HOUR),  # type: ignore[misc]
        ]
        records.append((person, record))
        if number % 7 == 6:
            author, old = chance.choice(records)
            taken_back = author.retraction(old.id)
            acts.append(lambda db, r=taken_back: ingest(db, r, now=NOW))  # type: ignore[misc]
        if number == 40:
            acts.append(
                lambda db: forget_below(db, people[0].author, Floor(NOW - 60 * 24 * HOUR, records[0][1].id))
            )
        if number == 50:
            acts.append(lambda db: remove_expired(db, now=NOW, limit=500))
        if number == 55:
            acts.append(lambda db: remove_author(db, people[1].author, keep_standing=True))
        await asyncio.gather(*(store.write(act) for act in acts))
        if chance.random() < 0.2:
            assert follower.rows == await store.read(rows_in), f"seed {seed}, step {number}"
    assert follower.rows == await store.read(rows_in), f"seed {seed}"
    assert follower.floors == 1
    assert await store.read(store.rows.version_of) == follower.version


async def test_the_news_of_a_commit_come_before_its_result(store: Store, anna: Person) -> None:
    follower = Follower(store)
    await store.write(anna.join)
    assert len(follower.rows) == 1


async def test_what_was_undone_is_no_news(store: Store, anna: Person) -> None:
    follower = Follower(store)
    await store.write(anna.join)
    before = dict(follower.rows)

    def fails(db: sqlite3.Connection) -> None:
        ingest(db, anna.note("Lost"), now=NOW)
        raise ValueError

    with pytest.raises(ValueError):
        await store.write(fails)
    await store.write(lambda db: db.execute("DELETE FROM setting"))
    assert (follower.rows, follower.version) == (before, 1)
    await store.write(lambda db: ingest(db, anna.note("Kept"), now=NOW))
    assert follower.version == 2
    assert follower.rows == await store.read(rows_in)


async def test_a_row_with_a_record_that_does_not_count_now_is_uneven(store: Store, anna: Person) -> None:
    follower = Follower(store)
    await store.write(anna.join)
    await store.write(lambda db: ingest(db, anna.note("Even"), now=NOW))
    assert set(follower.even.values()) == {True}
    soon = anna.note("Gone soon", expires=NOW + 1000)
    await store.write(lambda db: ingest(db, soon, now=NOW))
    assert sorted(follower.even.values()) == [False, True]


async def test_snapshots_during_writes_know_exactly_what_they_contain(store: Store, anna: Person) -> None:
    history: dict[int, dict[RowName, RowSum]] = {0: {}}
    follower = Follower(store)
    hear = follower.hear

    def noted(news: RowNews) -> None:
        hear(news)
        history[news.version] = dict(follower.rows)

    store.rows.watch(noted, lambda: comparison_instant(NOW))
    await store.write(anna.join)

    def look(db: sqlite3.Connection) -> tuple[int | None, dict[RowName, RowSum]]:
        return store.rows.version_of(db), rows_in(db)

    async def write(number: int) -> None:
        await store.write(lambda db: ingest(db, anna.note(f"N {number}", time=NOW - number), now=NOW))

    seen = []
    for number in range(0, 60, 3):
        _, _, _, found = await asyncio.gather(
            write(number), write(number + 1), write(number + 2), store.read(look)
        )
        seen.append(found)
    known = [(version, rows) for version, rows in seen if version is not None]
    assert len(known) > len(seen) // 2
    assert all(history[version] == rows for version, rows in known)
