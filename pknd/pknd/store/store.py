"""The store: one writer thread with group commit, a few readers, nothing on the event loop.

`write(work)` runs `work(connection)` in a savepoint of a transaction that it may share with other writes; it
returns when that transaction is committed and synced. So a thousand concurrent writes cost some ten fsyncs,
and none is acknowledged before it is on disk.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from pknd.store.database import DATABASE_NAME, back_up, open_database, open_reader, translated
from pknd.store.files import BlockFiles

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]

MOST_WAITING_WRITES = 512
"""Writers beyond these wait their turn: the queue stays bounded."""
MOST_SHARING = 256
"""Writes in one transaction: enough to make the fsync cheap, few enough to answer soon."""
READERS = 2


@dataclass(slots=True)
class _Job:
    work: Work[Any]
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Any]
    result: Any = None
    error: BaseException | None = field(default=None)

    def settle(self) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self.loop.call_soon_threadsafe(self._settle)

    def _settle(self) -> None:
        if self.future.cancelled():
            return
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.result)


class Store:
    """Opened with `open`; closed with `close`, which finishes what was accepted."""

    def __init__(self, home: Path, connection: sqlite3.Connection) -> None:
        self.home = home
        self.path = home / DATABASE_NAME
        self.files = BlockFiles(home / "blocks")
        self.commits = 0
        self._connection = connection
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._room = asyncio.Semaphore(MOST_WAITING_WRITES)
        self._closed = False
        self._local = threading.local()
        self._reader_connections: list[sqlite3.Connection] = []
        self._readers = ThreadPoolExecutor(READERS, "pkn-read")
        self._writer = threading.Thread(target=self._write_loop, name="pkn-write", daemon=True)
        self._writer.start()

    @classmethod
    def open(cls, home: Path) -> Store:
        """Open or create the store of a home; blocking, for use before the loop has work.

        Raises:
            StoreDamaged, StoreTooNew, DiskFull.
        """
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        return cls(home, open_database(home / DATABASE_NAME))

    async def write(self, work: Work[T]) -> T:
        """Run `work` in the writer's thread; returns its result once it is on disk.

        Raises:
            DiskFull: nothing was kept. Whatever `work` raises: its own changes were undone, others' not.
        """
        if self._closed:
            raise RuntimeError("the store is closed")
        async with self._room:
            loop = asyncio.get_running_loop()
            job = _Job(work, loop, loop.create_future())
            self._jobs.put(job)
            # What was handed over will be done; a cancelled caller does not undo it.
            result: T = await asyncio.shield(job.future)
            return result

    async def read(self, work: Work[T]) -> T:
        """Run `work` in a reader's thread over a connection that cannot write."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._readers, self._read, work)

    def read_now(self, work: Work[T]) -> T:
        """Run `work` on a connection of its own, in the calling thread; never on the event loop."""
        with contextlib.closing(open_reader(self.path)) as connection:
            return work(connection)

    async def back_up(self) -> None:
        """Write a backup of the database beside it."""

        def work(connection: sqlite3.Connection) -> None:
            back_up(connection, self.path)

        await self.read(work)

    async def close(self) -> None:
        """Finish all accepted writes, then close."""
        if self._closed:
            return
        self._closed = True
        self._jobs.put(None)
        await asyncio.to_thread(self._writer.join)
        await asyncio.to_thread(self._readers.shutdown)
        for connection in self._reader_connections:
            connection.close()
        self._connection.close()

    def _read(self, work: Work[T]) -> T:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = open_reader(self.path)
            self._local.connection = connection
            self._reader_connections.append(connection)
        try:
            # One snapshot for everything that the work reads.
            connection.execute("BEGIN")
            return work(connection)
        except sqlite3.Error as error:
            raise translated(error, self.path) from error
        finally:
            connection.execute("ROLLBACK") if connection.in_transaction else None

    def _write_loop(self) -> None:
        ended = False
        while not ended:
            jobs = [self._jobs.get()]
            while len(jobs) < MOST_SHARING:
                try:
                    jobs.append(self._jobs.get_nowait())
                except queue.Empty:
                    break
            ended = None in jobs
            self._commit_together([job for job in jobs if job is not None])

    def _commit_together(self, jobs: list[_Job]) -> None:
        if not jobs:
            return
        connection = self._connection
        try:
            connection.execute("BEGIN IMMEDIATE")
            for job in jobs:
                self._run(job)
            connection.execute("COMMIT")
            self.commits += 1
        except sqlite3.Error as error:
            with contextlib.suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
            failure = translated(error, self.path)
            for job in jobs:
                job.error = failure
        for job in jobs:
            job.settle()

    def _run(self, job: _Job) -> None:
        connection = self._connection
        connection.execute("SAVEPOINT job")
        try:
            job.result = job.work(connection)
        except sqlite3.OperationalError:
            # A full disk ends the whole transaction: every job of it is told.
            raise
        except BaseException as error:
            connection.execute("ROLLBACK TO job")
            job.error = error
        connection.execute("RELEASE job")

    async def erase_traces(self) -> None:
        """After a retraction: no page of the database, its log or its backup keeps what was deleted.

        Secure delete has overwritten the cells; the log is folded into the file and cut to nothing, free
        pages are given back, and the backup is written anew.
        """

        def work() -> None:
            connection = sqlite3.connect(self.path, isolation_level=None)
            with contextlib.closing(connection):
                connection.execute("PRAGMA busy_timeout = 10000")
                connection.execute("PRAGMA secure_delete = ON")
                connection.execute("PRAGMA incremental_vacuum").fetchall()
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
                if self.path.with_name("pkn.backup.db").exists():
                    back_up(connection, self.path)

        await asyncio.to_thread(work)
