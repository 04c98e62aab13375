"""Contents from several daemons at once: who gives what, who may not, and what goes wrong on the way."""

from __future__ import annotations

import asyncio
import hashlib
import os
import sqlite3
import subprocess
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pkn_protocol.bulk.schedule import Ask, Fetch, GiveUp, Schedule
from pkn_protocol.channel import messages as m
from pkn_protocol.control.items import FetchSummary, PublishRequest, TextState
from pkn_protocol.control.work import Progress
from pkn_protocol.records.ids import Cid, cid_text, did_key, parse_cid, raw_cid
from pknd.channel.link import Link
from pknd.daemon import Daemon
from pknd.errors import DomainError
from pknd.items import download, giving, missing
from pknd.items.arrivals import Arrival
from pknd.items.missing import MissingBlocks
from pknd.store import erasure
from pknd.store.blocks import bytes_used, get_block, is_complete
from pknd.store.files import BlockFiles
from pknd.store.partials import PartialFile
from pknd.store.records import get
from pknd.sync.link import PeerLink
from tests.e2e.inside import Inside, until
from tests.pknd.channel.party import LOOPBACK, Party

MB = 1024 * 1024
SIZE = 12 * MB + 345
PARTS = [(0, 1), (MB - 1, MB + 1), (5 * MB, 7 * MB), (SIZE - 10, SIZE), (SIZE, SIZE + 5)]
PATIENCE_SECONDS = 60.0


def content(seed: str, size: int = SIZE) -> bytes:
    return hashlib.shake_128(seed.encode()).digest(size)


def written(folder: Path, data: bytes, name: str = "film.bin") -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


async def trusting(*daemons: Daemon) -> None:
    for one in daemons:
        for other in daemons:
            if one is not other:
                await one.people.trust(did_key(other.people.view.me), petname=None)


async def meet(one: Daemon, other: Daemon) -> None:
    await one.dial("127.0.0.1", other.network.port, None)


async def arrived(inside: Inside, cid: Cid) -> None:
    def here() -> bool:
        return inside.env.store.read_now(lambda db: get(db, cid)) is not None

    await until("the record", here)


async def published(one: Inside, path: Path, audience: str = "public") -> Cid:
    made = await one.daemon.items.publish(PublishRequest(path=str(path), audience=audience))
    return parse_cid(made.id)


async def fetched(inside: Inside, cid: Cid) -> FetchSummary:
    last: Progress | FetchSummary | None = None
    async with asyncio.timeout(PATIENCE_SECONDS):
        async for step in inside.daemon.items.fetch(cid_text(cid), timeout_s=PATIENCE_SECONDS):
            last = step
    assert isinstance(last, FetchSummary)
    return last


async def whole(inside: Inside, cid: Cid, **bounds: int) -> bytes:
    async with asyncio.timeout(PATIENCE_SECONDS):
        got = await inside.daemon.items.payload(cid_text(cid), timeout_s=PATIENCE_SECONDS, **bounds)
        return b"".join([chunk async for chunk in got.chunks])


def bytes_from(inside: Inside, other: Inside) -> int:
    return inside.daemon.network.links[other.env.keys.device].bytes_in


@asynccontextmanager
async def three(tmp_path: Path) -> AsyncIterator[tuple[Inside, Inside, Inside]]:
    """Ann, who writes, Ben, and Cat; all know and trust each other."""
    ann, ben, cat = (Inside(name, tmp_path) for name in ("Ann", "Ben", "Cat"))
    async with ann.running() as a, ben.running() as b, cat.running() as c:
        await trusting(a, b, c)
        await meet(b, a)
        yield ann, ben, cat


async def test_a_content_comes_from_two_holders_at_once_and_is_the_same(tmp_path: Path) -> None:
    data = content("two holders")
    async with three(tmp_path) as (ann, ben, cat):
        item = await published(ann, written(tmp_path, data))
        await arrived(ben, item)
        assert (await fetched(ben, item)).complete
        await meet(cat.daemon, ann.daemon)
        await meet(cat.daemon, ben.daemon)
        await arrived(cat, item)
        assert (await fetched(cat, item)).complete
        assert await whole(cat, item) == data
        assert bytes_from(cat, ann) > MB and bytes_from(cat, ben) > MB
        assert bytes_from(cat, ann) + bytes_from(cat, ben) < SIZE + MB


