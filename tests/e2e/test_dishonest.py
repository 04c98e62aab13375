"""Peers whose answers are signed well and are not to be believed: what a query shows all the same."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from pkn_protocol.control.query import QueryRequest, Scope
from pkn_protocol.records.model import Record, Retraction
from pknd.channel.link import Link
from pknd.daemon import Daemon
from pknd.store.records import is_held
from tests.e2e.inside import Inside, until
from tests.e2e.liar import Liar

MINUTE = 60_000


@asynccontextmanager
async def linked(liar: Liar, daemon: Daemon) -> AsyncIterator[Link]:
    """The liar's end of a connection to a daemon."""
    await liar.party.start()
    try:
        yield await liar.party.network.dial("127.0.0.1", daemon.network.port)
    finally:
        await liar.party.network.stop()


async def titles(daemon: Daemon, words: str) -> list[str]:
    request = QueryRequest(query=words, scope=Scope.EVERYONE)
    last = [update async for update in daemon.queries.query(request)][-1]
    assert last.final and last.result.peers_answered == 1
    return [hit.title for hit in last.result.hits]


async def taken(one: Inside, record: Record) -> None:
    await until("a record", lambda: one.env.store.read_now(lambda db: is_held(db, record.id)))


async def test_what_was_taken_back_or_replaced_or_lies_ahead_does_not_return_with_an_answer(
    tmp_path: Path,
) -> None:
    ann, liar = Inside("Ann", tmp_path), Liar("liar")
    now = ann.now()
    gone = liar.note("Turbulence, taken back", time=now - 9)
    later = liar.note("Turbulence, taken back, later", time=now - 8, item=gone.id, replaces=(gone.id,))
    retraction = liar.sign("retraction", Retraction(), time=now - 7, item=gone.id)
    old = liar.note("Turbulence, old", time=now - 6)
    new = liar.note("Laminar, new", time=now - 5, item=old.id, replaces=(old.id,))
    ahead = liar.note("Turbulence, tomorrow", time=now + 20 * MINUTE)
    held_ahead = liar.note("Turbulence, soon", time=now + 19 * MINUTE)
    strange = liar.note("Turbulence, if", time=now - 4, extra={"!if": 1})
    over = liar.note("Turbulence, over", time=now - 3, expires=now - 1)
    honest = liar.note("Turbulence, said", time=now - 2)
    async with ann.running() as daemon, linked(liar, daemon) as link:
        await liar.push(link, [retraction, new, held_ahead])
        await taken(ann, held_ahead)
        liar.records = [gone, later, old, ahead, held_ahead, strange, over, honest]
        assert await titles(daemon, "turbulence") == ["Turbulence, said"]
        assert len(liar.asked) == 1
        # It is not that they were never looked at: without the retraction, the first would have come.
        ann.offset = 30 * MINUTE
        found = await titles(daemon, "turbulence")
        assert sorted(found) == ["Turbulence, said", "Turbulence, soon", "Turbulence, tomorrow"]
