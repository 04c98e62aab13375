"""Threads for work that takes a processor for long: they stand back behind the event loop and others."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

_NICENESS = 5
"""On Linux, where threads have one of their own: a third of the weight of the event loop's thread, so that a
new record waits less for a processor while large contents go by."""


def background_threads(count: int, name: str) -> ThreadPoolExecutor:
    """At most so many threads, made when they are needed; `shutdown` ends them."""
    return ThreadPoolExecutor(count, name, initializer=_stand_back)


async def over(ended: asyncio.Future[Any]) -> None:
    """Wait for the end of what a thread does, whoever cancels: its things are its own until then."""
    cancelled = False
    while not ended.done():
        try:
            await asyncio.wait((ended,))
        except asyncio.CancelledError:
            cancelled = True
    if cancelled:
        raise asyncio.CancelledError


def _stand_back() -> None:
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
