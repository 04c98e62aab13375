"""Texts that somebody who is trusted announces and never serves: what no text can show counts for less."""

from __future__ import annotations

import asyncio
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from pkn_protocol.channel import messages as m
from pkn_protocol.control.items import PublishRequest
from pkn_protocol.control.query import QueryRequest, Scope
from pkn_protocol.records.ids import did_key, raw_cid
from pkn_protocol.records.model import Payload, Record
from pknd.daemon import Daemon
from pknd.items.in_vain import ROUNDS
from pknd.store.blocks import is_complete
from pknd.store.records import get
from tests.e2e.inside import Inside, until, until_so
from tests.e2e.liar import Liar
from tests.e2e.test_dishonest import linked, taken

TEXT = "turbulence turbulence, said twice"


async def found(daemon: Daemon) -> list[tuple[str, float]]:
    """Titles and the factor `claim`, best first."""
    request = QueryRequest(query="turbulence", scope=Scope.LOCAL, explain=True)
    last = [update async for update in daemon.queries.query(request)][-1]
    return [(hit.title, (hit.explain or {})["claim"]) for hit in last.result.hits]


async def test_a_text_that_its_author_does_not_serve_counts_for_less_until_it_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pknd.items.fetching.BACKGROUND_EVERY_S", 0.05)
    ann, liar = Inside("Ann", tmp_path), Liar("liar")
    withheld = Payload("text/plain", len(TEXT), raw_cid(TEXT.encode()))
    lie = liar.note("Claimed", words=TEXT, time=ann.now() - 1000, payload=withheld)
    async with ann.running() as daemon, linked(liar, daemon) as link:
        await trusted_beside_an_own_note(daemon, liar)
        await liar.push(link, [lie])
        await taken(ann, lie)
        await until_so("the text to be missed", lambda: found(daemon), [("Here", 1.0), ("Claimed", 0.5)])
        assert liar.text(TEXT) == withheld
        await until_so("the text to come", lambda: found(daemon), [("Claimed", 1.0), ("Here", 1.0)])


async def test_that_others_lack_a_text_is_nothing_against_a_device_that_is_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pknd.items.fetching.BACKGROUND_EVERY_S", 0.05)
    ann, laptop, friend = Inside("Ann", tmp_path), Liar("laptop"), Liar("friend")
    phone = Liar("phone", of=laptop)
    payload = Payload("text/plain", len(TEXT), raw_cid(TEXT.encode()))
    note = laptop.note("Claimed", words=TEXT, time=ann.now() - 1000, payload=payload)
    async with ann.running() as daemon, linked(friend, daemon), linked(phone, daemon) as link:
        await daemon.people.trust(did_key(friend.party.author), petname="friend")
        await trusted_beside_an_own_note(daemon, phone)
        await phone.party.until(lambda: link in phone.party.heard.wanting)
        blocks = laptop.party.device_record, note.block
        await link.send(m.Push(phone.hash_for(link), blocks))
        await taken(ann, note)
        for other in (phone, friend):
            asked = other.party.heard.blocks
            await until("many rounds", lambda asked=asked: asked.count(payload.cid) > 3 * ROUNDS)  # type: ignore[misc]
        assert await found(daemon) == [("Claimed", 1.0), ("Here", 1.0)]
        async with linked(laptop, daemon):
            await until_so("the text to be missed", lambda: found(daemon), [("Here", 1.0), ("Claimed", 0.5)])


async def test_that_a_device_gives_no_blocks_to_anybody_is_nothing_against_a_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pknd.items.fetching.BACKGROUND_EVERY_S", 0.05)
    ann, author, friend = Inside("Ann", tmp_path), Liar("author"), Liar("friend")
    payload = Payload("text/plain", len(TEXT), raw_cid(TEXT.encode()))
    note = author.note("Claimed", words=TEXT, time=ann.now() - 1000, payload=payload)
    async with ann.running() as daemon, linked(friend, daemon), linked(author, daemon) as link:
        # As of somebody behind a router, who dialled in.
        author.party.network._listener.stop_listening()
        await daemon.people.trust(did_key(friend.party.author), petname="friend")
        await trusted_beside_an_own_note(daemon, author)
        await author.push(link, [note])
        await taken(ann, note)
        asked = friend.party.heard.blocks
        await until("enough rounds", lambda: asked.count(payload.cid) > ROUNDS)
        assert not author.party.heard.blocks
        assert await found(daemon) == [("Claimed", 1.0), ("Here", 1.0)]


