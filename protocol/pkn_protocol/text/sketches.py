"""Many sketches decoded together: the same stems as `decode_sketch` gives, in a tenth of the time.

The entries of one sketch can only be read one after the other, but the n-th entries of a thousand sketches at
once, as rows of arrays. They stay arrays, as an index wants them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pkn_protocol.text.analysis import STEM_BITS
from pkn_protocol.text.sketch import (
    CLASS_BITS,
    CLASS_MASK,
    HEADER_BYTES,
    LEAST_COUNT,
    BadSketch,
    decode_sketch,
    length_of_code,
    longest_of_code,
    rice_bits,
    stem_count,
)

FEWEST_TOGETHER = 24
"""With fewer sketches an operation on arrays costs more than reading them one by one."""
MOST_TOGETHER = 1024
"""What bounds the arrays: some 20 MB, if all are as long as a sketch can be."""
_WINDOW_BYTES = 8
_WINDOW_BITS = 64
_MOST_ONES = 30
"""An entry with more, which no honest sketch is likely to have, may not lie within one window: 7 bits before
it, the ones, a zero, 26 bits at most."""
_EXACT = np.uint64(2**64 - 2**11)
"""The 53 bits of a window that a float keeps."""
_LEAST_COUNT = np.array(LEAST_COUNT, np.int64)


@dataclass(frozen=True, slots=True)
class Entries:
    """Entries of several sketches as parallel arrays; those of one sketch are together, their stems ascend.

    `owners` are the places of their sketches among those that were given.
    """

    owners: NDArray[np.intp]
    stems: NDArray[np.uint32]
    classes: NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Sketches:
    """Decoded sketches. `lengths`: of each its length in stems, or why it is none (and has no entries)."""

    entries: Entries
    lengths: Sequence[int | BadSketch]


def decode_sketches(blobs: Sequence[bytes]) -> Sketches:
    """What `decode_sketch` returns or raises for each of them."""
    lengths: list[int | BadSketch] = [0] * len(blobs)
    counts: dict[int, int] = {}
    for at, blob in enumerate(blobs):
        try:
            counts[at] = stem_count(blob)
        except BadSketch as error:
            lengths[at] = error
    # The longest first: those that still have entries are then always the first rows.
    order = sorted(counts, key=lambda at: -counts[at])
    parts: list[Entries] = []
    alone: list[int] = []
    for begin in range(0, len(order), MOST_TOGETHER):
        part = order[begin : begin + MOST_TOGETHER]
        if len(part) < FEWEST_TOGETHER:
            alone += part
            continue
        # The few that are far longer than the others are left to be read alone.
        most = counts[part[FEWEST_TOGETHER - 1]]
        rows = [at for at in part if counts[at] <= most]
        alone += part[: len(part) - len(rows)]
        entries, doubtful = _decode_rows(rows, blobs, [counts[at] for at in rows])
        parts.append(entries)
        alone += doubtful
        for at in rows:
            lengths[at] = length_of_code(blobs[at][1])
    for at in alone:
        try:
            sketch = decode_sketch(blobs[at])
        except BadSketch as error:
            lengths[at] = error
            continue
        lengths[at] = sketch.length
        size = len(sketch.classes)
        parts.append(
            Entries(
                np.full(size, at, np.intp),
                np.fromiter(sketch.classes, np.uint32, size),
                np.fromiter(sketch.classes.values(), np.uint8, size),
            )
        )
    return Sketches(_joined(parts), lengths)


def _joined(parts: Sequence[Entries]) -> Entries:
    if len(parts) == 1:
        return parts[0]
    return Entries(
        np.concatenate([np.zeros(0, np.intp), *(part.owners for part in parts)]),
        np.concatenate([np.zeros(0, np.uint32), *(part.stems for part in parts)]),
        np.concatenate([np.zeros(0, np.uint8), *(part.classes for part in parts)]),
    )


def _decode_rows(
    places: Sequence[int], blobs: Sequence[bytes], counts: Sequence[int]
) -> tuple[Entries, list[int]]:
    """The entries of the sketches at these places, which have so many stems, those with the most first.

    And the places where something is wrong or unlikely, without entries here: who reads one alone finds out.
    """
    packed = [blobs[at][HEADER_BYTES:] for at in places]
    sizes = np.array([len(one) for one in packed], dtype=np.int64)
    starts = np.concatenate(([0], np.cumsum(sizes)[:-1])) * 8
    ends = starts + sizes * 8
    data = np.frombuffer(b"".join(packed), dtype=np.uint8)
    windows = _windows(data)
    rice = np.array([rice_bits(count) for count in counts], dtype=np.int64)
    width = rice + CLASS_BITS
    to_value = (_WINDOW_BITS - width).astype(np.uint64)
    place = starts.copy()
    stem = np.full(len(packed), -1, dtype=np.int64)
    stems = np.empty((counts[0], len(packed)), dtype=np.int64)
    kinds = np.empty((counts[0], len(packed)), dtype=np.uint8)
    least = np.zeros(len(packed), dtype=np.int64)
    doubtful = np.zeros(len(packed), dtype=np.bool_)
    live = len(packed)
    for number in range(counts[0]):
        while counts[live - 1] <= number:
            live -= 1
        here = place[:live]
        window = windows[here >> 3] << (here & 7).astype(np.uint64)
        # The exponent of what is left of the inverted window says where its first one is.
        ones = _WINDOW_BITS - np.frexp((~window & _EXACT).astype(np.float64))[1].astype(np.int64)
        doubtful[:live] |= ones > _MOST_ONES
        np.minimum(ones, _MOST_ONES, out=ones)
        value = ((window << (ones + 1).astype(np.uint64)) >> to_value[:live]).astype(np.int64)
        stem[:live] += 1 + (ones << rice[:live] | value >> CLASS_BITS)
        stems[number, :live] = stem[:live]
        kind = value & CLASS_MASK
        kinds[number, :live] = kind
        least[:live] += _LEAST_COUNT[kind]
        here += ones + 1 + width[:live]
        doubtful[:live] |= here > ends[:live]
        np.minimum(here, ends[:live], out=here)

    left = ends - place
    last = (windows[np.maximum((ends >> 3) - 1, 0)] >> np.uint64(56)).astype(np.int64)
    doubtful |= (left >= 8) | (last & ((1 << np.minimum(left, 8)) - 1) != 0) | (stem >= 1 << STEM_BITS)
    # What `sketch_with` asks of a length.
    codes = [blobs[at][1] for at in places]
    doubtful |= least > np.array([longest_of_code(code) for code in codes], np.int64)
    doubtful |= (np.array(counts) == 0) & (np.array(codes) != 0)
    taken = np.where(doubtful, 0, np.array(counts, np.int64))
    there = np.arange(counts[0]) < taken[:, np.newaxis]
    entries = Entries(
        np.repeat(np.array(places, np.intp), taken),
        stems.T[there].astype(np.uint32),
        kinds.T[there],
    )
    return entries, [places[row] for row in np.flatnonzero(doubtful).tolist()]


def _windows(data: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """For each byte, and for the end, the number that it and the seven bytes after it make, big-endian."""
    padded = np.concatenate((data, np.zeros(2 * _WINDOW_BYTES, dtype=np.uint8)))
    found = np.zeros(len(data) + _WINDOW_BYTES, dtype=np.uint64)
    for number in range(_WINDOW_BYTES):
        found = found << np.uint64(8) | padded[number : number + len(found)]
    return found
