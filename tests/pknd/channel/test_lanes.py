"""Transfers in threads: whose turn it is, and what becomes of those that are left."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from pknd.channel.lanes import Lanes
from pknd.sync.link import LinkClosed

SECONDS = 10.0


@dataclass
class Held:
    """A transfer that lasts until it is let go, or aborted."""

    name: str = ""
    order: list[str] = field(default_factory=list)
    began: threading.Event = field(default_factory=threading.Event)
    may_end: threading.Event = field(default_factory=threading.Event)
    aborted: bool = False

    def run(self) -> bool:
        self.order.append(self.name)
        self.began.set()
        assert self.may_end.wait(SECONDS)
        if self.aborted:
            raise LinkClosed("given up")
        return True

    def abort(self) -> None:
        self.aborted = True
        self.may_end.set()


@asynccontextmanager
async def lanes(threads: int) -> AsyncIterator[Lanes]:
    made = Lanes(threads, SECONDS)
    try:
        yield made
    finally:
        await made.close()


def begun(made: Lanes, source: str, *transfers: Held) -> list[asyncio.Task[bool]]:
    return [asyncio.ensure_future(made.run(source, one, at_once=1)) for one in transfers]


async def test_the_next_transfer_of_a_source_begins_while_the_event_loop_is_busy() -> None:
    first, second = Held(), Held()
    async with lanes(4) as made:
        tasks = begun(made, "ann", first, second)
        await asyncio.sleep(0)
        # From here on the loop does nothing else.
        assert first.began.wait(SECONDS)
        assert not second.began.is_set(), "more at once than the source allows"
        first.may_end.set()
        assert second.began.wait(SECONDS)
        second.may_end.set()
        assert await asyncio.gather(*tasks) == [True, True]


async def test_a_source_with_much_to_give_leaves_threads_to_others() -> None:
    order: list[str] = []
    much = [Held(f"ann {number}", order) for number in range(3)]
    little = Held("ben", order)
    async with lanes(1) as made:
        tasks = begun(made, "ann", *much) + begun(made, "ben", little)
        await asyncio.sleep(0)
        for one in (*much, little):
            one.may_end.set()
        await asyncio.gather(*tasks)
    assert order.index("ben") < order.index("ann 2")


async def test_who_is_cancelled_returns_when_the_thread_is_done() -> None:
    transfer = Held()
    async with lanes(1) as made:
        [task] = begun(made, "ann", transfer)
        await asyncio.sleep(0)
        assert transfer.began.wait(SECONDS)
        task.cancel()
        await asyncio.wait((task,), timeout=SECONDS)
        assert task.cancelled() and transfer.aborted


async def test_the_end_breaks_off_what_runs_and_lets_nothing_begin() -> None:
    running, waiting = Held(), Held()
    made = Lanes(1, SECONDS)
    tasks = begun(made, "ann", running, waiting)
    await asyncio.sleep(0)
    assert running.began.wait(SECONDS)
    async with asyncio.timeout(SECONDS):
        await made.close()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(one, LinkClosed) for one in ended), ended
    with pytest.raises(LinkClosed):
        await made.run("ann", Held(), at_once=1)
