"""What the C library's allocator is told at the start of a daemon."""

from __future__ import annotations

import ctypes
import sys

_ARENAS = -8
"""`M_ARENA_MAX` of glibc's malloc.h."""


def share_one_heap() -> None:
    """Have all threads allocate from one heap: a heap for each keeps 2 to 3 MiB that nobody uses, and buys
    nothing where the interpreter lets one thread run at a time. Elsewhere than with glibc nothing happens."""
    if sys.platform == "linux":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
        if mallopt is not None:
            mallopt(_ARENAS, 1)
