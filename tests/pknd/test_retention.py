"""What is kept of others, and what goes first when there is no room: on a real store."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from pkn_protocol.control.errors import ErrorCode
from pkn_protocol.records.ids import AuthorId, DeviceId, raw_cid
from pkn_protocol.records.model import Payload, Record
from pkn_protocol.trust.quotas import Quota
from pknd.environment import Environment
from pknd.errors import DomainError
from pknd.people.keys import open_keys
from pknd.people.view import PeopleView
from pknd.retention import Retention
from pknd.store.blocks import has_block, is_complete, put_block, set_complete
from pknd.store.floors import Floor, floor_of, forget_below
from pknd.store.ingest import ingest
from pknd.store.peers import met
from pknd.store.records import is_held
from pknd.store.retention import lift_floors, usage
from pknd.store.store import Store
from tests.pknd.store.people import NOW, Person

DAY = 24 * 3_600_000


class Kept:
    """A store with its retention; `near` maps authors to distances."""

    def __init__(self, env: Environment) -> None:
        self.env = env
        self.now = NOW
        self.near: dict[AuthorId, int] = {env.keys.author: 0}
        self.online: frozenset[AuthorId] = frozenset()
        self.max_disk = 2**30
        self.retention = Retention(
            env, view=self.view, online=lambda: self.online, max_disk=lambda: self.max_disk
        )

    def view(self) -> PeopleView:
        return PeopleView(self.env.keys.author, {}, {}, self.near, {}, {}, {})

    async def take(self, person: Person, record: Record, content: bytes | None = None) -> Record:
        def work(db: sqlite3.Connection) -> None:
            person.join(db)
            rowid = ingest(db, record, now=self.now).rowid
            if content is not None:
                put_block(db, self.env.store.files, raw_cid(content), content, record=rowid)
                set_complete(db, rowid)

        await self.env.store.write(work)
        return record

    async def note(self, person: Person, title: str, content: bytes | None = None, **fields: int) -> Record:
        payload = None
        if content is not None:
            payload = Payload("text/plain", len(content), raw_cid(content), None)
        return await self.take(person, person.note(title, payload=payload, **dict[str, Any](fields)), content)

    async def holds(self, record: Record) -> bool:
        return await self.env.store.read(lambda db: is_held(db, record.id))

    async def holds_content(self, content: bytes) -> bool:
        return await self.env.store.read(lambda db: has_block(db, raw_cid(content)))


@pytest.fixture
async def kept(tmp_path: Path) -> AsyncIterator[Kept]:
    store = Store.open(tmp_path / "home")
    keys, _ = open_keys(tmp_path / "home" / "keys", random_bytes=os.urandom)
    env = Environment(tmp_path / "home", store, keys, lambda: found.now, lambda: 0.0, os.urandom)
    found = Kept(env)
    try:
        yield found
    finally:
        await store.close()


async def test_a_stranger_not_seen_for_a_month_is_forgotten_and_a_friend_is_not(kept: Kept) -> None:
    stranger, friend, visitor = Person("Stranger"), Person("Friend"), Person("Visitor")
    kept.near[friend.author] = 1
    gone, stays, met_again = [await kept.note(p, "About soil") for p in (stranger, friend, visitor)]
    kept.now += 31 * DAY
    device = DeviceId(visitor.device.public)
    await kept.env.store.write(
        lambda db: met(db, device, visitor.author, address=None, found="mdns", version="1", now=kept.now)
    )
    await kept.retention.maintain()
    assert not await kept.holds(gone)
    assert await kept.holds(stays)
    assert await kept.holds(met_again)
    assert (await kept.take(stranger, gone)) and await kept.holds(gone), "met again, they begin anew"


async def test_a_stranger_who_is_connected_is_not_forgotten(kept: Kept) -> None:
    stranger = Person("Stranger")
    kept.online = frozenset({stranger.author})
    note = await kept.note(stranger, "About soil")
    kept.now += 31 * DAY
    await kept.retention.maintain()
    assert await kept.holds(note)


async def test_all_strangers_together_have_a_tenth_and_the_longest_unseen_go_first(kept: Kept) -> None:
    notes: list[list[Record]] = []
    for number in range(20):
        person = Person(f"Stranger {number}")
        notes.append([await kept.note(person, f"{n} " + "soil " * 90, time=NOW - n) for n in range(20)])
        kept.now += 1000
    each = sum(len(note.block) for note in notes[0])
    kept.max_disk = 10 * each * 40
    await kept.retention.maintain()
    assert all([await kept.holds(note) for some in notes for note in some]), "all of them fit"
    kept.max_disk = 10 * each * 12
    await kept.retention.maintain()
    held = [[await kept.holds(note) for note in some] for some in notes]
    assert all(len(set(some)) == 1 for some in held), "a stranger goes whole"
    assert 8 <= sum(some[0] for some in held) <= 12
    assert held == sorted(held), "those that went are the longest unseen"


async def test_contents_of_the_farthest_and_oldest_make_room_first_and_own_never(kept: Kept) -> None:
    me, friend, far = Person("Me"), Person("Friend"), Person("Far")
    kept.near |= {friend.author: 1, far.author: 3}
    contents = {name: os.urandom(200_000) for name in ("far old", "far new", "near")}
    await kept.note(friend, "Near", contents["near"])
    kept.now += 1
    await kept.note(far, "Far and old", contents["far old"])
    kept.now += 1
    await kept.note(far, "Far and new", contents["far new"])
    own = os.urandom(200_000)
    object.__setattr__(kept.env.keys, "author", me.author)
    kept.near[me.author] = 0
    await kept.note(me, "Mine", own)
    me_now = kept.env.keys.author
    kept.max_disk = (await kept.env.store.read(lambda db: usage(db, me_now))).others + 10_000
    await kept.retention.make_room(50_000)
    assert [name for name, content in contents.items() if await kept.holds_content(content)] == [
        name for name in contents if name != "far old"
    ]
    kept.max_disk = 60_000
    await kept.retention.maintain()
    assert not any([await kept.holds_content(content) for content in contents.values()])
    assert await kept.holds_content(own)


async def test_a_content_that_went_can_be_fetched_again(kept: Kept) -> None:
    friend = Person("Friend")
    kept.near[friend.author] = 1
    content = os.urandom(300_000)
    note = await kept.note(friend, "Near", content)
    kept.max_disk = 16
    await kept.retention.maintain()
    await kept.env.store.maintain(now=kept.now)
    row = await kept.env.store.read(
        lambda db: db.execute("SELECT rowid FROM record WHERE id = ?", (note.id,)).fetchone()
    )
    assert row is None or not await kept.env.store.read(lambda db: is_complete(db, row[0]))
    assert not list((kept.env.home / "blocks").rglob("bafk*")), "its file is gone"


async def test_what_has_expired_is_deleted(kept: Kept) -> None:
    friend = Person("Friend")
    kept.near[friend.author] = 1
    short = await kept.note(friend, "For a day", expires=NOW + DAY)
    long = await kept.note(friend, "For a week", expires=NOW + 7 * DAY)
    kept.now += 2 * DAY
    await kept.retention.maintain()
    assert (await kept.holds(short), await kept.holds(long)) == (False, True)


async def test_what_can_never_fit_is_refused_with_both_figures(kept: Kept) -> None:
    kept.max_disk = 16 * 2**20
    with pytest.raises(DomainError, match=r"32\.0 MiB.*16\.0 MiB") as error:
        await kept.retention.make_room(32 * 2**20)
    assert error.value.code == ErrorCode.NO_ROOM
    with pytest.raises(DomainError, match=r"8192\.0 TiB; the volume of .* has .* left"):
        kept.retention.check_own(2**53)


async def test_nothing_is_fetched_unasked_when_it_is_nearly_full(kept: Kept) -> None:
    friend = Person("Friend")
    kept.near[friend.author] = 1
    assert await kept.retention.has_room()
    await kept.note(friend, "Near", os.urandom(300_000))
    kept.max_disk = 400_000
    assert not await kept.retention.has_room()


async def test_who_is_trusted_now_is_wanted_whole_again(kept: Kept) -> None:
    person = Person("Stranger")
    old = await kept.note(person, "Old", time=NOW - 5000)
    new = await kept.note(person, "New", time=NOW)
    await kept.env.store.write(lambda db: forget_below(db, person.author, Floor(new.time, new.id)))
    assert not await kept.holds(old)
    tight, ample = Quota(len(new.block) + 10), Quota(10_000_000)
    assert not await kept.env.store.write(lambda db: lift_floors(db, lambda _: tight))
    assert await kept.env.store.read(lambda db: floor_of(db, person.author)) is not None
    assert await kept.env.store.write(lambda db: lift_floors(db, lambda _: ample))
    assert await kept.env.store.read(lambda db: floor_of(db, person.author)) is None
    await kept.take(person, old)
    assert await kept.holds(old)