async def test_who_has_fetched_passes_on_what_the_author_cannot_give_any_more(tmp_path: Path) -> None:
    data = content("passed on")
    async with three(tmp_path) as (ann, ben, cat):
        path = written(tmp_path, data)
        item = await published(ann, path, "trusted")
        await until("the sealed one", lambda: bool(ben.env.store.read_now(_items)))
        item = ben.env.store.read_now(_items)[0]
        assert await whole(ben, item) == data
        path.unlink()
        await meet(cat.daemon, ann.daemon)
        await meet(cat.daemon, ben.daemon)
        await arrived(cat, item)
        assert await whole(cat, item) == data
        assert bytes_from(cat, ben) > SIZE


async def test_a_source_that_lies_is_closed_and_the_others_bring_everything(tmp_path: Path) -> None:
    data = content("a lie")
    async with three(tmp_path) as (ann, ben, cat):
        item = await published(ann, written(tmp_path, data))
        await arrived(ben, item)
        assert (await fetched(ben, item)).complete
        for start in range(0, SIZE, MB):
            chunk = data[start : start + MB]
            ben.daemon.giver._cache[raw_cid(chunk)] = bytes(len(chunk))
        await meet(cat.daemon, ann.daemon)
        await meet(cat.daemon, ben.daemon)
        link = cat.daemon.network.links[ben.env.keys.device]
        await arrived(cat, item)
        assert await whole(cat, item) == data
        await link.wait_over()
        assert link.ended is not None and link.ended.is_violation
        assert ann.env.keys.device in cat.daemon.network.links


async def test_who_may_not_see_an_item_gets_none_of_its_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with three(tmp_path) as (ann, ben, cat):
        await ann.daemon.people.untrust(did_key(cat.daemon.people.view.me))
        await published(ann, written(tmp_path, content("not for cat")), "trusted")
        await until("the sealed one", lambda: bool(ben.env.store.read_now(_items)))
        [item] = ben.env.store.read_now(_items)
        await meet(cat.daemon, ann.daemon)
        assert (await fetched(ben, item)).complete
        chunks = ben.env.store.read_now(
            lambda db: [Cid(cid) for (cid,) in db.execute("SELECT cid FROM block WHERE place = 1")]
        )
        assert len(chunks) == 12
        link = cat.daemon.network.links[ann.env.keys.device]
        read: list[Cid] = []

        def noted(db: sqlite3.Connection, files: BlockFiles, cid: Cid) -> bytes | None:
            read.append(cid)
            return get_block(db, files, cid)

        monkeypatch.setattr(giving, "get_block", noted)
        for cid in chunks[:3]:
            assert await link.fetch_block(cid, most_bytes=MB) is None
        answer = await link.request(m.Have(tuple(chunks)), timeout_s=10)
        assert answer == m.Holds(bytes(len(chunks)))
        # The time that reading takes would tell that they are here.
        assert read == []


async def test_a_part_is_had_without_what_lies_before_it(tmp_path: Path) -> None:
    data = content("a part")
    async with three(tmp_path) as (ann, ben, _):
        for audience in ("public", "private"):
            item = await published(ann, written(tmp_path, data, f"{audience}.bin"), audience)
            for first, last in [
                (0, 1),
                (MB - 1, MB + 1),
                (5 * MB, 7 * MB),
                (SIZE - 10, SIZE),
                (SIZE, SIZE + 5),
            ]:
                assert await whole(ann, item, first=first, last=last) == data[first:last]
            assert await whole(ann, item) == data
        item = await published(ann, written(tmp_path, data, "public.bin"))
        await arrived(ben, item)
        assert await whole(ben, item, first=11 * MB, last=11 * MB + 5) == data[11 * MB : 11 * MB + 5]


