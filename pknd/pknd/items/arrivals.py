"""Blocks that came and are to be kept: many share one sync and one transaction.

While a group is on its way to the disk the next one gathers: a slow disk is waited for less often.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass

from pkn_protocol.records.ids import Cid
from pknd.background import over
from pknd.environment import Environment
from pknd.store.blocks import put_block, put_files
from pknd.store.failures import translated
from pknd.store.partials import PartialFile
from pknd.store.records import get_row

_MOST_IN_GROUP = 8
"""8 MiB: enough to share a transaction, little enough that a new record's sync waits not long behind it."""
MOST_WAITING = 12
"""Files that came in full and are open; beyond this nothing new is fetched until the disk has caught up."""


class ItemGone(Exception):
    """The item was retracted or forgotten while its content came."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """A verified block, in memory or in a file under another name."""

    cid: Cid
    block: bytes | PartialFile

    @property
    def size(self) -> int:
        return len(self.block) if isinstance(self.block, bytes) else self.block.length


class Keeper:
    """Keeps the blocks of one record. `kept` is told of each group that is on disk, and of blocks that were
    lost on the way there."""

    def __init__(
        self,
        env: Environment,
        record: int,
        kept: Callable[[Sequence[Arrival], Sequence[Cid]], Awaitable[None]],
    ) -> None:
        self._env = env
        self._record = record
        self._kept = kept
        self._waiting: list[Arrival] = []
        self._group: list[Arrival] = []
        self._came = asyncio.Event()
        self._adopting: asyncio.Future[None] | None = None
        self._syncing: dict[PartialFile, Future[None]] = {}
        """On their way to the disk from the moment they came; by the time their group is made up most are
        there."""
        self.is_gone = False
        """The item was: nothing of its content is to stay, not even a beginning."""

    @property
    def cids(self) -> set[Cid]:
        """Blocks that came and are not on disk yet."""
        return {arrival.cid for arrival in (*self._waiting, *self._group)}

    @property
    def is_full(self) -> bool:
        return len(self._waiting) + len(self._group) >= MOST_WAITING

    def put(self, arrival: Arrival) -> None:
        if isinstance(arrival.block, PartialFile):
            self._syncing[arrival.block] = self._env.store.files.sync(arrival.block)
        self._waiting.append(arrival)
        self._came.set()

    async def run(self) -> None:
        """Until cancelled. Raises ItemGone, DiskFull."""
        while True:
            await self._came.wait()
            self._group = self._waiting[:_MOST_IN_GROUP]
            del self._waiting[:_MOST_IN_GROUP]
            if not self._waiting:
                self._came.clear()
            if self._group:
                kept = await self._keep(self._group)
                lost = [arrival.cid for arrival in self._group if arrival.cid not in kept]
                whole, self._group = [a for a in self._group if a.cid in kept], []
                await self._kept(whole, lost)

    async def close(self) -> None:
        """Let go of what was not kept, once no thread works on it any more. It stays as a beginning that is
        complete, if the item does."""
        try:
            if self._adopting is not None:
                await over(self._adopting)
                if not self._adopting.cancelled():
                    self._adopting.exception()  # told to `run`, if that was not cancelled
        finally:
            await over(asyncio.ensure_future(asyncio.to_thread(wait, list(self._syncing.values()))))
            for arrival in (*self._waiting, *self._group):
                if isinstance(arrival.block, PartialFile):
                    arrival.block.close(keep=not self.is_gone)

    async def _keep(self, group: Sequence[Arrival]) -> set[Cid]:
        self._adopting = asyncio.ensure_future(asyncio.to_thread(self._adopt, group))
        await asyncio.shield(self._adopting)
        store, record = self._env.store, self._record

        def work(db: sqlite3.Connection) -> set[Cid]:
            if get_row(db, record) is None:
                self.is_gone = True
                raise ItemGone
            kept = set(
                put_files(
                    db,
                    store.files,
                    [(a.cid, a.size) for a in group if isinstance(a.block, PartialFile)],
                    record=record,
                )
            )
            for arrival in group:
                if isinstance(arrival.block, bytes):
                    put_block(db, store.files, arrival.cid, arrival.block, record=record)
                    kept.add(arrival.cid)
            return kept

        return await store.write(work)

    def _adopt(self, group: Sequence[Arrival]) -> None:
        files = self._env.store.files
        blocks = [(a.cid, a.block) for a in group if isinstance(a.block, PartialFile)]
        try:
            for _, block in blocks:
                self._syncing[block].result()
            files.adopt(blocks)
        except OSError as error:
            raise translated(error, self._env.store.path) from error
        for _, block in blocks:
            del self._syncing[block]
            block.close()
