"""How many symbols to ask for: few round trips, few symbols too many, and never more than a list costs.

Each program's own business: the other side sends what it is asked for, within bounds.
"""

from __future__ import annotations

from pkn_protocol.records.ids import SHORT_BYTES
from pkn_protocol.sync.symbols import MOST_SYMBOLS, SYMBOL_BYTES

FIRST_SYMBOLS = 16
"""272 bytes: enough for some 8 differences, which is the ordinary case."""
LEAST_FIRST_SYMBOLS = 2
FIRST_IN_ALL = 64
"""Where many sets differ, each differs little: their first symbols share these, within the two above."""
MOST_ASKS = 48
"""For one set; after that its list is asked for. Honest symbols take fewer than 12."""
_ROUGH_SYMBOLS = 64
"""From fewer symbols the number of differences is estimated within a third, and rather undershot."""
_UNDERSHOT = 0.95
_USUAL = 1.33
"""Symbols a difference that suffice about as often as not."""
_STEP = 0.06


def first_symbols(sets: int) -> int:
    """How many symbols of each of so many sets go unasked."""
    return max(LEAST_FIRST_SYMBOLS, min(FIRST_SYMBOLS, FIRST_IN_ALL // max(sets, 1)))


def most_symbols(total: int) -> int:
    """How many symbols of a set of `total` items are sent at most: twice what its list costs."""
    return min(MOST_SYMBOLS, FIRST_SYMBOLS + 2 * total * SHORT_BYTES // SYMBOL_BYTES)


def next_symbols(made: int, differences: float, total: int, asks: int) -> int:
    """How many more to ask for, after so many symbols and asks, of a set of `total` items; 0: its list."""
    rough = made < _ROUGH_SYMBOLS and made < differences
    step = made if made < FIRST_SYMBOLS // 2 else max(4, _STEP * made)
    goal = max((_UNDERSHOT if rough else _USUAL) * differences, made + step)
    expected = max(goal, _USUAL * differences)
    listed = total * SHORT_BYTES
    if asks >= MOST_ASKS or goal > most_symbols(total) or made * SYMBOL_BYTES >= listed:
        return 0
    return 0 if (expected - made) * SYMBOL_BYTES >= listed else int(goal) - made