async def test_a_reader_gets_the_beginning_while_the_rest_comes_and_may_leave(tmp_path: Path) -> None:
    data = content("a reader", 40 * MB)
    async with three(tmp_path) as (ann, ben, _):
        item = await published(ann, written(tmp_path, data))
        await arrived(ben, item)
        got = await ben.daemon.items.payload(cid_text(item), timeout_s=PATIENCE_SECONDS)
        first = await anext(got.chunks)
        assert first == data[:MB]
        await got.chunks.aclose()
        await until("the fetch to end", lambda: not ben.daemon.fetcher._tasks)
        assert await whole(ben, item) == data
        assert bytes_from(ben, ann) < 40 * MB + 6 * MB


async def test_who_does_not_answer_does_not_hold_up_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "_HAVE_S", 1000.0)
    silent = Party("silent")
    asked = asyncio.Event()

    async def never(link: Link, message: m.Message) -> AsyncIterator[m.Message]:
        if isinstance(message, m.Have):
            asked.set()
        await asyncio.Event().wait()
        yield m.Pong()

    silent.answer = never
    async with three(tmp_path) as (ann, ben, _):
        await silent.start()
        try:
            await ben.daemon.dial(LOOPBACK, silent.port, None)
            item = await published(ann, written(tmp_path, content("nobody waits")))
            await arrived(ben, item)
            async with asyncio.timeout(20):
                assert (await fetched(ben, item)).complete
            assert asked.is_set()
        finally:
            await silent.network.stop()


async def test_a_fetch_that_is_given_up_before_it_began_is_begun_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given_up: list[GiveUp[Any]] = []
    steps = Schedule.next

    def at_once(self: Schedule[Any], now: float) -> list[Ask[Any] | Fetch[Any] | GiveUp[Any]]:
        effects = steps(self, now)
        for effect in effects:
            if isinstance(effect, Fetch) and not given_up:
                given_up.append(GiveUp(effect.source, effect.cid))
                # As when an answer comes while the database is looked at.
                return [*effects, *given_up]
        return effects

    monkeypatch.setattr(Schedule, "next", at_once)
    async with three(tmp_path) as (ann, ben, _):
        item = await published(ann, written(tmp_path, content("given up", 3 * MB)))
        await arrived(ben, item)
        async with asyncio.timeout(20):
            assert (await fetched(ben, item)).complete
        assert given_up


async def test_a_reader_who_leaves_with_the_last_byte_leaves_a_content_that_is_complete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    has_left = asyncio.Event()
    complete = MissingBlocks.note_complete

    async def late(self: MissingBlocks) -> bool:
        await has_left.wait()
        return await complete(self)

    monkeypatch.setattr(MissingBlocks, "note_complete", late)
    data = content("the last byte", 3 * MB)
    async with three(tmp_path) as (ann, ben, _):
        item = await published(ann, written(tmp_path, data))
        await arrived(ben, item)
        assert await whole(ben, item) == data
        has_left.set()
        await until("the fetch to end", lambda: not ben.daemon.fetcher._tasks)
        row = ben.env.store.read_now(lambda db: db.execute("SELECT record FROM payload").fetchone()[0])
        assert ben.env.store.read_now(lambda db: is_complete(db, row))


async def test_a_fetch_that_ends_while_the_disk_works_waits_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    began, may_end, closed_early = threading.Event(), threading.Event(), threading.Event()
    sync = PartialFile.sync

    def slow(self: PartialFile) -> None:
        began.set()
        may_end.wait(PATIENCE_SECONDS)
        if self._descriptor < 0:
            closed_early.set()
        sync(self)

    monkeypatch.setattr(PartialFile, "sync", slow)
    async with three(tmp_path) as (ann, ben, _):
        item = await published(ann, written(tmp_path, content("a slow disk")))
        await arrived(ben, item)
        got = asyncio.create_task(whole(ben, item))
        await until("a block to be on its way to the disk", began.is_set)
        got.cancel()
        await asyncio.wait((got,))
        [fetch] = ben.daemon.fetcher._tasks
        await asyncio.wait((fetch,), timeout=0.2)
        assert not fetch.done()
        may_end.set()
        await asyncio.wait((fetch,))
        assert fetch.cancelled() and not closed_early.is_set()
        assert (await fetched(ben, item)).complete