async def test_a_text_of_another_size_than_its_author_signed_counts_for_less_at_once(tmp_path: Path) -> None:
    ann, liar = Inside("Ann", tmp_path), Liar("liar")
    served = liar.text(TEXT)
    signed = replace(served, size=served.size - 1)
    lie = liar.note("Claimed", words=TEXT, time=ann.now() - 1000, payload=signed)
    async with ann.running() as daemon, linked(liar, daemon) as link:
        await trusted_beside_an_own_note(daemon, liar)
        await liar.push(link, [lie])
        await taken(ann, lie)
        await until_so("the contradiction", lambda: found(daemon), [("Here", 1.0), ("Claimed", 0.5)])
        assert liar.party.heard.blocks == [served.cid]


async def test_texts_that_are_withheld_do_not_keep_an_older_one_from_being_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pknd.items.fetching._LOOKS", 2)
    ann, liar = Inside("Ann", tmp_path), Liar("liar")
    honest = liar.note("Claimed", words=TEXT, time=ann.now() - 1000, payload=liar.text(TEXT))
    newer = []
    for number in range(6):
        kind = "text/plain" if number % 2 else "image/png"
        payload = Payload(kind, 9, raw_cid(bytes([number])))
        newer.append(liar.note(f"N{number}", time=ann.now() - 900 + number, payload=payload))
    async with ann.running() as daemon, linked(liar, daemon) as link:
        await daemon.people.trust(did_key(liar.party.author), petname="liar")
        await liar.push(link, [honest, *newer])
        await taken(ann, newer[-1])
        await until("the oldest text", lambda: ann.env.store.read_now(lambda db: is_here(db, honest)))


async def test_who_lets_requests_stall_does_not_keep_the_texts_of_others_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pknd.items.fetching._BACKGROUND_PATIENCE_S", 10_000.0)
    monkeypatch.setattr("pknd.items.fetching._SHORT_PATIENCE_S", 0.2)
    ann, liar, friend = Inside("Ann", tmp_path), Liar("liar"), Liar("friend")
    honest = friend.note("Claimed", words=TEXT, time=ann.now() - 1000, payload=friend.text(TEXT))
    stalled = [Payload("text/plain", 9, raw_cid(bytes([number]))) for number in range(8)]
    liar.party.stalled = {payload.cid for payload in stalled}
    newer = [
        liar.note(f"N{number}", time=ann.now() - 900 + number, payload=payload)
        for number, payload in enumerate(stalled)
    ]
    async with ann.running() as daemon, linked(liar, daemon) as link:
        await daemon.people.trust(did_key(liar.party.author), petname="liar")
        await daemon.people.trust(did_key(friend.party.author), petname="friend")
        await liar.push(link, newer)
        await taken(ann, newer[-1])
        async with linked(friend, daemon) as other:
            await friend.push(other, [honest])
            await taken(ann, honest)
            # The network gives a silent transfer up after half a minute.
            async with asyncio.timeout(15):
                await until("the text", lambda: ann.env.store.read_now(lambda db: is_here(db, honest)))


def is_here(db: sqlite3.Connection, record: Record) -> bool:
    held = get(db, record.id)
    return held is not None and is_complete(db, held.rowid)


async def trusted_beside_an_own_note(daemon: Daemon, liar: Liar) -> None:
    await daemon.people.trust(did_key(liar.party.author), petname="liar")
    await daemon.items.publish(
        PublishRequest(text="# Here\n\nSomething about turbulence, at length.", audience="public")
    )
