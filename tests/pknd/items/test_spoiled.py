"""Contents that the disk has spoiled, with whole daemons: what repairs them."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from pkn_cli.client import ControlClient
from pkn_protocol.channel import messages as m
from pkn_protocol.control.items import PublishRequest
from pkn_protocol.control.work import VerifyRequest, VerifySummary
from pkn_protocol.records.ids import Cid, did_key, parse_cid
from pkn_protocol.records.model import Item, Payload
from pknd.errors import DomainError
from pknd.items.verifying import Verifier
from pknd.store.blocks import IN_ROW_BYTES
from pknd.store.files import BlockFiles
from pknd.store.records import get
from tests.e2e.inside import Inside, until

MB = 1024 * 1024


def spoil(home: Path) -> int:
    """Change a byte of each block of a home, as a failing disk would; how many."""
    count = 0
    with closing(sqlite3.connect(home / "pkn.db")) as db, db:
        for cid, data in db.execute("SELECT cid, data FROM block WHERE place = 0").fetchall():
            db.execute("UPDATE block SET data = ? WHERE cid = ?", (bytes([data[0] ^ 1]) + data[1:], cid))
            count += 1
    for path in (home / "blocks").glob("??/*"):
        path.write_bytes(bytes([path.read_bytes()[0] ^ 1]) + path.read_bytes()[1:])
        count += 1
    return count


async def published(one: Inside, path: Path, audience: str) -> str:
    return (await one.daemon.items.publish(PublishRequest(path=str(path), audience=audience))).id


async def meet(one: Inside, other: Inside, item: str) -> None:
    """Let one trust another, connect, and have the record of an item."""
    await one.daemon.people.trust(did_key(other.daemon.people.view.me), petname=None)
    await one.daemon.dial("127.0.0.1", other.daemon.network.port, None)
    await until("the record", lambda: bool(one.env.store.read_now(lambda db: get(db, parse_cid(item)))))


async def read(one: Inside, item: str, **bounds: int) -> bytes:
    async with asyncio.timeout(40):
        got = await one.daemon.items.payload(item, timeout_s=10, **bounds)
        return b"".join([chunk async for chunk in got.chunks])


async def verified(one: Inside) -> VerifySummary:
    last = [step async for step in Verifier(one.env).run(VerifyRequest())][-1]
    assert isinstance(last, VerifySummary)
    return last


async def imported(one: Inside, path: Path) -> int:
    def run() -> int:
        client = ControlClient(one.folder, start_hint="")
        *_, last = client.stream("POST", "/v1/import", body={"paths": [str(path)]})
        return int(last["summary"]["imported"])

    return await asyncio.to_thread(run)


def payload_of(one: Inside, item: str) -> Payload:
    held = one.env.store.read_now(lambda db: get(db, parse_cid(item)))
    assert held is not None and isinstance(held.record.body, Item)
    assert held.record.body.payload is not None
    return held.record.body.payload


@pytest.mark.parametrize("size", [1_000, IN_ROW_BYTES + 1_000])
@pytest.mark.parametrize("again", ["publish", "import", "publish elsewhere"])
async def test_the_own_file_repairs_what_the_disk_has_spoiled(tmp_path: Path, again: str, size: int) -> None:
    ann = Inside("Ann", tmp_path)
    note = tmp_path / "note.txt"
    note.write_text("sloe gin " * (size // 9), encoding="utf-8")
    audience = "public" if again == "publish elsewhere" else "private"
    async with ann.running():
        item = await published(ann, note, audience)
        assert spoil(ann.folder) > 0
        with pytest.raises(DomainError, match="this disk has spoiled"):
            await read(ann, item)
        assert [bad.id for bad in (await verified(ann)).bad] == [item]
        newest = item
        if again == "import":
            assert await imported(ann, note) == 1
        elif again == "publish":
            newest = await published(ann, note, audience)
            assert newest != item
        else:
            elsewhere = tmp_path / "elsewhere.txt"
            elsewhere.write_bytes(note.read_bytes())
            newest = await published(ann, elsewhere, audience)
            assert await read(ann, item) == note.read_bytes()
        shown = await ann.daemon.items.show(newest, fetch=False, timeout_s=1)
        assert await read(ann, shown.heads[0]) == note.read_bytes()


async def test_nobody_is_told_that_a_spoiled_block_is_to_be_had_here(tmp_path: Path) -> None:
    ann, ben = Inside("Ann", tmp_path), Inside("Ben", tmp_path)
    note = tmp_path / "note.txt"
    note.write_text("sloe gin", encoding="utf-8")
    async with ann.running() as a, ben.running():
        item = await published(ann, note, "public")
        await meet(ben, ann, item)
        link, cid = a.network.links[ben.env.keys.device], payload_of(ann, item).cid
        assert await a.giver.which(link, m.Have((cid,))) == m.Holds(b"\1")
        spoil(ann.folder)
        with pytest.raises(DomainError, match="this disk has spoiled"):
            await read(ann, item)
        assert await a.giver.which(link, m.Have((cid,))) == m.Holds(b"\0")


async def test_a_part_that_is_here_is_read_though_the_rest_cannot_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann, ben = Inside("Ann", tmp_path), Inside("Ben", tmp_path)
    film = tmp_path / "film.bin"
    film.write_bytes(os.urandom(30 * MB))
    async with ben.running() as b:
        async with ann.running():
            item = await published(ann, film, "public")
            await meet(ben, ann, item)
            assert await read(ben, item, first=MB, last=2 * MB) == film.read_bytes()[MB : 2 * MB]

        async def no_room(size: int) -> None:
            raise DomainError("no-room", "there is no room")

        monkeypatch.setattr(b.retention, "make_room", no_room)
        assert await read(ben, item, first=MB, last=2 * MB) == film.read_bytes()[MB : 2 * MB]
        with pytest.raises(DomainError, match="no room"):
            await read(ben, item)


async def test_a_disk_that_spoils_whatever_it_is_given_ends_a_fetch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann, ben = Inside("Ann", tmp_path), Inside("Ben", tmp_path)
    film = tmp_path / "film.bin"
    film.write_bytes(os.urandom(3 * MB))
    async with ann.running() as a, ben.running():
        item = await published(ann, film, "public")
        await meet(ben, ann, item)
        spoiling(ben, monkeypatch)
        with pytest.raises(DomainError):
            await read(ben, item)
        assert a.network.links[ben.env.keys.device].bytes_out < 20 * MB


def spoiling(one: Inside, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let what is read from the blocks of a daemon have another first byte each time."""
    folder = one.folder / "blocks"

    def read_bad(files: BlockFiles, cid: Cid) -> bytes | None:
        return b"?" if files._folder == folder else Path.read_bytes(files.path(cid))

    monkeypatch.setattr(BlockFiles, "read", read_bad)
