"""Threads for work that takes a processor for long: they stand back behind the event loop and others."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

_NICENESS = 5
"""On Linux, where threads have one of their own: a third of the weight of the event loop's thread, so that a
new record waits less for a processor while large contents go by."""


def background_threads(count: int, name: str) -> ThreadPoolExecutor:
    """At most so many threads, made when they are needed; `shutdown` ends them."""
    return ThreadPoolExecutor(count, name, initializer=_stand_back)


def _stand_back() -> None:
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
