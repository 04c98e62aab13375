"""Real daemons in a full mesh: what one publishes reaches all soon, and hardly anybody gets it twice."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from itertools import combinations
from pathlib import Path

from pkn_protocol.control.items import PublishRequest
from pkn_protocol.records.ids import did_key
from pknd.daemon import Daemon
from tests.e2e.inside import Inside, until

PEOPLE = ("Ann", "Ben", "Cem", "Dora", "Eli", "Fay")
NOTES = 40


def notes(one: Inside) -> int:
    return int(
        one.env.store.read_now(
            lambda db: db.execute("SELECT count(*) FROM record WHERE kind = 'note'").fetchone()[0]
        )
    )


def records_in(daemon: Daemon) -> int:
    return sum(daemon.sync.records(device)[0] for device in daemon.sync.peers())


async def test_a_record_comes_in_full_hardly_more_than_once(tmp_path: Path) -> None:
    people = [Inside(name, tmp_path) for name in PEOPLE]
    async with AsyncExitStack() as stack:
        daemons = [await stack.enter_async_context(person.running()) for person in people]
        for one in daemons:
            for other, name in zip(daemons, PEOPLE, strict=True):
                if one is not other:
                    await one.people.trust(did_key(other.people.view.me), petname=name)
        for one, other in combinations(daemons, 2):
            await other.dial("127.0.0.1", one.network.port, None)
        for daemon in daemons:
            await until("a full mesh", lambda d=daemon: len(d.sync.peers()) == len(PEOPLE) - 1)  # type: ignore[misc]
            for peer in daemon.sync.peers().values():
                async with asyncio.timeout(20):
                    await peer.in_step.wait()
        before = sum(map(records_in, daemons))
        for number in range(NOTES):
            author = daemons[number % len(daemons)]
            await author.items.publish(PublishRequest(text=f"# Note {number}\n\ntext", audience="public"))
            await until("the note at all", lambda n=number: all(notes(p) == n + 1 for p in people))  # type: ignore[misc]
        received = sum(map(records_in, daemons)) - before
        assert received >= NOTES * (len(PEOPLE) - 1)
        assert received / (NOTES * (len(PEOPLE) - 1)) <= 1.2
