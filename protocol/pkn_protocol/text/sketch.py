"""Sketches: the vocabulary of a text in some 2.6 bytes a distinct stem (SPEC, Sketch).

A sketch holds the analyser's number, the document's length, and the set of its stem hashes with a frequency
class each, Golomb-Rice coded (the coding of BIP 158). Every sketch has exactly one encoding.
"""

from __future__ import annotations

import sys
from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pkn_protocol.text.analysis import ANALYSER, STEM_BITS, analyse

MOST_STEMS = 1024
"""Distinct stems in a sketch: what the summaries of a shelf of books can afford (some 2 KiB each)."""
FIRST_STEMS = 32
"""Of a longer text's distinct stems the first ones, which are its title's, are kept whatever their count."""
MOST_BYTES = 4 + 2304
"""No sketch is longer: 1,024 entries of 17 bits, and gaps that sum to less than 1,024 more."""
LEAST_COUNT = (1, 2, 3, 5)
"""The least number of occurrences that each class stands for: 1, 2, 3 to 4, 5 and more."""
CLASS_FREQUENCY = (1.0, 2.0, 3.4, 8.0)
"""What a class counts as when it is scored (SPEC, Search)."""
HEADER_BYTES = 4
LENGTH_CODES = 256
CLASS_BITS = 2
CLASS_MASK = 3
CLASS_OF_COUNT = (0, 0, 1, 2, 2, 3)
"""The class of each number of occurrences, that of more being the last."""


class BadSketch(ValueError):
    """Bytes that are no sketch, or one that no text can have."""

    code = "bad-sketch"


@dataclass(frozen=True, slots=True)
class Sketch:
    """A decoded sketch.

    `length` is the number of stems in the text, repetitions and those left out included, rounded down on a
    log scale; `classes` maps a stem's hash to its frequency class, 0 to 3.
    """

    analyser: int
    length: int
    classes: Mapping[int, int]


def make_sketch(stems: Sequence[int]) -> bytes:
    """The encoded sketch of a text whose stems (24-bit hashes in order, with repetitions) are given."""
    return encode_sketch(sketch_of(stems))


def sketch_of(stems: Sequence[int]) -> Sketch:
    """The sketch of a text, as whoever decodes it will have it.

    Of more than 1,024 distinct stems it keeps the first 32 and of the others the most frequent ones, ties by
    first occurrence: this needs no knowledge of other texts, so that every reader can check it.
    """
    kept = sorted(_most_telling(Counter(stems)))
    classes = {stem: CLASS_OF_COUNT[count] if count < 5 else 3 for stem, count in kept}
    return Sketch(ANALYSER, length_of_code(length_code(len(stems))), classes)


