"""Programs of two protocol versions on one network: who has one in common works together, the others say what
to do."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest

from pkn_protocol.channel.errors import ChannelError, CloseCode
from pkn_protocol.control.items import PublishRequest
from pkn_protocol.control.query import QueryRequest, Scope
from pkn_protocol.records.codec import sign_record
from pkn_protocol.records.ids import did_key
from pkn_protocol.records.model import Item
from pknd import daemon as daemon_module
from pknd.channel.network import Network
from pknd.daemon import Daemon
from pknd.store.ingest import ingest
from tests.e2e.inside import Inside, until


@asynccontextmanager
async def speaking(one: Inside, versions: tuple[int, int]) -> AsyncIterator[Daemon]:
    """A daemon whose channel speaks the versions from the first to the second."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(daemon_module, "Network", partial(Network, versions=versions))
        async with one.running() as daemon:
            yield daemon


async def titles(daemon: Daemon, words: str) -> list[str]:
    request = QueryRequest(query=words, scope=Scope.LOCAL)
    last = [update async for update in daemon.queries.query(request)][-1]
    return sorted(hit.title for hit in last.result.hits)


async def test_a_program_that_speaks_the_older_version_alone_shares_everything_with_this_one(
    tmp_path: Path,
) -> None:
    old, new = Inside("Old", tmp_path), Inside("New", tmp_path)
    async with new.running() as b, speaking(old, (1, 1)) as a:
        await a.people.trust(did_key(b.people.view.me), petname="New")
        await b.people.trust(did_key(a.people.view.me), petname="Old")
        await a.items.publish(PublishRequest(text="# From the older\n\nmolluscs", audience="public"))
        await b.items.publish(PublishRequest(text="# From the newer\n\nmolluscs"))
        link = await b.dial("127.0.0.1", a.network.port, None)
        assert b.network.links[link].peer.version == 1
        both = ["From the newer", "From the older"]
        for one, daemon in ((old, a), (new, b)):
            await until("both notes", lambda one=one: len(noted(one)) == 2)  # type: ignore[misc]
            assert await titles(daemon, "molluscs") == both


def noted(one: Inside) -> list[object]:
    return one.env.store.read_now(
        lambda db: db.execute("SELECT id FROM record WHERE kind = 'note'").fetchall()
    )


async def test_programs_without_a_version_in_common_say_what_to_do_and_speak_with_others_on(
    tmp_path: Path,
) -> None:
    old, new, both = Inside("Old", tmp_path), Inside("New", tmp_path), Inside("Both", tmp_path)
    async with speaking(old, (1, 1)) as a, speaking(new, (2, 2)) as b, speaking(both, (1, 2)) as c:
        with pytest.raises(ChannelError, match="update the older program") as raised:
            await a.dial("127.0.0.1", b.network.port, None)
        assert raised.value.code is CloseCode.NO_COMMON_VERSION
        device = await a.dial("127.0.0.1", c.network.port, None)
        assert a.network.links[device].peer.version == 1
        device = await b.dial("127.0.0.1", c.network.port, None)
        assert b.network.links[device].peer.version == 2


async def test_what_a_newer_program_adds_to_a_record_is_kept_and_passed_on_by_this_one(
    tmp_path: Path,
) -> None:
    old, new = Inside("Old", tmp_path), Inside("New", tmp_path)
    async with new.running() as b, speaking(old, (1, 1)) as a:
        await a.people.trust(did_key(b.people.view.me), petname="New")
        keys = new.env.keys
        record = sign_record(
            author=keys.author, key=keys.device_key, time=new.now(), kind="note",
            body=Item(title="With a field of tomorrow"), extra={"mood": "bright"},
        )  # fmt: skip
        await new.env.store.write(lambda db: ingest(db, record, now=new.now()))
        await a.dial("127.0.0.1", b.network.port, None)
        await until("the note", lambda: len(noted(old)) == 1)
        [(block,)] = old.env.store.read_now(
            lambda db: db.execute("SELECT block FROM record WHERE kind = 'note'").fetchall()
        )
        assert block == record.block
