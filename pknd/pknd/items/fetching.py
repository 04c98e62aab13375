"""Pulling contents: short texts of near authors in the background, the rest when somebody wants it."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

from pkn_protocol.channel.errors import CloseCode
from pkn_protocol.control.status import LogLevel
from pkn_protocol.records.ids import AuthorId, Cid
from pkn_protocol.records.model import Item
from pkn_protocol.records.payload import BadManifest
from pkn_protocol.records.walk import BadBlock, PayloadWalk, WantedBlock
from pknd import log
from pknd.environment import Environment
from pknd.items.content import is_text
from pknd.people.view import PeopleView
from pknd.store.blocks import (
    IN_ROW_BYTES,
    get_block,
    has_block,
    is_complete,
    missing_payloads,
    put_block,
    set_complete,
)
from pknd.store.records import Held, get_row
from pknd.sync.link import LinkClosed, PeerLink

BACKGROUND_BYTES = 64 * 1024
"""Texts up to this size are fetched unasked, of authors at this distance and nearer."""
BACKGROUND_DISTANCE = 2
BACKGROUND_EVERY_S = 60.0
_BATCH = 32
_AT_ONCE = 4


class Room(Protocol):
    """Room on the disk for what others wrote."""

    async def has_room(self) -> bool:
        """Whether anything may be fetched unasked."""
        ...

    async def make_room(self, size: int) -> None:
        """Raises DomainError where so many bytes would not fit."""


class Fetcher:
    """One fetch an item at a time; those who want the same item wait for the same fetch. `completed` is told
    the row of each record whose content came."""

    def __init__(
        self,
        env: Environment,
        links: Callable[[], Sequence[PeerLink]],
        view: Callable[[], PeopleView],
        room: Room,
        completed: Callable[[int], None] = lambda record: None,
    ) -> None:
        self._env = env
        self._completed = completed
        self._links = links
        self._view = view
        self._room = room
        self._running: dict[int, asyncio.Task[bool]] = {}
        self._wake = asyncio.Event()

    def look_for_work(self) -> None:
        """New summaries came, or somebody new is connected."""
        self._wake.set()

    async def run(self) -> None:
        """Fetch in the background, as long as the daemon runs."""
        while True:
            try:
                async with asyncio.timeout(BACKGROUND_EVERY_S):
                    await self._wake.wait()
            except TimeoutError:
                pass
            self._wake.clear()
            if self._links() and await self._room.has_room():
                await self._background()

    async def fetch(self, held: Held, timeout_s: float) -> bool:
        """Fetch an item's content within so many seconds; whether it is here now. A fetch that takes longer
        goes on, and what has come is kept.

        Raises:
            DomainError: it is larger than what is kept for others.
        """
        if await self._env.store.read(lambda db: is_complete(db, held.rowid)):
            return True
        task = self._running.get(held.rowid)
        if task is None:
            task = asyncio.create_task(self._fetch(held))
            self._running[held.rowid] = task
            task.add_done_callback(lambda _: self._running.pop(held.rowid, None))
        try:
            async with asyncio.timeout(timeout_s):
                return await asyncio.shield(task)
        except TimeoutError:
            return False

    async def stop(self) -> None:
        tasks = list(self._running.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _background(self) -> None:
        view = self._view()
        near = {bytes(a) for a, d in view.distances.items() if 0 < d <= BACKGROUND_DISTANCE}
        tried: set[int] = set()
        while True:
            wanted = await self._env.store.read(partial(_short_texts, near=near, tried=frozenset(tried)))
            if not wanted:
                return
            tried |= {held.rowid for held in wanted}
            slots = asyncio.Semaphore(_AT_ONCE)

            async def one(held: Held, slots: asyncio.Semaphore = slots) -> None:
                async with slots:
                    await self.fetch(held, 30.0)

            async with asyncio.TaskGroup() as tasks:
                for held in wanted:
                    tasks.create_task(one(held))
            if not await self._room.has_room():
                return

    async def _fetch(self, held: Held) -> bool:
        """From whoever is connected, the author's own devices first; each block kept as it comes."""
        item = held.record.body
        if not isinstance(item, Item) or item.payload is None:
            return False
        try:
            walk = PayloadWalk(item.payload)
        except BadManifest:
            return False
        if item.payload.size > BACKGROUND_BYTES:
            await self._room.make_room(item.payload.size)
        for link in self._in_order(held.record.author):
            try:
                if await self._from_link(link, walk, held):
                    return True
            except LinkClosed as error:
                log.event(
                    "fetch.broken", LogLevel.DEBUG, device=link.peer.device.hex()[:16], error=str(error)
                )
            except BadBlock as error:
                await link.close(CloseCode.BAD_RECORD, str(error))
            except BadManifest as error:
                log.event("fetch.bad_manifest", LogLevel.WARNING, error=str(error))
                return False
        return False

    async def _from_link(self, link: PeerLink, walk: PayloadWalk, held: Held) -> bool:
        while (wanted := walk.wanted) is not None:
            if await self._is_here(walk, wanted):
                continue
            block = await link.fetch_block(wanted.cid, most_bytes=wanted.most_bytes)
            if block is None:
                return False
            walk.receive(block)
            await self._keep(wanted.cid, block, held.rowid)
        rowid = held.rowid
        await self._env.store.write(lambda db: set_complete(db, rowid))
        self._completed(rowid)
        return True

    async def _is_here(self, walk: PayloadWalk, wanted: WantedBlock) -> bool:
        if wanted.level == 0:
            if await self._env.store.read(lambda db: has_block(db, wanted.cid)):
                walk.pass_over()
                return True
            return False
        files = self._env.store.files
        block = await self._env.store.read(lambda db: get_block(db, files, wanted.cid))
        if block is None:
            return False
        walk.chunks_below(block)
        return True

    async def _keep(self, cid: Cid, block: bytes, rowid: int) -> None:
        files = self._env.store.files
        if len(block) > IN_ROW_BYTES:
            # Synced here, so that the writer's thread need not wait for it.
            await asyncio.to_thread(files.write, cid, block)

        def work(db: sqlite3.Connection) -> None:
            if get_row(db, rowid) is not None:
                put_block(db, files, cid, block, record=rowid)

        await self._env.store.write(work)

    def _in_order(self, author: AuthorId) -> list[PeerLink]:
        return sorted(self._links(), key=lambda link: (link.peer.author != author, link.rtt_ms or 0.0))


def _short_texts(db: sqlite3.Connection, near: set[bytes], tried: frozenset[int]) -> list[Held]:
    found = []
    for rowid, _ in missing_payloads(db, near, most_bytes=BACKGROUND_BYTES, limit=1000):
        if rowid in tried:
            continue
        held = get_row(db, rowid)
        item = held.record.body if held is not None else None
        if held is None or not isinstance(item, Item) or item.payload is None:
            continue
        if item.payload.size <= BACKGROUND_BYTES and is_text(item.payload):
            found.append(held)
            if len(found) >= _BATCH:
                break
    return found
