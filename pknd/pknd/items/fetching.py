"""Pulling contents: short texts of near authors in the background, the rest when somebody wants it."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import NamedTuple, Protocol

from pkn_protocol.control.status import LogLevel
from pkn_protocol.records.ids import Cid, DeviceId
from pkn_protocol.records.model import Item
from pkn_protocol.records.payload import BadManifest
from pkn_protocol.search.believed import is_text
from pknd import log
from pknd.environment import Environment
from pknd.errors import DomainError
from pknd.items.arrivals import ItemGone
from pknd.items.download import Download
from pknd.items.in_vain import AskedInVain, gone_of
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
_SHORT_PATIENCE_S, _MOST_BESIDE = 5.0, 16
"""The same while fewer than so many are under way: what takes longer goes on beside the next ones."""
_LOOKS, _BATCH = 1000, 32
_AT_ONCE = 4
_MOST_PASSED = 50_000


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
        self._passed: set[Cid] = set()
        """Records whose content is not to be fetched unasked: it is no text, or its author describes it
        wrongly."""
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
        record, row = held.record, held.rowid

        def absent(device: DeviceId) -> None:
            # Others may have had no time, or no right, to fetch it.
            if device == record.by:
                self.in_vain.absent(record.id, row, self._env.monotonic())

        download = Download(self._env, self._links, row, record.author, item.payload, absent)
        task = asyncio.create_task(self._run(download, held, item.payload.size))
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

    async def _run(self, download: Download, held: Held, size: int) -> bool:
        if size > BACKGROUND_BYTES:
            here = await self._env.store.read(lambda db: bytes_used(db, held.rowid))
            await self._room.make_room(max(0, download.total - here))
        try:
            complete = await download.run()
            if complete:
                self.in_vain.forget({held.record.id})
                self._completed(held.rowid)
            return complete
        except BadManifest as error:
            self._passed.add(held.record.id)
            self.in_vain.contradicted(held.record.id, held.rowid, self._env.monotonic())
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
        if records := self.in_vain.records:
            self.in_vain.forget(await self._env.store.read(lambda db: gone_of(db, records)))
        if len(self._passed) > _MOST_PASSED:
            self._passed.clear()
        tried: set[Cid] = set()
        while True:
            without = frozenset(tried | self._passed)
            looked = await self._env.store.read(partial(_short_texts, near=near, without=without))
            self._passed |= looked.others
            if not looked.texts and not looked.others:
                return
            tried |= {held.record.id for held in looked.texts}
            await self._fetch_short_texts(looked.texts)
            await self._records_come_first()
            if not await self._room.has_room():
                return

    async def _fetch_short_texts(self, wanted: Sequence[Held]) -> None:
        slots = asyncio.Semaphore(_AT_ONCE)

        async def one(held: Held) -> None:
            async with slots:
                few = len(self._running) < _MOST_BESIDE
                patience = _SHORT_PATIENCE_S if few else _BACKGROUND_PATIENCE_S
                try:
                    await self.fetch(held, patience)
                except DomainError as error:
                    log.event("fetch.failed", LogLevel.WARNING, error=error.message)

        async with asyncio.TaskGroup() as tasks:
            for held in wanted:
                tasks.create_task(one(held))


class _Looked(NamedTuple):
    """Short texts that are missing, and records passed on the way that are none."""

    texts: list[Held]
    others: set[Cid]


def _short_texts(db: sqlite3.Connection, near: set[bytes], without: frozenset[Cid]) -> _Looked:
    looked = _Looked([], set())
    for row, cid in missing_payloads(db, near, most_bytes=BACKGROUND_BYTES, limit=_LOOKS, without=without):
        held = get_row(db, row)
        item = held.record.body if held is not None else None
        if held is None or not isinstance(item, Item) or item.payload is None or not is_text(item.payload):
            looked.others.add(cid)
        else:
            looked.texts.append(held)
        if len(looked.texts) >= _BATCH:
            break
    return looked
