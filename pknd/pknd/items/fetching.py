"""Pulling contents: short texts of near authors in the background, the rest when somebody wants it."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Protocol

from pkn_protocol.control.status import LogLevel
from pkn_protocol.records.model import Item
from pkn_protocol.records.payload import BadManifest
from pkn_protocol.search.believed import is_text
from pknd import log
from pknd.environment import Environment
from pknd.errors import DomainError
from pknd.items.arrivals import ItemGone
from pknd.items.download import Download
from pknd.items.in_vain import AskedInVain
from pknd.people.view import PeopleView
from pknd.store.blocks import bytes_used, is_complete, missing_payloads
from pknd.store.records import Held, get_row
from pknd.store.spoiled import let_go_of_spoiled
from pknd.sync.link import PeerLink

BACKGROUND_BYTES = 64 * 1024
"""Texts up to this size are fetched unasked, of authors at this distance and nearer."""
BACKGROUND_DISTANCE = 2
BACKGROUND_EVERY_S = 60.0
LOOK_AGAIN_S = 0.5
MOST_PUT_OFF_S = 30.0
"""Records come before the texts that they announce: thousands of requests would hold them up. But not for
ever, since a peer could say for ever that there is more to come."""
_BACKGROUND_PATIENCE_S = 30.0
_BATCH = 32
_AT_ONCE = 4


class Room(Protocol):
    """Room on the disk for what others wrote."""

    async def has_room(self) -> bool:
        """Whether anything may be fetched unasked."""
        ...

    async def make_room(self, size: int) -> None:
        """Raises DomainError where so many bytes would not fit."""


class Fetching:
    """A download for those who follow it; it goes on without them if somebody `fetch`es."""

    def __init__(self, download: Download, task: asyncio.Task[bool]) -> None:
        self.download = download
        self.task = task
        self.followers = 0
        self.goes_on = False

    @property
    def is_over(self) -> bool:
        return self.task.done()

    def result(self) -> bool:
        """Once it is over: whether the content is here. Raises DomainError."""
        return not self.task.cancelled() and self.task.result()

    async def changed(self, count: int) -> None:
        """Until more is here than when `download.changes` had that count, or it is over."""
        if not self.is_over:
            await self.download.changes.since(count)


class Fetcher:
    """One fetch an item at a time; those who want the same item wait for the same fetch. `completed` is told
    the row of each record whose content came; `catching_up`: many records are on their way."""

    def __init__(
        self,
        env: Environment,
        links: Callable[[], Sequence[PeerLink]],
        view: Callable[[], PeopleView],
        room: Room,
        completed: Callable[[int], None] = lambda record: None,
        catching_up: Callable[[], bool] = lambda: False,
    ) -> None:
        self._env = env
        self._completed = completed
        self._links = links
        self._view = view
        self._room = room
        self._catching_up = catching_up
        self._running: dict[int, Fetching] = {}
        self._invalid: set[int] = set()
        """Rows of records whose author describes the content wrongly: not to be tried again unasked."""
        self._tasks: set[asyncio.Task[bool]] = set()
        self._wake = asyncio.Event()
        self.in_vain = AskedInVain(BACKGROUND_EVERY_S)

    def look_for_work(self) -> None:
        """New summaries came, or somebody new is connected."""
        self._wake.set()
        for fetching in self._running.values():
            fetching.download.look_again()

    async def run(self) -> None:
        """Fetch in the background, as long as the daemon runs."""
        while True:
            try:
                async with asyncio.timeout(BACKGROUND_EVERY_S):
                    await self._wake.wait()
            except TimeoutError:
                pass
            self._wake.clear()
            await self._records_come_first()
            if self._links() and await self._room.has_room():
                await self._background()

    async def _records_come_first(self) -> None:
        for _ in range(round(MOST_PUT_OFF_S / LOOK_AGAIN_S)):
            if not self._catching_up():
                return
            await asyncio.sleep(LOOK_AGAIN_S)

    async def fetch(self, held: Held, timeout_s: float) -> bool:
        """Fetch an item's content within so many seconds; whether it is here now. A fetch that takes longer
        goes on, and what has come is kept.

        Raises:
            DomainError: it is larger than what is kept for others, or than the disk.
        """
        async with self.following(held) as fetching:
            if fetching is None:
                return True
            fetching.goes_on = True
            await asyncio.wait((fetching.task,), timeout=timeout_s)
            return fetching.is_over and fetching.result()

    @asynccontextmanager
    async def following(self, held: Held) -> AsyncIterator[Fetching | None]:
        """A fetch of an item's content under way; None where it is here. When the last who follow it leave,
        it ends; what has come is kept, and if that is all, it is noted."""
        if await self._env.store.read(lambda db: is_complete(db, held.rowid)):
            yield None
            return
        fetching = self._running.get(held.rowid) or self._begin(held)
        if fetching is None:
            raise LookupError("an item without content")
        fetching.followers += 1
        fetching.download.is_abandoned = False
        try:
            yield fetching
        finally:
            fetching.followers -= 1
            if not fetching.followers and not fetching.goes_on and not fetching.is_over:
                fetching.download.is_abandoned = True
                if not fetching.download.has_all:
                    fetching.task.cancel()
                    self._running.pop(held.rowid, None)

    async def stop(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _begin(self, held: Held) -> Fetching | None:
        item = held.record.body
        if not isinstance(item, Item) or item.payload is None:
            return None
        download = Download(self._env, self._links, held.rowid, held.record.author, item.payload)
        task = asyncio.create_task(self._run(download, held.rowid, item.payload.size))
        self._tasks.add(task)
        fetching = Fetching(download, task)
        self._running[held.rowid] = fetching

        def over(task: asyncio.Task[bool]) -> None:
            self._tasks.discard(task)
            if self._running.get(held.rowid) is fetching:
                del self._running[held.rowid]
            download.changes.tell()
            if not task.cancelled():
                task.exception()  # told to those who wait; there may be nobody left

        task.add_done_callback(over)
        return fetching

    async def _run(self, download: Download, record: int, size: int) -> bool:
        if size > BACKGROUND_BYTES:
            here = await self._env.store.read(lambda db: bytes_used(db, record))
            await self._room.make_room(max(0, download.total - here))
        try:
            complete = await download.run()
            if complete:
                self.in_vain.came(record)
                self._completed(record)
            return complete
        except BadManifest as error:
            self._invalid.add(record)
            log.event("fetch.bad_manifest", LogLevel.WARNING, error=str(error))
        except ItemGone:
            log.event("fetch.item_gone", LogLevel.DEBUG)
        return False

    async def _background(self) -> None:
        view, files = self._view(), self._env.store.files
        if files.spoiled:
            # Those of own items only when somebody wants them: perhaps nobody else has them.
            await self._env.store.write(lambda db: let_go_of_spoiled(db, files, unless_of=view.me))
        near = {bytes(a) for a, d in view.distances.items() if 0 < d <= BACKGROUND_DISTANCE}
        tried = set(self._invalid)
        counts = self.in_vain.begin(self._env.monotonic())
        try:
            await self._fetch_short_texts(view, near, tried, counts=counts)
        finally:
            self.in_vain.end()

    async def _fetch_short_texts(
        self, view: PeopleView, near: set[bytes], tried: set[int], *, counts: bool
    ) -> None:
        while True:
            wanted = await self._env.store.read(partial(_short_texts, near=near, tried=frozenset(tried)))
            if not wanted:
                return
            tried |= {held.rowid for held in wanted}
            slots = asyncio.Semaphore(_AT_ONCE)

            async def one(held: Held, slots: asyncio.Semaphore = slots) -> None:
                async with slots:
                    asked = {link.peer.author for link in self._links()} & view.distances.keys()
                    try:
                        here = await self.fetch(held, _BACKGROUND_PATIENCE_S)
                        if counts and not here and held.rowid not in self._running:
                            self.in_vain.note(held.rowid, held.record.author, asked)
                    except DomainError as error:
                        log.event("fetch.failed", LogLevel.WARNING, error=error.message)

            async with asyncio.TaskGroup() as tasks:
                for held in wanted:
                    tasks.create_task(one(held))
            await self._records_come_first()
            if not await self._room.has_room():
                return


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
