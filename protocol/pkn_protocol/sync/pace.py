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
"""From fewer symbols the number of differences is known within a third or so: then no more are asked for than
there may be differences, which is too few for sure, and known better afterwards."""
_USUAL = 1.36
"""Symbols a difference that suffice in nearly half of the cases."""
_DOUBT, _ROUGH_DOUBT = 1.15, 1.6
"""How many times more symbols than expected must cost less than the list: too few are lost beside it."""
_STEP, _LEAST_STEP = 0.08, 8
"""What is asked for when that did not suffice, as a part of what has come and in symbols."""
_PATIENCE = 4
"""After so many asks the step doubles with each: a few symbols too many, and an end to round trips."""


def first_symbols(sets: int) -> int:
    """How many symbols of each of so many sets go unasked."""
    return max(LEAST_FIRST_SYMBOLS, min(FIRST_SYMBOLS, FIRST_IN_ALL // max(sets, 1)))


def most_symbols(total: int) -> int:
    """How many symbols of a set of `total` items are sent at most: twice what its list costs."""
    return min(MOST_SYMBOLS, FIRST_SYMBOLS + 2 * total * SHORT_BYTES // SYMBOL_BYTES)


def next_symbols(made: int, differences: float, total: int, asks: int) -> int:
    """How many more to ask for, after so many symbols and asks, of a set of `total` items; 0: its list."""
    rough = made < _ROUGH_SYMBOLS and made < differences
    step = made if made < _LEAST_STEP else max(_LEAST_STEP, _STEP * made) * 2 ** max(0, asks - _PATIENCE)
    goal = max(differences * (1 if rough else _USUAL), made + step)
    expected = max(goal, _USUAL * differences)
    listed = total * SHORT_BYTES
    if asks >= MOST_ASKS or goal > most_symbols(total) or made * SYMBOL_BYTES >= listed:
        return 0
    doubt = _ROUGH_DOUBT if rough else _DOUBT
    return 0 if doubt * (expected - made) * SYMBOL_BYTES >= listed else int(goal) - made