async def test_a_block_that_two_have_brought_counts_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    came = download.Download._came

    def twice(self: download.Download, link: PeerLink, arrival: Arrival, fetched: int) -> None:
        again = arrival
        if isinstance(arrival.block, PartialFile):
            block = self._env.store.files.partials.open(arrival.cid, most_bytes=MB)
            block.begin()
            block.take(memoryview(arrival.block.path.read_bytes()))
            again = Arrival(arrival.cid, block)
        came(self, link, arrival, fetched)
        came(self, link, again, fetched)

    monkeypatch.setattr(download.Download, "_came", twice)
    data = content("twice")
    async with three(tmp_path) as (ann, ben, _):
        item = await published(ann, written(tmp_path, data))
        await arrived(ben, item)
        row = ben.env.store.read_now(lambda db: db.execute("SELECT record FROM payload").fetchone()[0])
        async for step in ben.daemon.items.fetch(cid_text(item), timeout_s=PATIENCE_SECONDS):
            if isinstance(step, Progress):
                assert step.done <= ben.env.store.read_now(lambda db: bytes_used(db, row))
        assert isinstance(step, FetchSummary) and step.complete
        assert await whole(ben, item) == data
        assert list((ben.folder / "blocks" / "partial").glob("*")) == []


async def test_a_content_of_equal_chunks_is_one_block(tmp_path: Path) -> None:
    data = bytes(9 * MB)
    async with three(tmp_path) as (ann, ben, _):
        item = await published(ann, written(tmp_path, data))
        await arrived(ben, item)
        assert await whole(ben, item) == data
        assert bytes_from(ben, ann) < 2 * MB


async def test_nothing_is_had_from_nobody_and_that_is_said_soon(tmp_path: Path) -> None:
    async with three(tmp_path) as (ann, ben, _):
        path = written(tmp_path, content("gone"))
        item = await published(ann, path)
        await arrived(ben, item)
        path.unlink()
        assert not (await fetched(ben, item)).complete
        with pytest.raises(DomainError, match="author is online, but no longer has"):
            await whole(ben, item)


async def test_without_its_author_it_is_said_that_nobody_online_holds_it(tmp_path: Path) -> None:
    ann, ben = Inside("Ann", tmp_path), Inside("Ben", tmp_path)
    async with ben.running() as b:
        async with ann.running() as a:
            await meet(b, a)
            item = await published(ann, written(tmp_path, content("away")))
            await arrived(ben, item)
        await until("Ann to be gone", lambda: not b.network.links)
        with pytest.raises(DomainError, match="nobody who is online now holds"):
            await whole(ben, item)


async def test_an_item_that_is_retracted_while_it_comes_leaves_nothing(tmp_path: Path) -> None:
    data = content("retracted", 40 * MB)
    async with three(tmp_path) as (ann, ben, _):
        item = await published(ann, written(tmp_path, data))
        await arrived(ben, item)
        fetch = ben.daemon.items.fetch(cid_text(item), timeout_s=PATIENCE_SECONDS)
        async for step in fetch:
            if isinstance(step, Progress) and step.done:
                break
        await ann.daemon.items.retract(cid_text(item))
        async with asyncio.timeout(PATIENCE_SECONDS):
            async for _ in fetch:
                continue
        await until("the record to go", lambda: ben.env.store.read_now(lambda db: get(db, item)) is None)
        await ben.env.store.erase_traces()
        await ben.env.store.maintain(now=ben.now())
        assert [path for path in (ben.folder / "blocks").rglob("*") if path.is_file()] == []