def encode_sketch(sketch: Sketch) -> bytes:
    """The bytes of a sketch whose stems are in ascending order, as here all functions give them."""
    rice = rice_bits(len(sketch.classes))
    width = rice + CLASS_BITS
    low = (1 << rice) - 1
    bits = count = 0
    previous = -1
    for stem, kind in sketch.classes.items():
        gap = stem - previous - 1
        previous = stem
        ones = gap >> rice
        # The ones, a zero, the rest of the gap, the class.
        entry = ((1 << ones) - 1) << width + 1 | (gap & low) << CLASS_BITS | kind
        bits = bits << ones + 1 + width | entry
        count += ones + 1 + width
    size = -(-count // 8)
    head = bytes((sketch.analyser, length_code(sketch.length))) + len(sketch.classes).to_bytes(2, "big")
    return head + (bits << size * 8 - count).to_bytes(size, "big")


def _most_telling(counts: Counter[int]) -> list[tuple[int, int]]:
    # A counter keeps the order of first occurrence, and so do sorting and slicing.
    entries = list(counts.items())
    if len(entries) <= MOST_STEMS:
        return entries
    others = sorted(entries[FIRST_STEMS:], key=lambda entry: -entry[1])
    return entries[:FIRST_STEMS] + others[: MOST_STEMS - FIRST_STEMS]


def decode_sketch(blob: bytes) -> Sketch:
    """The stems of a sketch.

    Raises:
        BadSketch: another analyser, not the one encoding of its content, or a length below what the classes
            imply.
    """
    return sketch_with(blob, _decode_stems(blob[HEADER_BYTES:], stem_count(blob)))


def stem_count(blob: bytes) -> int:
    """How many stems the header of a sketch announces.

    Raises:
        BadSketch: no header of a sketch by this analyser.
    """
    if len(blob) < HEADER_BYTES:
        raise BadSketch("shorter than its header")
    if len(blob) > MOST_BYTES:
        raise BadSketch(f"{len(blob)} bytes; at most {MOST_BYTES} are allowed")
    if blob[0] != ANALYSER:
        raise BadSketch(f"made by analyser {blob[0]}; this program reads {ANALYSER}")
    count = int.from_bytes(blob[2:4], "big")
    if count > MOST_STEMS:
        raise BadSketch(f"{count} stems; at most {MOST_STEMS} are allowed")
    return count


def sketch_with(blob: bytes, classes: Mapping[int, int]) -> Sketch:
    """The sketch of these decoded stems, with the header's length.

    Raises:
        BadSketch: a length below what the classes imply.
    """
    least = sum(map(LEAST_COUNT.__getitem__, classes.values()))
    if longest_of_code(blob[1]) < least:
        raise BadSketch("shorter than its stems imply")
    if not classes and blob[1] != 0:
        raise BadSketch("a length without stems")
    return Sketch(blob[0], length_of_code(blob[1]), classes)


def _decode_stems(packed: bytes, count: int) -> dict[int, int]:
    rice = rice_bits(count)
    bits = bin(int.from_bytes(b"\x01" + packed, "big"))[3:]
    width = rice + CLASS_BITS
    place = 0
    stem = -1
    classes: dict[int, int] = {}
    for _ in range(count):
        stop = bits.find("0", place)
        end = stop + 1 + width
        if stop < 0 or end > len(bits):
            raise BadSketch("cut off")
        value = int(bits[stop + 1 : end], 2)
        stem += 1 + ((stop - place) << rice | value >> CLASS_BITS)
        classes[stem] = value & CLASS_MASK
        place = end
    if stem >= 1 << STEM_BITS:
        raise BadSketch("a stem beyond 24 bits")
    if len(bits) - place >= 8 or "1" in bits[place:]:
        raise BadSketch("more bytes than its stems need")
    return classes


def item_text(title: str, content: str, url: str | None = None) -> str:
    """The text of an item, of which its sketch is made: title, content, and the address that it is about."""
    return "\n".join((title, content) if url is None else (title, content, url))


def agrees_with_text(blob: bytes, title: str, content: str, lang: str, url: str | None = None) -> bool:
    """Whether a sketch is the one of this title, content and address: what a reader checks to go on believing
    it."""
    return make_sketch(analyse(item_text(title, content, url), lang)) == blob


def length_code(length: int) -> int:
    """The one-byte code of a length in stems: the largest whose value is not above it."""
    return bisect_right(_LENGTHS, length) - 1


def length_of_code(code: int) -> int:
    """The least length that has this code, in stems."""
    return _LENGTHS[code]


def longest_of_code(code: int) -> int:
    """The greatest length that has this code; for the last code no text is longer."""
    return _LENGTHS[code + 1] - 1 if code + 1 < LENGTH_CODES else sys.maxsize


def _length_values() -> tuple[int, ...]:
    # Each value is the one before it plus a sixteenth, at least plus 1: whole numbers only, so that all
    # implementations agree.
    values = [0]
    while len(values) < LENGTH_CODES:
        values.append(max(values[-1] + 1, values[-1] * 17 // 16))
    return tuple(values)


_LENGTHS = _length_values()


def rice_bits(count: int) -> int:
    # The mean gap's binary logarithm, rounded down: within 0.1 bit of the best parameter.
    return 0 if count == 0 else ((1 << STEM_BITS) // count).bit_length() - 1
