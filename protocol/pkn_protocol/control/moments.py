"""Dates and times back as people type them, in filters and options."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

_BACK = re.compile(r"(\d{1,6})([hdwmy])")
_HOURS = {"h": 1, "d": 24, "w": 7 * 24, "m": 30 * 24, "y": 365 * 24}


def moment_of(text: str, now: datetime) -> int:
    """Milliseconds since the epoch of a date (2026-03-01, in the zone of `now`) or of a time back (7d).

    Raises:
        ValueError: it is neither, or lies beyond the calendar.
    """
    typed = text.strip()
    try:
        if back := _BACK.fullmatch(typed.lower()):
            moment = now - timedelta(hours=int(back[1]) * _HOURS[back[2]])
        else:
            moment = datetime.fromisoformat(typed)
            moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=now.tzinfo)
        return max(int(moment.timestamp() * 1000), 0)
    except (ValueError, OverflowError, OSError):
        raise ValueError(
            f"{text!r} is neither a date (2026-03-01) nor a time back in hours, days, weeks, months or years "
            "(12h, 7d, 2w, 3m, 1y)"
        ) from None
