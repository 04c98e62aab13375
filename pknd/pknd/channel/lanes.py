"""Transfers in threads: some at a time from each source, the next one begun without asking the event loop.

The loop is busy for milliseconds now and then; a connection that had to wait for it between two blocks would
stand still for as long.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections import deque
from collections.abc import Hashable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Protocol

from pknd.background import background_threads, over
from pknd.sync.link import LinkClosed


class Transfer(Protocol):
    """What a lane does for one block."""

    def run(self) -> bool:
        """In a thread; raises what the one who waits is told."""
        ...

    def abort(self) -> None:
        """From another thread: end soon."""
        ...


@dataclass(slots=True, eq=False)
class _Job:
    transfer: Transfer
    ended: asyncio.Future[bool]
    timer: asyncio.TimerHandle | None = None
    began: float | None = None
    """On the monotonic clock; None while it waits for a thread."""
    result: bool | Exception = False
    is_over: bool = False
    is_late: bool = False


@dataclass(slots=True)
class _Queue:
    waiting: deque[_Job] = field(default_factory=deque)
    threads: int = 0


class Lanes:
    """At most `threads` transfers at a time. Used from one event loop."""

    def __init__(self, threads: int, seconds: float) -> None:
        self._executor: ThreadPoolExecutor = background_threads(threads, "pkn-bulk")
        self._seconds = seconds
        self._lock = threading.Lock()
        self._queues: dict[Hashable, _Queue] = {}
        self._running: set[_Job] = set()
        self._settled: list[_Job] = []
        self._without_thread = 0
        """Lanes that could work if they had a thread."""
        self._closed = False

    async def run(self, source: Hashable, transfer: Transfer, *, at_once: int) -> bool:
        """Have a transfer run, beside fewer than `at_once` others from that source. When this returns or
        raises, cancelled or not, no thread works on it any more.

        Raises:
            LinkClosed: it took longer than `seconds` once it had begun. Whatever the transfer raises.
        """
        loop = asyncio.get_running_loop()
        job = _Job(transfer, loop.create_future())
        self._put(source, job, at_once)
        job.timer = loop.call_later(self._seconds, self._look, job)
        try:
            return await job.ended
        except asyncio.CancelledError:
            if not self._withdraw(source, job):
                transfer.abort()
                if not job.is_over:
                    job.ended = loop.create_future()
                    job.ended.add_done_callback(_heard)
                    await over(job.ended)
            raise
        finally:
            job.timer.cancel()

    async def close(self) -> None:
        """Break off what is under way, and let nothing begin."""
        with self._lock:
            self._closed = True
            for job in self._running:
                job.transfer.abort()
        await asyncio.to_thread(self._executor.shutdown)

    def _put(self, source: Hashable, job: _Job, at_once: int) -> None:
        with self._lock:
            if self._closed:
                raise LinkClosed("stopping")
            queue = self._queues.setdefault(source, _Queue())
            queue.waiting.append(job)
            if queue.threads < at_once:
                queue.threads += 1
                self._submit(source, queue)

    def _withdraw(self, source: Hashable, job: _Job) -> bool:
        """Take a transfer back that has not begun; whether that was in time."""
        with self._lock:
            queue = self._queues.get(source)
            if queue is None or job not in queue.waiting:
                return False
            queue.waiting.remove(job)
            return True

    def _look(self, job: _Job) -> None:
        """Waiting for a thread is not the source's slowness: only the time since it began counts."""
        if job.ended.done():
            return
        left = self._seconds if job.began is None else job.began + self._seconds - time.monotonic()
        if left > 0:
            job.timer = asyncio.get_running_loop().call_later(left, self._look, job)
            return
        job.is_late = True
        job.transfer.abort()

    def _submit(self, source: Hashable, queue: _Queue) -> None:
        self._without_thread += 1
        self._executor.submit(self._work, source, queue)

    def _work(self, source: Hashable, queue: _Queue) -> None:
        with self._lock:
            self._without_thread -= 1
        while (job := self._next(source, queue)) is not None:
            try:
                job.result = job.transfer.run()
            except Exception as error:
                job.result = error
            self._tell(job)
            with self._lock:
                if self._without_thread and not self._closed:
                    # With more sources than there are threads for, each has its turn.
                    self._submit(source, queue)
                    return

    def _next(self, source: Hashable, queue: _Queue) -> _Job | None:
        with self._lock:
            if not queue.waiting:
                queue.threads -= 1
                if not queue.threads and self._queues.get(source) is queue:
                    del self._queues[source]
                return None
            job = queue.waiting.popleft()
            job.began = time.monotonic()
            self._running.add(job)
            if self._closed:
                job.transfer.abort()
            return job

    def _tell(self, job: _Job) -> None:
        with self._lock:
            self._running.discard(job)
            self._settled.append(job)
            is_first = len(self._settled) == 1
        if is_first:
            # Those that end until the loop gets round to it are told together.
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                job.ended.get_loop().call_soon_threadsafe(self._settle)

    def _settle(self) -> None:
        with self._lock:
            settled, self._settled = self._settled, []
        for job in settled:
            job.is_over = True
            if job.ended.done():
                continue
            if isinstance(job.result, bool):
                job.ended.set_result(job.result)
            elif job.is_late:
                job.ended.set_exception(LinkClosed("blocks cannot be had: too slow"))
            else:
                job.ended.set_exception(job.result)


def _heard(ended: asyncio.Future[bool]) -> None:
    """What nobody waits for any more is no error."""
    ended.exception()
