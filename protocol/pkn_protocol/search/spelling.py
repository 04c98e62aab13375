"""What may have been meant by a word that nobody has: words one slip of the pen away (SPEC, Search)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from pkn_protocol.text.analysis import normal_words, query_stems, words
from pkn_protocol.text.normal import without_accents

LEAST_CHARS = 3
"""Everything is one slip away from a shorter word."""
MOST_CHARS = 24
"""A longer word has too many neighbours to look up, and is seldom typed."""
_ALPHABETS = (
    ("a", "\u024f", "abcdefghijklmnopqrstuvwxyz"),
    ("\u03ac", "\u03ce", "αβγδεζηθικλμνξοπρστυφχψω"),
    ("\u0430", "\u045f", "абвгдежзийклмнопрстуфхцчшщъыьэюяё"),
)
"""First and last letter of a script, and what a slip puts in: accents are folded away with the stem."""
_SAME_BEGINNING = 3
"""Endings differ by at most so many letters where two words have one stem, and beginnings not at all."""


def slips(word: str) -> Iterator[str]:
    """The words that are one letter away from a normal word: left out, swapped with the next, another in its
    place, or put in; each once. None of scripts that are not spelt, of numbers, nor of very long words."""
    letters = _alphabet(word)
    if not letters:
        return
    given = {word}
    for other in _edits(word, letters):
        if other not in given:
            given.add(other)
            yield other


def stems_of_slips(word: str, langs: Collection[str]) -> dict[int, list[str]]:
    """The stems of those words in the languages at hand, each with the words that have it."""
    found: dict[int, list[str]] = {}
    for other in slips(word):
        for stem in query_stems(other, langs):
            found.setdefault(stem, []).append(other)
    return found


def written_with(texts: Iterable[str], lang: str, stem: int, meant: Collection[str]) -> str | None:
    """The word of the texts that has a stem, as it was written: one that is among those that may have been
    meant, else one with another ending. None where there is none, as when a hash is another word's too."""
    other: str | None = None
    for text in texts:
        for word in words(text, lang):
            if stem not in word.stems:
                continue
            written = text[word.start : word.end]
            normal = "".join(normal_words(written))
            if normal in meant:
                return written
            if other is None and any(_begin_alike(normal, one) for one in meant):
                other = written
    return other


def _alphabet(word: str) -> str:
    if not LEAST_CHARS <= len(word) <= MOST_CHARS:
        return ""
    for first, last, letters in _ALPHABETS:
        if all(char.isalpha() and first <= char <= last for char in word):
            return letters
    return ""


def _edits(word: str, letters: str) -> Iterator[str]:
    for place in range(len(word)):
        before, char, after = word[:place], word[place], word[place + 1 :]
        yield before + after
        if after:
            yield before + after[0] + char + after[1:]
        for letter in letters:
            yield before + letter + after
            yield before + letter + char + after
    for letter in letters:
        yield word + letter


def _begin_alike(one: str, other: str) -> bool:
    one, other = without_accents(one), without_accents(other)
    same = 0
    for left, right in zip(one, other, strict=False):
        if left != right:
            break
        same += 1
    return same >= _SAME_BEGINNING and max(len(one), len(other)) - same <= _SAME_BEGINNING
