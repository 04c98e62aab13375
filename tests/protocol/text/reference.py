"""Text analysis 1 once more, straight from the SPEC: on the whole text, without caches or short cuts."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from itertools import dropwhile

import Stemmer

from pkn_protocol.text.languages import STEMMERS, STOP_WORDS
from pkn_protocol.text.unassigned import UNASSIGNED

_IGNORED = {0xAD, 0x34F, 0x61C, 0x180B, 0x180C, 0x180D, 0x180F, 0x2060, 0xFEFF} | {
    *range(0x200C, 0x2010),
    *range(0xFE00, 0xFE10),
    *range(0xE0100, 0xE01F0),
}
_UNSPACED = (
    *((0x0E00, 0x0E7F), (0x1100, 0x11FF), (0x3005, 0x3007), (0x3021, 0x3029), (0x3031, 0x3035)),
    *((0x303B, 0x303C), (0x3041, 0x30FF), (0x3131, 0x318E), (0x31F0, 0x31FF), (0x3400, 0x4DBF)),
    *((0x4E00, 0x9FFF), (0xA960, 0xA97F), (0xAC00, 0xD7FF), (0xF900, 0xFAFF), (0x1AFF0, 0x1AFFF)),
    *((0x1B000, 0x1B16F), (0x20000, 0x3FFFF)),
)
_LETTERS = {"æ": "ae", "đ": "d", "ħ": "h", "ı": "i", "ł": "l", "ø": "o", "œ": "oe", "ŧ": "t"}


def reference_stems(text: str, lang: str) -> list[str]:
    """The stems of a text, as they are hashed."""
    stems = []
    for word, unspaced in _words(_normal(text)):
        if unspaced:
            stems += [word[i : i + 2] for i in range(len(word) - 1)] or [word]
        else:
            stem = _stem(word[:64], lang.split("-")[0].lower())
            stems += [stem] if stem else []
    return stems


def reference_hash(stem: str) -> int:
    digest = hashlib.sha256(stem.encode("utf-8")).digest()
    return digest[0] << 16 | digest[1] << 8 | digest[2]


def _kind(char: str) -> str:
    return unicodedata.category(char)[0]


def _normal(text: str) -> str:
    text = "".join(char for char in text if ord(char) not in _IGNORED)
    text = "".join(" " if UNASSIGNED.match(char) else char for char in text)
    kept, marks = "", 0
    for char in text:
        marks = marks + 1 if _kind(char) == "M" or char in "\uff9e\uff9f" else 0
        kept += char if marks <= 32 else ""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", kept).casefold())
    return re.sub("[\u0300-\u036f]", "", folded)


def _words(normal: str) -> list[tuple[str, bool]]:
    pieces: list[tuple[str, bool]] = []
    inside = False
    for char in normal:
        if _kind(char) not in "LMN":
            inside = False
            continue
        unspaced = any(first <= ord(char) <= last for first, last in _UNSPACED)
        if inside and pieces[-1][1] == unspaced:
            pieces[-1] = (pieces[-1][0] + char, unspaced)
        else:
            pieces.append((char, unspaced))
        inside = True
    stripped = [
        ("".join(dropwhile(lambda char: _kind(char) == "M", piece)), unspaced) for piece, unspaced in pieces
    ]
    return [(piece, unspaced) for piece, unspaced in stripped if piece]


def _stem(word: str, lang: str) -> str:
    if word in STOP_WORDS.get(lang, ()):
        return ""
    stem = Stemmer.Stemmer(STEMMERS[lang], 0).stemWord(word) if lang in STEMMERS else word
    plain = re.sub("[\u0300-\u036f]", "", unicodedata.normalize("NFD", stem))
    return unicodedata.normalize("NFC", "".join(_LETTERS.get(char, char) for char in plain))


def reference_sketch(length: int, counts: dict[int, int]) -> bytes:
    """The sketch of at most 1,024 stems that occur so often, bit by bit."""
    values = [0]
    while len(values) < 256:
        values.append(max(values[-1] + 1, values[-1] + values[-1] // 16))
    code = max(number for number, value in enumerate(values) if value <= length)
    rice = 0
    while counts and len(counts) << (rice + 1) <= 1 << 24:
        rice += 1
    bits: list[int] = []
    previous = -1
    for stem in sorted(counts):
        gap = stem - previous - 1
        previous = stem
        bits += [1] * (gap >> rice) + [0]
        bits += [gap >> place & 1 for place in reversed(range(rice))]
        kind = (0, 0, 1, 2, 2, 3)[min(counts[stem], 5)]
        bits += [kind >> 1, kind & 1]
    bits += [0] * (-len(bits) % 8)
    packed = bytes(
        sum(bit << 7 - place for place, bit in enumerate(bits[start : start + 8]))
        for start in range(0, len(bits), 8)
    )
    return bytes([1, code, len(counts) >> 8, len(counts) & 255]) + packed
