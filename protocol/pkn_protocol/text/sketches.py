"""Many sketches decoded together: the same stems as `decode_sketch` gives, in a tenth of the time.

The entries of one sketch can only be read one after the other, but the n-th entries of a thousand sketches at
once, as rows of arrays.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress

import numpy as np
from numpy.typing import NDArray

from pkn_protocol.text.analysis import STEM_BITS
from pkn_protocol.text.sketch import (
    CLASS_BITS,
    CLASS_MASK,
    HEADER_BYTES,
    BadSketch,
    Sketch,
    decode_sketch,
    rice_bits,
    sketch_with,
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


def decode_sketches(blobs: Sequence[bytes]) -> list[Sketch | BadSketch]:
    """What `decode_sketch` returns or raises for each of them."""
    found: dict[int, Sketch | BadSketch] = {}
    counts: dict[int, int] = {}
    for at, blob in enumerate(blobs):
        try:
            counts[at] = stem_count(blob)
        except BadSketch as error:
            found[at] = error
    # The longest first: those that still have entries are then always the first rows.
    order = sorted(counts, key=lambda at: -counts[at])
    for begin in range(0, len(order), MOST_TOGETHER):
        part = order[begin : begin + MOST_TOGETHER]
        if len(part) >= FEWEST_TOGETHER:
            # The few that are far longer than the others are left to be read alone.
            most = counts[part[FEWEST_TOGETHER - 1]]
            rows = [at for at in part if counts[at] <= most]
            read = _decode_rows([blobs[at][HEADER_BYTES:] for at in rows], [counts[at] for at in rows])
            for at, classes in zip(rows, read, strict=True):
                if classes is not None:
                    with suppress(BadSketch):
                        found[at] = sketch_with(blobs[at], classes)
    return [found[at] if at in found else _alone(blob) for at, blob in enumerate(blobs)]


def _alone(blob: bytes) -> Sketch | BadSketch:
    try:
        return decode_sketch(blob)
    except BadSketch as error:
        return error


def _decode_rows(packed: Sequence[bytes], counts: Sequence[int]) -> Iterator[dict[int, int] | None]:
    """The classes by stem of sketches without their headers, those with the most stems first.

    None where something is wrong or unlikely: who reads it alone finds out.
    """
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
    kinds = np.empty((counts[0], len(packed)), dtype=np.int64)
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
        kinds[number, :live] = value & CLASS_MASK
        here += ones + 1 + width[:live]
        doubtful[:live] |= here > ends[:live]
        np.minimum(here, ends[:live], out=here)

    left = ends - place
    last = (windows[np.maximum((ends >> 3) - 1, 0)] >> np.uint64(56)).astype(np.int64)
    doubtful |= (left >= 8) | (last & ((1 << np.minimum(left, 8)) - 1) != 0) | (stem >= 1 << STEM_BITS)
    doubts = doubtful.tolist()
    for row, (found, classes) in enumerate(zip(stems.T.tolist(), kinds.T.tolist(), strict=True)):
        yield None if doubts[row] else dict(zip(found[: counts[row]], classes[: counts[row]], strict=True))


def _windows(data: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """For each byte, and for the end, the number that it and the seven bytes after it make, big-endian."""
    padded = np.concatenate((data, np.zeros(2 * _WINDOW_BYTES, dtype=np.uint8)))
    found = np.zeros(len(data) + _WINDOW_BYTES, dtype=np.uint64)
    for number in range(_WINDOW_BYTES):
        found = found << np.uint64(8) | padded[number : number + len(found)]
    return found
