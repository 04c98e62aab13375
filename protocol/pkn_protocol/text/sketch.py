"""Sketches: the vocabulary of a text in some 2.6 bytes a distinct stem (SPEC, Sketch).

A sketch holds the analyser's number, the document's length, and the set of its stem hashes with a frequency
class each, Golomb-Rice coded (the coding of BIP 158). Every sketch has exactly one encoding.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import accumulate, repeat

from pkn_protocol.text.analysis import ANALYSER, STEM_BITS, analyse

MOST_STEMS = 1024
"""Distinct stems in a sketch; of a longer text the most frequent ones, ties by first occurrence."""
LEAST_COUNT = (1, 2, 3, 5)
"""The least number of occurrences that each class stands for: 1, 2, 3 to 4, 5 and more."""
CLASS_FREQUENCY = (1.0, 2.0, 3.4, 6.0)
"""What a class counts as when it is scored (SPEC, Search)."""
_HEADER_BYTES = 4
_LENGTH_CODES = 256
_CLASS_BITS = 2


class BadSketch(ValueError):
    """Bytes that are no sketch, or one that no text can have."""

    code = "bad-sketch"


@dataclass(frozen=True, slots=True)
class Sketch:
    """`length` is the number of stems in the text, rounded down on a log scale; `classes` maps a stem's
    hash to its frequency class, 0 to 3."""

    length: int
    classes: Mapping[int, int]


def make_sketch(stems: Sequence[int]) -> bytes:
    """The sketch of a text whose stems (in order, with repetitions) are given."""
    counts = Counter(stems)
    kept = sorted(counts.items() if len(counts) <= MOST_STEMS else counts.most_common(MOST_STEMS))
    rice = _rice_bits(len(kept))
    low = (1 << rice) - 1
    bits: list[str] = []
    previous = -1
    for stem, count in kept:
        gap = stem - previous - 1
        previous = stem
        kind = 0 if count == 1 else 1 if count == 2 else 2 if count < 5 else 3
        bits.append("1" * (gap >> rice) + "0")
        bits.append(format((gap & low) << _CLASS_BITS | kind, f"0{rice + _CLASS_BITS}b"))
    text = "".join(bits)
    size = -(-len(text) // 8)
    packed = (int(text, 2) << (size * 8 - len(text))).to_bytes(size, "big") if text else b""
    return bytes((ANALYSER, length_code(len(stems)))) + len(kept).to_bytes(2, "big") + packed


def decode_sketch(blob: bytes) -> Sketch:
    """The stems of a sketch.

    Raises:
        BadSketch: another analyser, not the one encoding of its content, or a length below what the classes
            imply.
    """
    if len(blob) < _HEADER_BYTES:
        raise BadSketch("shorter than its header")
    if blob[0] != ANALYSER:
        raise BadSketch(f"made by analyser {blob[0]}; this program reads {ANALYSER}")
    count = int.from_bytes(blob[2:4], "big")
    if count > MOST_STEMS:
        raise BadSketch(f"{count} stems; at most {MOST_STEMS} are allowed")
    classes = _decode_stems(blob[4:], count)
    least = sum(LEAST_COUNT[kind] for kind in classes.values())
    if longest_of_code(blob[1]) < least or (count == 0) != (blob[1] == 0):
        raise BadSketch("shorter than its words imply")
    return Sketch(length_of_code(blob[1]), classes)


def _decode_stems(packed: bytes, count: int) -> dict[int, int]:
    rice = _rice_bits(count)
    bits = bin(int.from_bytes(b"\x01" + packed, "big"))[3:]
    width = rice + _CLASS_BITS
    place = 0
    stem = -1
    classes: dict[int, int] = {}
    try:
        for _ in range(count):
            stop = bits.index("0", place)
            entry = bits[stop + 1 : stop + 1 + width]
            if len(entry) != width:
                raise BadSketch("cut off")
            value = int(entry, 2)
            stem += 1 + ((stop - place) << rice | value >> _CLASS_BITS)
            classes[stem] = value & 3
            place = stop + 1 + width
    except ValueError as error:
        raise BadSketch("cut off") from error
    if stem >= 1 << STEM_BITS:
        raise BadSketch("a stem beyond 24 bits")
    if len(bits) - place >= 8 or "1" in bits[place:]:
        raise BadSketch("more bytes than its stems need")
    return classes


def agrees_with_text(blob: bytes, title: str, text: str, lang: str) -> bool:
    """Whether a sketch is the one of this title and text: what a reader checks before believing it."""
    return make_sketch(analyse(title + "\n" + text, lang)) == blob


def length_code(length: int) -> int:
    """The one-byte code of a length in stems: the largest whose value is not above it."""
    low, high = 0, _LENGTH_CODES - 1
    values = _length_values()
    while low < high:
        middle = (low + high + 1) // 2
        if values[middle] <= length:
            low = middle
        else:
            high = middle - 1
    return low


def length_of_code(code: int) -> int:
    return _length_values()[code]


def longest_of_code(code: int) -> int:
    """The greatest length that has this code."""
    values = _length_values()
    return values[code + 1] - 1 if code + 1 < _LENGTH_CODES else 2**53


@cache
def _length_values() -> tuple[int, ...]:
    # Each value is the one before it plus a sixteenth, at least plus 1: whole numbers only, so that all
    # implementations agree.
    return tuple(
        accumulate(repeat(0, _LENGTH_CODES), lambda value, _: max(value + 1, value * 17 // 16), initial=0)
    )[:_LENGTH_CODES]


def _rice_bits(count: int) -> int:
    # The mean gap's binary logarithm, rounded down: within 0.1 bit of the best parameter.
    return 0 if count == 0 else ((1 << STEM_BITS) // count).bit_length() - 1
