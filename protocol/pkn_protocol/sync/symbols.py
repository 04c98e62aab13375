"""Coded symbols: what one is on the wire, and in which ones an item takes part (SPEC, Reconciliation).

The code is that of Yang, Gilad and Alizadeh, "Practical Rateless Set Reconciliation" (SIGCOMM 2024): symbol i
holds an item with probability 2 / (i + 2), so that each beginning of the endless stream is a code for as many
differences as it is long enough for. The rule for the next index is in whole numbers alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pkn_protocol.sync.siphash import Words

SYMBOL_BYTES = 17
"""Exclusive or of items 8, of their checks 8, how many they are modulo 256."""
MOST_SYMBOLS = 1 << 17
"""Of one set: enough for some 90,000 differences; 2.2 MB. Beyond it the list is sent."""
_WIRE: Final = np.dtype([("item", "<u8"), ("check", "<u8"), ("count", "u1")])
_MULTIPLIER = np.uint64(6364136223846793005)
_INCREMENT = np.uint64(1442695040888963407)
"""Knuth's generator for MMIX (The Art of Computer Programming, volume 2, 3.3.4)."""
_DRAWN_BITS = np.uint64(24)
_SHIFT = np.uint64(64 - 24)
_ONE, _TWO = np.uint64(1), np.uint64(2)
_BEYOND = np.uint64(MOST_SYMBOLS * (MOST_SYMBOLS + 1))


@dataclass(frozen=True, slots=True)
class Symbols:
    """Consecutive symbols: arrays of equal length."""

    items: Words
    checks: Words
    counts: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.counts)

    def to_bytes(self) -> bytes:
        wire = np.empty(len(self), _WIRE)
        wire["item"], wire["check"], wire["count"] = self.items, self.checks, self.counts
        return wire.tobytes()

    def part(self, start: int, end: int) -> Symbols:
        return Symbols(self.items[start:end], self.checks[start:end], self.counts[start:end])

    @classmethod
    def from_bytes(cls, data: bytes) -> Symbols:
        """Raises ValueError: no whole number of symbols."""
        wire = np.frombuffer(data, _WIRE)
        return cls(
            wire["item"].astype(np.uint64), wire["check"].astype(np.uint64), wire["count"].astype(np.uint8)
        )

    @classmethod
    def zeros(cls, length: int) -> Symbols:
        return cls(np.zeros(length, np.uint64), np.zeros(length, np.uint64), np.zeros(length, np.uint8))

    @classmethod
    def joined(cls, parts: list[Symbols]) -> Symbols:
        return cls(
            np.concatenate([part.items for part in parts]),
            np.concatenate([part.checks for part in parts]),
            np.concatenate([part.counts for part in parts]),
        )


def advance(indices: Words, states: Words) -> tuple[Words, Words]:
    """The next indices of items that are at `indices`, and their states from then on.

    With u drawn from 1 to 2^24 the next index is the least j with
    (j + 1)(j + 2) u > (i + 1)(i + 2) 2^24: an index j is passed over with probability
    (i + 1)(i + 2) / ((j + 1)(j + 2)), the product of 1 - 2 / (k + 2) over what lies between. Indices that are
    not below MOST_SYMBOLS come out as MOST_SYMBOLS or more, not exactly.
    """
    states = states * _MULTIPLIER + _INCREMENT
    drawn = (states >> _SHIFT) + _ONE
    passed = (((indices + _ONE) * (indices + _TWO)) << _DRAWN_BITS) // drawn
    np.minimum(passed, _BEYOND, out=passed)
    # Below 2^53 a double's square root, rounded down, is the whole root.
    root = np.sqrt(passed.astype(np.float64)).astype(np.uint64)
    root += root * (root + _ONE) <= passed
    return root - _ONE, states


def share(index: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of all items the part that symbol `index` holds, in the mean."""
    return 2.0 / (index + 2.0)
