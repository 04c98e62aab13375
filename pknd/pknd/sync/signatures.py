"""Verifies the signatures of many records, beside other work where that is worth it."""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import sys
import threading
from collections.abc import Sequence

from pkn_protocol.records.signing import Signed, verify
from pknd.sync import signature_process

FEWEST = 64
"""Fewer are verified sooner than they are handed over, and none of these starts a process."""


class Signatures:
    """For several threads. Where there is one processor, or no process can be had, they verify themselves."""

    def __init__(self, *, processors: int | None = None) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._ready = False
        self._alone = (processors or os.cpu_count() or 1) < 2

    @property
    def process(self) -> int | None:
        """The number of the process that verifies now."""
        return self._process.pid if self._process is not None and self._ready else None

    def verify(self, signed: Sequence[Signed]) -> list[bool]:
        """Which of them are valid; takes some 75 µs each, so for a thread."""
        if not self._alone and len(signed) >= FEWEST:
            with self._lock:
                found = self._handed_over(signed)
            if found is not None:
                return found
        return [verify(*one) for one in signed]

    def close(self) -> None:
        """End the process. Threads that wait for it verify themselves."""
        self._alone = True
        process = self._process
        if process is not None:
            # Before the lock is free: who holds it waits for the process.
            process.kill()
        with self._lock:
            self._end()

    def _handed_over(self, signed: Sequence[Signed]) -> list[bool] | None:
        try:
            process = self._started()
            if process is None or process.stdin is None or process.stdout is None:
                return None
            process.stdin.write(signature_process.packed(signed))
            process.stdin.flush()
            reply = process.stdout.read(len(signed))
        except OSError:
            reply = b""
        if len(reply) == len(signed):
            return [valid == 1 for valid in reply]
        # It had nothing to do for long and ended, or something ended it: the next batch gets another.
        self._end()
        return None

    def _started(self) -> subprocess.Popen[bytes] | None:
        """None while it is only starting: to wait would take longer than to verify."""
        if self._process is None:
            if self._alone:
                return None
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "pknd.sync.signature_process"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                # An interrupt from the terminal is for the daemon, which ends this one in its turn.
                start_new_session=True,
            )
        stdout = self._process.stdout
        if not self._ready and stdout is not None and select.select([stdout], [], [], 0)[0]:
            self._ready = stdout.read(1) == signature_process.READY
            if not self._ready:
                self._end()
        return self._process if self._ready else None

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