async def test_what_is_retracted_elsewhere_does_not_break_what_is_on_its_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(erasure, "AT_ONCE_BYTES", 0)  # as with a large database
    data = content("not the retracted one", 40 * MB)
    async with three(tmp_path) as (ann, ben, _):
        item = await published(ann, written(tmp_path, data))
        others = [await published(ben, written(tmp_path, b"a note", f"{n}.txt")) for n in range(3)]
        await arrived(ben, item)
        async with asyncio.timeout(PATIENCE_SECONDS):
            async for step in ben.daemon.items.fetch(cid_text(item), timeout_s=PATIENCE_SECONDS):
                if isinstance(step, Progress) and step.done and others:
                    await ben.daemon.items.retract(cid_text(others.pop()))
        assert isinstance(step, FetchSummary) and step.complete
        assert await whole(ben, item) == data


async def test_a_text_is_shown_once_it_came(tmp_path: Path) -> None:
    text = "A long text about tides. " * 100_000
    async with three(tmp_path) as (ann, ben, _):
        item = await published(ann, written(tmp_path, text.encode(), "tides.txt"))
        await arrived(ben, item)
        detail = await ben.daemon.items.show(cid_text(item), fetch=False, timeout_s=1)
        assert detail.text_state is TextState.UNREACHABLE
        assert (await fetched(ben, item)).complete
        detail = await ben.daemon.items.show(cid_text(item), fetch=False, timeout_s=1)
        assert detail.text_state is TextState.CUT and detail.text is not None
        assert text.startswith(detail.text)


@pytest.fixture
def volume(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "volume"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.needs("root")
async def test_a_disk_that_fills_up_on_the_way_says_so_and_the_fetch_goes_on_once_there_is_room(
    tmp_path: Path, volume: Path
) -> None:
    data = content("a full disk")
    ann, ben = Inside("Ann", tmp_path), Inside("Ben", volume)
    async with ann.running() as a, ben.running() as b:
        await trusting(a, b)
        await meet(b, a)
        item = await published(ann, written(tmp_path, data))
        await arrived(ben, item)
        ballast = volume / "ballast"
        # Taken after it was found that there is room, as others on the volume do.
        make_room = ben.daemon.retention.make_room

        async def late(size: int) -> None:
            await make_room(size)
            room = os.statvfs(volume)
            ballast.write_bytes(bytes(max(0, room.f_bavail * room.f_frsize - 6 * MB)))

        ben.daemon.fetcher._room = _Room(late)
        with pytest.raises(DomainError, match="no room"):
            await fetched(ben, item)
        row = ben.env.store.read_now(lambda db: db.execute("SELECT record FROM payload").fetchone()[0])
        assert not ben.env.store.read_now(lambda db: is_complete(db, row))
        ballast.unlink()
        ben.daemon.fetcher._room = ben.daemon.retention
        assert await whole(ben, item) == data


async def test_a_disk_that_spoils_whatever_it_gets_ends_the_fetch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(missing, "_ANEW_S", 0.001)
    complete = MissingBlocks.note_complete
    times = 0

    async def spoiled(self: MissingBlocks) -> bool:
        nonlocal times
        times += 1
        await self._env.store.write(lambda db: db.execute("UPDATE block SET data = x'00' WHERE place = 0"))
        return await complete(self)

    monkeypatch.setattr(MissingBlocks, "note_complete", spoiled)
    async with three(tmp_path) as (ann, ben, _):
        item = await published(ann, written(tmp_path, content("spoiled", 3 * MB)))
        await arrived(ben, item)
        with pytest.raises(DomainError, match="cannot be read back"):
            async with asyncio.timeout(20):
                await fetched(ben, item)
        assert times < 10


@dataclass
class _Room:
    """Room that goes away between the question and the use of it."""

    late: Callable[[int], Awaitable[None]]

    async def make_room(self, size: int) -> None:
        await self.late(size)

    async def has_room(self) -> bool:
        return False


def _items(db: sqlite3.Connection) -> list[Cid]:
    return [Cid(cid) for (cid,) in db.execute("SELECT id FROM record WHERE kind = 'file'")]
