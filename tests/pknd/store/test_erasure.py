"""A retracted word is in no file of the home afterwards: raw bytes are searched."""

from __future__ import annotations

import asyncio
import contextlib
import random
import sqlite3
import threading
from pathlib import Path

import pytest

from pkn_protocol.records.ids import raw_cid
from pkn_protocol.records.model import Payload, Record
from pknd.store import erasure
from pknd.store.blocks import IN_ROW_BYTES, put_block
from pknd.store.ingest import ingest
from pknd.store.partials import PartialFile
from pknd.store.records import counts
from pknd.store.store import Store
from tests.pknd.store.people import NOW, Person

WORD = b"zanzibarine"


def holding(home: Path, word: bytes) -> list[str]:
    """The files of a home that hold a word; an item's payload says it in another order of letters."""
    return [str(p.relative_to(home)) for p in home.rglob("*") if p.is_file() and word in p.read_bytes()]


def telling(person: Person, word: str, number: int) -> Record:
    text = word.encode() * (1 + number % 2 * (IN_ROW_BYTES // len(word)))
    payload = Payload("text/plain", len(text), raw_cid(text))
    return person.note(
        f"About {word}", time=NOW + number, excerpt=f"It is {word}.", tags=(word,), payload=payload
    )


def fill(db: sqlite3.Connection, store: Store, person: Person, words: list[str]) -> list[Record]:
    person.join(db)
    records = []
    for number, word in enumerate(words):
        record = telling(person, word, number)
        row = ingest(db, record, now=NOW).rowid
        text = word.encode() * (1 + number % 2 * (IN_ROW_BYTES // len(word)))
        put_block(db, store.files, raw_cid(text), text, record=row)
        records.append(record)
    return records


async def test_a_retracted_word_is_in_no_file(store: Store, anna: Person) -> None:
    rng = random.Random(7)
    words = [f"w{rng.randrange(10**9):09d}zanzibarine" for _ in range(120)]
    records = await store.write(lambda db: fill(db, store, anna, words))
    await store.back_up()
    assert holding(store.home, WORD)
    for record in records[::2]:
        await store.write(lambda db, r=record: ingest(db, anna.retraction(r.item_id), now=NOW))  # type: ignore[misc]
    assert await store.erase_traces()
    for word in words[::2]:
        assert holding(store.home, word.encode()) == []
    for word in words[1::2]:
        assert holding(store.home, word.encode())
    for record in records[1::2]:
        await store.write(lambda db, r=record: ingest(db, anna.retraction(r.item_id), now=NOW))  # type: ignore[misc]
    assert await store.erase_traces()
    assert holding(store.home, WORD) == []
    assert (await store.read(counts)).items == 0


async def test_copies_that_pages_keep_when_they_divide_and_join_are_erased_too(
    store: Store, anna: Person
) -> None:
    # With this seed SQLite 3.40 leaves such a copy of one title; secure delete alone does not reach it.
    rng = random.Random(0)
    words = [f"w{rng.randrange(10**9):09d}zanzibarine" for _ in range(600)]
    notes = [
        anna.note(word, tags=(word,), time=NOW + number, excerpt="x" * rng.randrange(900))
        for number, word in enumerate(words)
    ]
    order = list(range(600))
    rng.shuffle(order)

    def publish(db: sqlite3.Connection) -> None:
        for note in notes:
            ingest(db, note, now=NOW)

    def retract_half(db: sqlite3.Connection) -> None:
        for number in order[:300]:
            ingest(db, anna.retraction(notes[number].id, time=NOW), now=NOW)

    await store.write(anna.join)
    await store.write(publish)
    await store.write(retract_half)
    assert await store.erase_traces()
    data = b"".join(path.read_bytes() for path in store.home.rglob("*") if path.is_file())
    assert [words[number] for number in order[:300] if words[number].encode() in data] == []
    assert all(words[number].encode() in data for number in order[300:])


async def test_left_alone_erasure_happens_by_itself(store: Store, anna: Person) -> None:
    [record] = await store.write(lambda db: fill(db, store, anna, ["zanzibarine"]))
    done = threading.Event()
    erase = store._eraser.erase

    def watched(*, however_large: bool) -> bool:
        finished = erase(however_large=however_large)
        done.set()
        return finished

    store._eraser.erase = watched  # type: ignore[method-assign]
    await store.write(lambda db: ingest(db, anna.retraction(record.id), now=NOW))
    assert await asyncio.to_thread(done.wait, 20)
    assert holding(store.home, WORD) == []


async def test_what_a_crash_left_over_is_erased_at_the_next_start(tmp_path: Path, anna: Person) -> None:
    store = Store.open(tmp_path)
    records = await store.write(lambda db: fill(db, store, anna, ["zanzibarine", "otherwise zanzibarine"]))
    store._eraser.erase = lambda *, however_large: False  # type: ignore[method-assign]
    for record in records:
        await store.write(lambda db, r=record: ingest(db, anna.retraction(r.id), now=NOW))  # type: ignore[misc]
    assert holding(tmp_path, WORD)
    await store.close()
    again = Store.open(tmp_path)
    assert holding(tmp_path, WORD) == []
    await again.close()


async def test_beginnings_are_deleted_once_a_retraction_and_what_was_open_is_lost_and_nothing_else(
    store: Store, anna: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(erasure, "AT_ONCE_BYTES", 0)
    records = await store.write(lambda db: fill(db, store, anna, ["zanzibarine", "otherwise zanzibarine"]))

    def beginning(block: bytes) -> PartialFile:
        into = store.files.partials.open(raw_cid(block), most_bytes=2**20)
        into.begin()
        into.take(memoryview(block))
        return into

    before, after = bytes(2**17), bytes(2**18)
    lost = beginning(before)
    await store.write(lambda db: ingest(db, anna.retraction(records[0].id), now=NOW))
    assert not await store.erase_traces()
    assert not lost.path.exists()
    stays = beginning(after)
    await store.write(lambda db: ingest(db, anna.note("Something else", time=NOW), now=NOW))
    assert not await store.erase_traces()
    assert stays.path.exists()
    await asyncio.to_thread(store.files.adopt, [(raw_cid(before), lost), (raw_cid(after), stays)])
    assert not store.files.exists(raw_cid(before))
    assert store.files.read(raw_cid(after)) == after
    for into in (lost, stays):
        into.close()
    second = beginning(before)
    second.close()
    await store.write(lambda db: ingest(db, anna.retraction(records[1].id), now=NOW))
    await store.erase_traces()
    assert not second.path.exists()


async def test_a_reader_elsewhere_delays_erasure_but_does_not_prevent_it(store: Store, anna: Person) -> None:
    [record] = await store.write(lambda db: fill(db, store, anna, ["zanzibarine"]))
    store._connection.execute("PRAGMA busy_timeout = 50")
    with contextlib.closing(sqlite3.connect(store.path, isolation_level=None)) as other:
        other.execute("BEGIN")
        other.execute("SELECT count(*) FROM record").fetchone()
        await store.write(lambda db: ingest(db, anna.retraction(record.id), now=NOW))
        assert not await store.erase_traces()
        other.execute("ROLLBACK")
    await store.maintain(now=NOW)
    assert holding(store.home, WORD) == []
    # With the traces went the old backups; there is a new one at once.
    assert list((store.home / "backups").iterdir())
