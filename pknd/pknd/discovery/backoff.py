"""When to try again: twice as long after each failure, with jitter, so that many do not try together."""

from __future__ import annotations

FIRST_SECONDS = 1.0
MOST_SECONDS = 300.0


def delay_seconds(failures: int, chance: float) -> float:
    """How long to wait after so many failures in a row; `chance` is uniform in 0 to 1."""
    whole = min(MOST_SECONDS, FIRST_SECONDS * 2.0 ** min(max(0, failures - 1), 16))
    return whole * (0.5 + chance / 2)
