"""Reading: a few threads with a connection each, one snapshot a piece of work."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from pknd.store.database import open_reader
from pknd.store.failures import translated

T = TypeVar("T")

READER_THREADS = 2
MOST_WAITING_READS = 256
"""Readers beyond these wait before they are queued."""


class ReaderPool:
    """Opened lazily: a thread's connection is made with its first work."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._executor = ThreadPoolExecutor(READER_THREADS, "pkn-read")
        self._room = asyncio.Semaphore(MOST_WAITING_READS)
        self._local = threading.local()
        self._connections: list[sqlite3.Connection] = []
        self._gate = threading.Condition()
        self._paused = False
        self._closed = False
        self._active = 0

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        async with self._room:
            return await asyncio.get_running_loop().run_in_executor(self._executor, self._run, work)

    def read_now(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work` in the calling thread, which is not that of the event loop."""
        return self._run(work)

    @contextlib.contextmanager
    def paused(self, *, seconds: float) -> Iterator[bool]:
        """Let no work begin; yields whether all that was going on has ended within `seconds`."""
        with self._gate:
            self._paused = True
            quiet = self._gate.wait_for(lambda: self._active == 0, seconds)
        try:
            yield quiet
        finally:
            with self._gate:
                self._paused = False
                self._gate.notify_all()

    def close(self) -> None:
        """Finish what was accepted and close the connections; blocking."""
        self._executor.shutdown()
        with self._gate:
            self._closed = True
            self._gate.wait_for(lambda: self._active == 0)
        for connection in self._connections:
            connection.close()
        self._connections.clear()

    def _run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        with self._gate:
            self._gate.wait_for(lambda: not self._paused)
            if self._closed:
                raise RuntimeError("the store is closed")
            self._active += 1
        try:
            return self._snapshot(work)
        except (sqlite3.Error, OSError) as error:
            if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_READONLY:
                raise  # the work tried to write: a fault of ours, not of the file
            raise translated(error, self._path) from error
        finally:
            with self._gate:
                self._active -= 1
                self._gate.notify_all()

    def _snapshot(self, work: Callable[[sqlite3.Connection], T]) -> T:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = open_reader(self._path)
            self._local.connection = connection
            self._connections.append(connection)
        connection.execute("BEGIN")
        try:
            return work(connection)
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
