"""Sizes, times and counts in words."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pkn_protocol.control.status import Fetching

_UNITS = ("kB", "MB", "GB", "TB", "PB")
_SPANS = (("y", 31_556_952), ("d", 86_400), ("h", 3_600), ("min", 60))


def size(count: int) -> str:
    """Bytes in the decimal unit that keeps the number short: 812 B, 1.2 kB, 34 MB."""
    if count < 1000:
        return f"{count} B"
    amount = float(count)
    for unit in _UNITS:
        amount /= 1000
        if amount < 999.5 or unit == _UNITS[-1]:
            break
    return f"{amount:.1f} {unit}" if amount < 9.95 else f"{amount:.0f} {unit}"


def span(seconds: float) -> str:
    """A length of time in one unit: 40 s, 5 min, 3 h, 12 d, 2 y."""
    for unit, length in _SPANS:
        if seconds >= length:
            return f"{int(seconds // length)} {unit}"
    return f"{max(int(seconds), 0)} s"


def age(time_ms: int, now_ms: int | None = None) -> str:
    """How long ago a moment was; `in 3 h` for one that is still to come."""
    now = time.time_ns() // 1_000_000 if now_ms is None else now_ms
    seconds = (now - time_ms) / 1000
    return span(seconds) if seconds >= 0 else f"in {span(-seconds)}"


def ago(time_ms: int, now_ms: int | None = None) -> str:
    """`3 d ago`, or `in 3 h`."""
    text = age(time_ms, now_ms)
    return text if text.startswith("in ") else f"{text} ago"


def moment(time_ms: int) -> str:
    """A moment in local time, to the minute; a time that no calendar has is given in milliseconds."""
    try:
        return time.strftime("%Y-%m-%d %H:%M", time.localtime(time_ms / 1000))
    except (OverflowError, OSError, ValueError):
        return f"{time_ms} ms"


def count(number: int, one: str, many: str | None = None) -> str:
    """`1 item`, `2 items`."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def fetched(fetching: Fetching | None) -> str:
    """`1,200 of 10,000 records`; nothing while nothing is lacking."""
    if fetching is None:
        return ""
    return f"{fetching.come:,} of {fetching.known:,} record{'' if fetching.known == 1 else 's'}"
