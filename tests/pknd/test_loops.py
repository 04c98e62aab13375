"""A loop of the daemon that fails begins anew; only its end or its being cancelled ends it."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest
from zeroconf import NotRunningException

from pknd.loops import kept_up
from pknd.store.errors import DiskFull


async def test_a_loop_goes_on_after_a_full_disk_and_after_a_bug(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "pkn")
    faults: list[Exception] = [DiskFull(Path("/home")), NotRunningException(), ValueError("a bug")]
    done: list[str] = []

    async def turn() -> None:
        if faults:
            raise faults.pop(0)
        done.append("turn")

    await kept_up("work", turn, pause=0.0)
    assert done == ["turn"]
    failed = [entry.levelno for entry in caplog.records if entry.message == "daemon.loop_failed"]
    assert failed == [logging.WARNING, logging.ERROR, logging.ERROR]


async def test_a_loop_that_keeps_failing_is_ended_by_cancelling_and_leaves_the_others_alone() -> None:
    turns = 0
    tenth = asyncio.Event()

    async def broken() -> None:
        nonlocal turns
        turns += 1
        if turns == 10:
            tenth.set()
        raise RuntimeError("again")

    async with asyncio.timeout(10):
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(kept_up("broken", broken, pause=0.0))
            await tenth.wait()
            task.cancel()
