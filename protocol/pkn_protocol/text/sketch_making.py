"""Many sketches made together: what `sketch_of` and `encode_sketch` give, in a third of the time."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from pkn_protocol.text.analysis import ANALYSER, STEM_BITS
from pkn_protocol.text.sketch import (
    CLASS_BITS,
    CLASS_OF_COUNT,
    MOST_STEMS,
    Sketch,
    encode_sketch,
    length_code,
    length_of_code,
    rice_bits,
    sketch_of,
)

FEWEST_TOGETHER = 8
"""With fewer texts an operation on arrays costs more than making them one by one."""
MOST_TOGETHER = 256 * 1024
"""Stems that are sorted at once, repetitions included: some 20 MB of arrays."""
_CLASSES = np.array(CLASS_OF_COUNT, dtype=np.int64)
_WINDOW_BYTES = 8
_MOST_BITS = 57
"""An entry of this length lies within one window wherever in a byte it begins."""


def make_sketches(texts: Sequence[Sequence[int]]) -> list[tuple[Sketch, bytes]]:
    """The sketches of texts whose stems are given, and their encodings: see `make_sketch`."""
    made: list[tuple[Sketch, bytes]] = []
    part: list[Sequence[int]] = []
    size = 0
    for stems in texts:
        if part and size + len(stems) > MOST_TOGETHER:
            made += _together(part)
            part, size = [], 0
        part.append(stems)
        size += len(stems)
    return made + _together(part)


def _alone(stems: Sequence[int]) -> tuple[Sketch, bytes]:
    sketch = sketch_of(stems)
    return sketch, encode_sketch(sketch)


def _together(texts: Sequence[Sequence[int]]) -> list[tuple[Sketch, bytes]]:
    if len(texts) < FEWEST_TOGETHER:
        return [_alone(stems) for stems in texts]
    lengths = np.array([len(stems) for stems in texts], dtype=np.int64)
    flat = np.fromiter(chain.from_iterable(texts), dtype=np.int64, count=int(lengths.sum()))
    flat |= np.repeat(np.arange(len(texts), dtype=np.int64) << STEM_BITS, lengths)
    found, counts = np.unique(flat, return_counts=True)
    text, stems = found >> STEM_BITS, found & ((1 << STEM_BITS) - 1)
    sizes = np.bincount(text, minlength=len(texts))
    kinds = _CLASSES[np.minimum(counts, len(_CLASSES) - 1)]
    packed = _encoded(text, stems, kinds, sizes)
    ends = np.cumsum(sizes).tolist()
    all_stems, all_kinds = stems.tolist(), kinds.tolist()
    made: list[tuple[Sketch, bytes]] = []
    for number, one in enumerate(texts):
        bits = packed[number]
        if bits is None:
            made.append(_alone(one))
            continue
        end = ends[number]
        begin = end - int(sizes[number])
        code = length_code(len(one))
        classes = dict(zip(all_stems[begin:end], all_kinds[begin:end], strict=True))
        head = bytes((ANALYSER, code)) + len(classes).to_bytes(2, "big")
        made.append((Sketch(ANALYSER, length_of_code(code), classes), head + bits))
    return made


def _encoded(
    text: NDArray[np.int64], stems: NDArray[np.int64], kinds: NDArray[np.int64], sizes: NDArray[np.intp]
) -> list[bytes | None]:
    """The entries of each text's sketch. None where some are left out, or one is too long for a window."""
    if not len(stems):
        return [b""] * len(sizes)
    rice = np.array([rice_bits(count) for count in sizes.tolist()], dtype=np.int64)[text]
    gaps = np.empty_like(stems)
    gaps[0] = stems[0]
    gaps[1:] = np.where(text[1:] == text[:-1], np.diff(stems) - 1, stems[1:])
    ones, width = gaps >> rice, rice + CLASS_BITS
    bits = ones + 1 + width
    alone = (sizes > MOST_STEMS) | (np.bincount(text, bits > _MOST_BITS, minlength=len(sizes)) > 0)
    fits = ~alone[text]
    ones, bits = np.where(fits, ones, 0), np.where(fits, bits, 0)
    # The ones, a zero, the rest of the gap, the class.
    entry = ((1 << ones) - 1) << width + 1 | (gaps & (1 << rice) - 1) << CLASS_BITS | kinds
    # Where each text begins, in bytes, and each entry, in bits.
    size_bytes = -(-np.bincount(text, bits, minlength=len(sizes)).astype(np.int64) // 8)
    ends = np.cumsum(size_bytes)
    before = np.cumsum(bits) - bits
    first = np.cumsum(sizes) - sizes
    start = before - before[np.minimum(first, len(before) - 1)][text] + 8 * (ends - size_bytes)[text]
    windows = entry.astype(np.uint64) << (8 * _WINDOW_BYTES - bits - (start & 7)).astype(np.uint64)
    places = (start >> 3)[:, None] + np.arange(_WINDOW_BYTES)
    parts = windows.astype(">u8").view(np.uint8).reshape(-1, _WINDOW_BYTES)
    # No two entries share a bit, so that adding them is joining them.
    data = np.bincount(places[fits].ravel(), parts[fits].ravel(), minlength=int(ends[-1]))
    packed = data.astype(np.uint8).tobytes()
    return [
        None if is_alone else packed[end - size : end]
        for is_alone, size, end in zip(alone.tolist(), size_bytes.tolist(), ends.tolist(), strict=True)
    ]
