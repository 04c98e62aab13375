"""BM25 with the asker's statistics, so that scores of all peers can be compared (SPEC, Search)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log1p

from pkn_protocol.text.sketch import CLASS_FREQUENCY

K1 = 1.2
B = 0.75
_KEPT_BITS = 4


@dataclass(frozen=True, slots=True)
class Statistics:
    """Of the asker's public summaries: how many documents, their mean length in stems, and for each term of
    the query how many documents have it."""

    documents: int
    mean_length: float
    frequencies: tuple[int, ...]

    def weights(self) -> tuple[float, ...]:
        """The inverse document frequency of each term: positive, whatever figures a peer sends."""
        return tuple(log1p((max(self.documents, df) - df + 0.5) / (df + 0.5)) for df in self.frequencies)

    def as_told(self) -> Statistics:
        """What others are told: counts with their leading bits, the mean as a whole number."""
        return Statistics(
            rounded(self.documents), float(round(self.mean_length)), tuple(map(rounded, self.frequencies))
        )


def rounded(number: int) -> int:
    """A count with its four leading bits: enough for scores, too little to tell what a peer holds."""
    spare = number.bit_length() - _KEPT_BITS
    return number if spare <= 0 else (number >> spare) << spare


def bm25(classes: Sequence[int | None], length: int, statistics: Statistics) -> float:
    """The score of a document: `classes` has for each term its frequency class (0 to 3), or None."""
    frequencies = [0.0 if kind is None else CLASS_FREQUENCY[kind] for kind in classes]
    return bm25_of(frequencies, length, statistics)


def bm25_of(frequencies: Sequence[float], length: int, statistics: Statistics) -> float:
    """The score of a document: how often it has each term, 0 where it has not, and its length in stems."""
    norm = norm_of(length, statistics.mean_length)
    return sum(
        weight * frequency * (K1 + 1) / (frequency + norm)
        for frequency, weight in zip(frequencies, statistics.weights(), strict=True)
        if frequency
    )


def norm_of(length: int, mean_length: float) -> float:
    """What a document's length adds to a frequency before it saturates."""
    return K1 * (1 - B + B * length / max(mean_length, 1.0))
