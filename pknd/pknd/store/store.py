"""The store of one home: one writer with group commit, a few readers, nothing on the event loop.

`write(work)` runs `work(connection)` in a savepoint of a transaction that it may share with other writes; it
returns when that transaction is committed and synced. So a thousand concurrent writes cost some ten fsyncs,
and none is acknowledged before it is on disk.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from pkn_protocol.control.status import LogLevel
from pknd import log
from pknd.search import index
from pknd.store.arrivals import ArrivalFeed
from pknd.store.backups import backup_is_due, make_backup, remove_unfinished_backups
from pknd.store.database import DATABASE_NAME, open_database, open_reader
from pknd.store.erasure import IDLE_SECONDS, Eraser
from pknd.store.failures import translated
from pknd.store.files import BlockFiles
from pknd.store.readers import ReaderPool
from pknd.store.row_feed import RowFeed
from pknd.store.writer import GroupWriter

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]

BLOCKS_NAME = "blocks"
TIDY_SECONDS = 0.02
"""Between two steps of tidying the index while nothing else is to be written."""


class Store:
    """Opened with `open`; closed with `close`, which finishes what was accepted."""

    def __init__(self, home: Path, connection: sqlite3.Connection) -> None:
        self.home = home
        self.path = home / DATABASE_NAME
        self.files = BlockFiles(home / BLOCKS_NAME)
        self.files.remove_unfinished()
        remove_unfinished_backups(home)
        self._connection = connection
        self._readers = ReaderPool(self.path)
        self._eraser = Eraser(connection, self.path, self.files, self._readers)
        self._eraser.erase(however_large=False)
        self.rows = RowFeed(connection)
        self.arrivals = ArrivalFeed(connection)
        self._writer = GroupWriter(
            connection,
            self.path,
            before_commit=self.rows.before_commit,
            undone=self.rows.failed,
            after_commit=self._committed,
            when_idle=self._when_idle,
        )
        self._closed = False

    @classmethod
    def open(cls, home: Path) -> Store:
        """Open or create the store of a home; blocking, for use before the loop has work.

        Raises:
            StoreDamaged, StoreTooNew, StoreUnreadable, DiskFull.
        """
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        connection = open_database(home / DATABASE_NAME)
        try:
            return cls(home, connection)
        except BaseException as error:
            connection.close()
            if isinstance(error, sqlite3.Error | OSError):
                raise translated(error, home / DATABASE_NAME) from error
            raise

    @property
    def commits(self) -> int:
        """Transactions that were committed since the store was opened."""
        return self._writer.commits

    async def write(self, work: Work[T]) -> T:
        """Run `work` in the writer's thread; returns its result once it is on disk.

        Work that was handed over is done even if its caller is cancelled.

        Raises:
            DiskFull: nothing was kept, and the store goes on once there is room. StoreDamaged. Whatever
                `work` raises: its own changes were undone, others' not.
        """
        return await self._writer.write(work)

    async def read(self, work: Work[T]) -> T:
        """Run `work` over one snapshot in a reader's thread, on a connection that cannot write."""
        if self._closed:
            raise RuntimeError("the store is closed")
        return await self._readers.read(work)

    def read_now(self, work: Work[T]) -> T:
        """As `read`, in the calling thread: for steps of a longer work that runs off the event loop."""
        return self._readers.read_now(work)

    async def erase_traces(self) -> bool:
        """After a retraction: see to it that no file of the home holds what was deleted.

        Left alone it happens within a second of quiet. False where it could not be finished yet (a large
        database, or one that somebody else reads); `maintain` finishes it.
        """
        return await self._writer.write(lambda _: self._eraser.erase(however_large=False), alone=True)

    async def back_up(self) -> Path:
        """Write a backup now, beside work that goes on.

        Raises:
            DiskFull: there is no new backup; the earlier ones are kept.
        """
        return await asyncio.to_thread(self._back_up)

    async def maintain(self, *, now: int) -> None:
        """What is to be done now and then (the daemon calls this every few minutes; `now` in ms): a backup
        a day, and what erasure has left over. A failure is logged; the next call tries again."""

        def tidy(_: sqlite3.Connection) -> None:
            self._eraser.remove_stray_files()
            self._eraser.erase(however_large=True)

        try:
            await self._writer.write(tidy, alone=True)
            if await asyncio.to_thread(backup_is_due, self.home, now=now):
                await self.back_up()
        except Exception as error:
            log.event("store.maintenance_failed", LogLevel.WARNING, error=str(error))

    async def close(self) -> None:
        """Finish all accepted writes, then close."""
        if self._closed:
            return
        self._closed = True
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        self._writer.close()
        self._readers.close()
        self.files.close()
        self._connection.close()

    def _back_up(self) -> Path:
        try:
            with contextlib.closing(open_reader(self.path)) as connection:
                return make_backup(connection, self.home, now=int(time.time() * 1000))
        except (sqlite3.Error, OSError) as error:
            raise translated(error, self.path) from error

    def _committed(self) -> float | None:
        self.rows.after_commit()
        self.arrivals.after_commit()
        return IDLE_SECONDS if self._eraser.is_due or not index.is_tidy(self._connection) else None

    def _when_idle(self) -> float | None:
        """Erase what is noted, then tidy the index, little by little: a write may come at any time."""
        try:
            if self._eraser.is_due:
                self._eraser.erase(however_large=False)
            elif not index.is_tidy(self._connection):
                with self._connection:
                    self._connection.execute("BEGIN IMMEDIATE")
                    index.tidy_some(self._connection)
            return TIDY_SECONDS if not index.is_tidy(self._connection) else None
        except sqlite3.Error as error:
            # Nothing was lost: the postings are found where they are, and the next write calls again.
            log.event("store.tidying_failed", LogLevel.WARNING, error=str(error))
            return None
