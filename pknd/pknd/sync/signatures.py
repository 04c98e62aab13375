"""Verifies the signatures of many records, beside other work where that is worth it."""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence

from pkn_protocol.control.status import LogLevel
from pkn_protocol.records.signing import Signed, verify
from pknd import log
from pknd.sync import signature_process

FEWEST = 64
"""Fewer are verified sooner than they are handed over, and none of these starts a process."""
PATIENCE_S = 2.0
"""For an answer, and for each signature a millisecond more: ten times what it takes. A process that was
stopped, or that the machine has no time for, holds nobody up for longer."""
_PATIENCE_EACH_S = 0.001
AGAIN_AFTER_S = 60.0
"""A process that could not begin, or did not answer, is not followed by another at once; twice as late each
time."""
_MOST_AGAIN_AFTER_S = 3600.0
_PIECE_BYTES = 64 * 1024


class Signatures:
    """For several threads. Where there is one processor, or no process can be had, they verify themselves.
    `clock` gives seconds and only goes forward."""

    def __init__(
        self,
        *,
        processors: int | None = None,
        patience_s: float = PATIENCE_S,
        clock: Callable[[], float] = time.monotonic,
        command: Sequence[str] = (sys.executable, "-P", "-m", "pknd.sync.signature_process"),
    ) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._ready = False
        self._alone = (processors or _processors()) < 2
        self._patience_s = patience_s
        self._clock = clock
        self._command = command
        self._not_before = 0.0
        self._again_after_s = AGAIN_AFTER_S

    @property
    def process(self) -> int | None:
        """The number of the process that verifies now."""
        return self._process.pid if self._process is not None and self._ready else None

    def verify(self, signed: Sequence[Signed]) -> list[bool]:
        """Which of them are valid; takes some 75 µs each, so for a thread."""
        found = None
        if len(signed) < FEWEST:
            self._look_after()
        elif not self._alone:
            found = self._by_process(signed)
        return [verify(*one) for one in signed] if found is None else found

    def close(self) -> None:
        """End the process. Threads that wait for it verify themselves."""
        self._alone = True
        process = self._process
        if process is not None:
            # Before the lock is free: who holds it waits for the process.
            process.kill()
        with self._lock:
            self._end()

    def _patience_of(self, signed: Sequence[Signed]) -> float:
        return self._patience_s + _PATIENCE_EACH_S * len(signed)

    def _by_process(self, signed: Sequence[Signed]) -> list[bool] | None:
        """None: no process can, or not in time."""
        if not self._lock.acquire(timeout=self._patience_of(signed)):
            return None
        try:
            return self._handed_over(signed)
        # Whatever is wrong with a process never costs a batch.
        except Exception as error:
            log.failure("signatures.process_fault", error)
            self._end()
            self._put_off()
            return None
        finally:
            self._lock.release()

    def _handed_over(self, signed: Sequence[Signed]) -> list[bool] | None:
        process = self._started()
        if process is None:
            return None
        until = self._clock() + self._patience_of(signed)
        reply = self._exchange(process, signature_process.packed(signed), len(signed), until)
        if reply is not None and len(reply) == len(signed):
            self._again_after_s = AGAIN_AFTER_S
            return [valid == 1 for valid in reply]
        # It had nothing to do for long and ended, or something ended it: the next batch gets another.
        self._end()
        if reply is None:
            log.event("signatures.process_silent", LogLevel.WARNING)
            self._put_off()
        return None

    def _exchange(
        self, process: subprocess.Popen[bytes], request: bytes, expected: int, until: float
    ) -> bytes | None:
        """The reply to a request; what has come of it when the process is gone. None: not in time."""
        if process.stdin is None or process.stdout is None:
            return b""
        to, back = process.stdin.fileno(), process.stdout.fileno()
        waiting = select.poll()
        waiting.register(to, select.POLLOUT)
        waiting.register(back, select.POLLIN)
        left = memoryview(request)
        reply = b""
        while len(reply) < expected:
            seconds = until - self._clock()
            if seconds <= 0:
                return None
            for descriptor, _ in waiting.poll(seconds * 1000):
                try:
                    if descriptor == to:
                        left = left[os.write(to, left[:_PIECE_BYTES]) :]
                        if not left:
                            waiting.unregister(to)
                    elif came := os.read(back, expected - len(reply)):
                        reply += came
                    else:
                        return reply
                except BlockingIOError:
                    continue
                except OSError:
                    return reply
        return reply

    def _started(self) -> subprocess.Popen[bytes] | None:
        """None while it is only starting: to wait would take longer than to verify."""
        if self._process is None:
            if self._alone or self._clock() < self._not_before:
                return None
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                bufsize=0,
                # An interrupt from the terminal is for the daemon, which ends this one in its turn.
                start_new_session=True,
            )
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe is not None:
                    os.set_blocking(pipe.fileno(), False)
        stdout = self._process.stdout
        if not self._ready and stdout is not None:
            try:
                said = os.read(stdout.fileno(), 1)
            except BlockingIOError:
                return None
            self._ready = said == signature_process.READY
            if not self._ready:
                self._end()
                self._put_off()
        return self._process

    def _look_after(self) -> None:
        """A process that has ended by itself leaves nothing behind."""
        if self._process is not None and self._lock.acquire(blocking=False):
            try:
                if self._process is not None and self._process.poll() is not None:
                    self._end()
            finally:
                self._lock.release()

    def _put_off(self) -> None:
        self._not_before = self._clock() + self._again_after_s
        self._again_after_s = min(2 * self._again_after_s, _MOST_AGAIN_AFTER_S)

    def _end(self) -> None:
        process, self._process, self._ready = self._process, None, False
        if process is None:
            return
        process.kill()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        process.wait()


def _processors() -> int:
    """How many this process may use, which may be fewer than there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
