"""What is acknowledged is on disk; many writes share one sync; one that fails harms no other."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from pathlib import Path

import pytest

from pknd.store.store import Store
from pknd.store.writer import MOST_WAITING_WRITES


def setting(key: str, value: bytes = b"x"):  # type: ignore[no-untyped-def]
    def work(db: sqlite3.Connection) -> str:
        db.execute("INSERT INTO setting (key, value) VALUES (?, ?)", (key, value))
        return key

    return work


def keys(db: sqlite3.Connection) -> set[str]:
    return {key for (key,) in db.execute("SELECT key FROM setting")}


async def test_many_writes_share_few_transactions_and_all_are_there(store: Store) -> None:
    names = [f"k{number}" for number in range(1000)]
    assert await asyncio.gather(*(store.write(setting(name)) for name in names)) == names
    assert store.commits <= 20
    assert await store.read(keys) == set(names)


async def test_a_result_comes_only_after_its_commit(store: Store) -> None:
    began, go_on = threading.Event(), threading.Event()

    def slow(db: sqlite3.Connection) -> None:
        began.set()
        assert go_on.wait(10)

    first = asyncio.create_task(store.write(slow))
    await asyncio.to_thread(began.wait, 10)
    sharing = [asyncio.create_task(store.write(setting(f"k{number}"))) for number in range(5)]
    await asyncio.sleep(0)
    before = store.commits
    go_on.set()
    await asyncio.gather(first, *sharing)
    assert store.commits - before == 2
    # Another process sees what was acknowledged.
    with sqlite3.connect(store.path) as other:
        assert keys(other) == {f"k{number}" for number in range(5)}
    other.close()


async def test_a_failing_write_undoes_its_own_changes_alone(store: Store) -> None:
    def failing(db: sqlite3.Connection) -> None:
        setting("lost")(db)
        raise LookupError("nothing there")

    def wrong(db: sqlite3.Connection) -> None:
        setting("lost too")(db)
        db.execute("SELECT no_such_column FROM setting")

    results = await asyncio.gather(
        store.write(setting("before")),
        store.write(failing),
        store.write(wrong),
        store.write(setting("before")),
        store.write(setting("after")),
        return_exceptions=True,
    )
    assert [type(result) for result in results] == [
        str,
        LookupError,
        sqlite3.OperationalError,
        sqlite3.IntegrityError,
        str,
    ]
    assert await store.read(keys) == {"before", "after"}


async def test_work_that_was_handed_over_is_done_though_its_caller_left(store: Store) -> None:
    began, go_on = threading.Event(), threading.Event()

    def slow(db: sqlite3.Connection) -> None:
        began.set()
        assert go_on.wait(10)
        setting("done")(db)
        raise_later.append(True)

    raise_later: list[bool] = []
    task = asyncio.create_task(store.write(slow))
    await asyncio.to_thread(began.wait, 10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    go_on.set()
    await store.write(setting("next"))
    assert await store.read(keys) == {"done", "next"}


async def test_waiting_writes_are_bounded(store: Store) -> None:
    began, go_on = threading.Event(), threading.Event()

    def slow(db: sqlite3.Connection) -> None:
        began.set()
        assert go_on.wait(10)

    first = asyncio.create_task(store.write(slow))
    await asyncio.to_thread(began.wait, 10)
    many = [asyncio.create_task(store.write(setting(f"k{n}"))) for n in range(2 * MOST_WAITING_WRITES)]
    await asyncio.sleep(0)
    assert store._writer._jobs.qsize() < MOST_WAITING_WRITES
    for task in many[: MOST_WAITING_WRITES // 2]:
        task.cancel()  # those who give up do not make room for more: their work is still queued
    await asyncio.sleep(0)
    assert store._writer._jobs.qsize() < MOST_WAITING_WRITES
    go_on.set()
    await asyncio.gather(first, *many, return_exceptions=True)


async def test_closing_finishes_what_was_accepted_and_refuses_more(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    tasks = [asyncio.create_task(store.write(setting(f"k{number}"))) for number in range(100)]
    await asyncio.sleep(0)
    await store.close()
    await asyncio.gather(*tasks)
    with pytest.raises(RuntimeError, match="closed"):
        await store.write(setting("late"))
    with pytest.raises(RuntimeError, match="closed"):
        await store.read(keys)
    again = Store.open(tmp_path)
    assert len(await again.read(keys)) == 100
    await again.close()
    assert not (tmp_path / "pkn.db-wal").exists()


async def test_readers_cannot_write_and_see_one_snapshot(store: Store) -> None:
    with pytest.raises(sqlite3.OperationalError):
        await store.read(setting("never"))

    began, go_on = threading.Event(), threading.Event()

    def twice(db: sqlite3.Connection) -> tuple[set[str], set[str]]:
        before = keys(db)
        began.set()
        assert go_on.wait(10)
        return before, keys(db)

    reading = asyncio.create_task(store.read(twice))
    await asyncio.to_thread(began.wait, 10)
    await store.write(setting("new"))
    go_on.set()
    assert await reading == (set(), set())
    assert await store.read(keys) == {"new"}
