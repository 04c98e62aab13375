"""The normal form of a text, and which part of the text each of its code points comes from (SPEC, Text)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from unicodedata import category, combining, normalize

from pkn_protocol.text.unassigned import UNASSIGNED

# Invisible inside words: soft hyphen, joiners, marks of direction, selectors of glyph variants. U+200B (zero
# width space) is not among them: it stands between the words of some languages.
_IGNORED = re.compile(
    "[\u00ad\u034f\u061c\u180b-\u180d\u180f\u200c-\u200f\u2060\ufe00-\ufe0f\ufeff\U000e0100-\U000e01ef]+"
)
_MARKS = re.compile("[\u0300-\u036f]+")
# What NFD does not take apart, though it is typed without its stroke or as two letters.
_PLAIN_LETTERS = str.maketrans(
    {"æ": "ae", "đ": "d", "ħ": "h", "ı": "i", "ł": "l", "ø": "o", "œ": "oe", "ŧ": "t"}
)
MOST_MARKS = 32
"""Marks in succession that count; normal forms sort them, in quadratic time. Real text has fewer than ten."""
_HALFWIDTH_MARKS = "\uff9e\uff9f"
_JAMO_THAT_JOIN = re.compile("[\u1161-\u1175\u11a8-\u11c2]")


def normal_form(text: str) -> str:
    """Without what is invisible, unassigned code points as spaces, NFKC, folded, without loose accents.

    The normal form of a text is that of its parts between white space: nothing composes across it.
    """
    if text.isascii():
        return text.lower()
    clean = _with_few_marks(UNASSIGNED.sub(" ", _IGNORED.sub("", text)))
    return _MARKS.sub("", normalize("NFKC", normalize("NFKC", clean).casefold()))


def _with_few_marks(text: str) -> str:
    if len(text) <= MOST_MARKS:
        return text
    kept: list[str] = []
    marks = 0
    for char in text:
        marks = marks + 1 if category(char)[0] == "M" or char in _HALFWIDTH_MARKS else 0
        if marks <= MOST_MARKS:
            kept.append(char)
    return "".join(kept)


def without_accents(word: str) -> str:
    """A stem without U+0300 to U+036F in its canonical decomposition, in plain letters."""
    if word.isascii():
        return word
    return normalize("NFC", _MARKS.sub("", normalize("NFD", word)).translate(_PLAIN_LETTERS))


def normal_form_with_places(text: str) -> tuple[str, list[int], list[int]]:
    """The normal form, and for each of its code points where its origin in `text` starts and ends."""
    if text.isascii():
        return text.lower(), list(range(len(text))), list(range(1, len(text) + 1))
    parts: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    for start, end in _independent_parts(text):
        part = normal_form(text[start:end])
        parts.append(part)
        starts += [start] * len(part)
        ends += [end] * len(part)
    normal = "".join(parts)
    whole = normal_form(text)
    if normal == whole:
        return normal, starts, ends
    # Parts that join after all (some vowel signs of India, loose vowels of Hangul): every word of such a text
    # is marked as a whole.
    return whole, [0] * len(whole), [len(text)] * len(whole)


def _independent_parts(text: str) -> Iterator[tuple[int, int]]:
    start = 0
    for place in range(1, len(text)):
        if not _joins(text[place]):
            yield start, place
            start = place
    if text:
        yield start, len(text)


@lru_cache(maxsize=4096)
def _joins(char: str) -> bool:
    """Whether a code point may change, or be changed by, the one before it."""
    if char.isascii():
        return False
    if _IGNORED.match(char) or _JAMO_THAT_JOIN.match(char):
        return True
    return combining(normalize("NFKD", char)[0]) != 0
