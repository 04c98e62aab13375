"""Writing: one thread, many pieces of work in one transaction, results only after it is on disk."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pknd.store.failures import translated

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]

MOST_WAITING_WRITES = 512
"""Writers beyond these wait their turn: the queue stays bounded."""
MOST_SHARING = 256
"""Writes in one transaction: enough to make the fsync cheap, few enough to answer soon."""


@dataclass(slots=True, eq=False)
class Job:
    """`alone`: runs outside any transaction, between two of them."""

    work: Work[Any]
    future: asyncio.Future[Any]
    alone: bool = False
    result: Any = None
    error: BaseException | None = None

    def settle(self) -> None:
        if self.future.done():
            return
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.result)


class GroupWriter:
    """Owns the writer's connection while it runs.

    In the writer's thread `before_commit` is called at the end of each transaction of a group, and `undone`
    where that comes to nothing; `after_commit` is called before results are given out and returns how many
    seconds later `when_idle` wants to be called; None when there is nothing to do. `when_idle` returns the
    same.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        path: Path,
        *,
        before_commit: Callable[[], None],
        undone: Callable[[], None],
        after_commit: Callable[[], float | None],
        when_idle: Callable[[], float | None],
    ) -> None:
        self.commits = 0
        self._connection = connection
        self._path = path
        self._before_commit = before_commit
        self._undone = undone
        self._after_commit = after_commit
        self._when_idle = when_idle
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._room = asyncio.Semaphore(MOST_WAITING_WRITES)
        self._closed = False
        self._idle_after: float | None = None
        self._thread = threading.Thread(target=self._loop, name="pkn-write", daemon=True)
        self._thread.start()

    async def write(self, work: Work[T], *, alone: bool = False) -> T:
        """Run `work` in the writer's thread; see `Store.write`."""
        await self._room.acquire()
        if self._closed:
            self._room.release()
            raise RuntimeError("the store is closed")
        job = Job(work, asyncio.get_running_loop().create_future(), alone)
        # The place is given back when the work is done, not when its caller has lost patience.
        job.future.add_done_callback(self._finished)
        self._jobs.put(job)
        result: T = await asyncio.shield(job.future)
        return result

    def close(self) -> None:
        """Finish what was accepted; blocking."""
        if not self._closed:
            self._closed = True
            self._jobs.put(None)
        self._thread.join()

    def _finished(self, future: asyncio.Future[Any]) -> None:
        self._room.release()
        if not future.cancelled():
            future.exception()  # a caller that went away does not make it an unheard one

    def _loop(self) -> None:
        following: Job | None = None
        ended = False
        while not ended or following is not None:
            jobs: list[Job] = []
            if following is not None:
                jobs, following = [following], None
            else:
                try:
                    first = self._jobs.get(timeout=self._idle_after)
                except queue.Empty:
                    self._idle_after = self._when_idle()
                    continue
                if first is None:
                    return
                jobs = [first]
            while not jobs[0].alone and len(jobs) < MOST_SHARING:
                try:
                    job = self._jobs.get_nowait()
                except queue.Empty:
                    break
                if job is None:
                    ended = True
                    break
                if job.alone:
                    following = job
                    break
                jobs.append(job)
            self._do(jobs)

    def _do(self, jobs: list[Job]) -> None:
        try:
            if jobs[0].alone:
                self._run_alone(jobs[0])
            else:
                self._commit_together(jobs)
        except BaseException as error:
            # Whatever it was, nobody may wait for ever, and the next work gets its chance.
            for job in jobs:
                job.error = job.error or error
        self._settle(jobs)

    def _settle(self, jobs: list[Job]) -> None:
        def settle() -> None:
            for job in jobs:
                job.settle()

        loops = {job.future.get_loop() for job in jobs}
        for loop in loops:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(settle)

    def _run_alone(self, job: Job) -> None:
        try:
            job.result = job.work(self._connection)
        except Exception as error:
            job.error = translated(error, self._path)

    def _commit_together(self, jobs: list[Job]) -> None:
        connection = self._connection
        try:
            connection.execute("BEGIN IMMEDIATE")
            for job in jobs:
                self._run(job)
            self._before_commit()
            connection.execute("COMMIT")
        except (sqlite3.Error, OSError) as error:
            self._undone()
            failure = translated(error, self._path)
            for job in jobs:
                job.error = failure
            return
        finally:
            if connection.in_transaction:
                with contextlib.suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")
        self.commits += 1
        self._idle_after = self._after_commit()

    def _run(self, job: Job) -> None:
        """Run one of a group; its failure undoes its own changes alone.

        Raises:
            sqlite3.Error: SQLite has ended the whole transaction, as it may when there is no room.
        """
        connection = self._connection
        connection.execute("SAVEPOINT job")
        try:
            job.result = job.work(connection)
        except Exception as error:
            if not connection.in_transaction:
                raise
            job.error = translated(error, self._path)
            connection.execute("ROLLBACK TO job")
        connection.execute("RELEASE job")
