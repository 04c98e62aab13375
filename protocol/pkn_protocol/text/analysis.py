"""Text analysis version 1 (SPEC, Text): from a text to the 24-bit hashes of its stems.

The order of steps is part of the format: normal form, words by general category, stop words, stems by
language, accents folded, the hash.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from unicodedata import category

import Stemmer

from pkn_protocol.text.languages import LANGUAGES, STEMMERS, STOP_WORDS, UNSTEMMED, analysed_as
from pkn_protocol.text.normal import normal_form, normal_form_with_places, without_accents

ANALYSER = 1
WORD_CHARS = 64
"""Longer words are cut to this many code points: they are keys or noise, and cost memory."""
STEM_BITS = 24
_STEM_BYTES = STEM_BITS // 8

# Bounds of the memory of tokens, some 5 MiB a language when full.
_CACHE_TOKENS = 20_000
_CACHE_TOKEN_CHARS = 64
_CACHE_TOKEN_STEMS = 8
_CACHE_HASHES = 16_384

_TOKEN = re.compile(r"\S+")
_ASCII_WORD = re.compile("[0-9a-z]+")
_UNSPACED = re.compile(
    # Thai, Hangul, Han and Kana with their marks of iteration and length.
    "[\u0e00-\u0e7f\u1100-\u11ff\u3005-\u3007\u3021-\u3029\u3031-\u3035\u303b\u303c\u3041-\u30ff\u3131-\u318e"
    "\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff\U0001aff0-\U0001afff"
    "\U0001b000-\U0001b16f\U00020000-\U0003ffff]+"
)
_ALWAYS_PARTED = " "


@dataclass(frozen=True, slots=True)
class Word:
    """A word in a text: code points `start` (inclusive) to `end` (exclusive) of the text as given.

    `stems` has its hash, and is empty for a stop word. In scripts without spaces each bigram is a word, so
    that neighbours overlap by one character.
    """

    start: int
    end: int
    stems: tuple[int, ...]


def analyse(text: str, lang: str) -> list[int]:
    """The hashes of the stems of a text in order, stop words left out. `lang` is a tag of RFC 5646."""
    analyser = _Analyser(analysed_as(lang))
    known = analyser.known.get
    stems: list[int] = []
    for token in text.split():
        found = known(token)
        stems += analyser.stems_of(token) if found is None else found
    return stems


def words(text: str, lang: str) -> Iterator[Word]:
    """The words of a text with their places, for passages and marks."""
    analyser = _Analyser(analysed_as(lang))
    for match in _TOKEN.finditer(text):
        offset = match.start()
        normal, starts, ends = normal_form_with_places(match.group())
        for first, last, unspaced in _pieces(normal):
            for start, end in _bigrams(first, last) if unspaced else ((first, last),):
                stem = stem_hash(normal[start:end]) if unspaced else analyser.stem_of(normal[start:end])
                stems = () if stem is None else (stem,)
                yield Word(offset + starts[start], offset + ends[end - 1], stems)


def query_stems(word: str, langs: Iterable[str]) -> frozenset[int]:
    """The stems that a word of a query may have: in each language at hand, and unstemmed.

    A language adds nothing for its stop words; unstemmed they remain. A word in a script without spaces
    yields its bigrams.
    """
    spoken = {analysed_as(lang) for lang in langs} | {UNSTEMMED}
    return frozenset(stem for lang in spoken for stem in analyse(word, lang))


def normal_words(text: str) -> list[str]:
    """The words of a text in their normal form, neither stemmed nor with stop words left out.

    A run of a script without spaces is one word, of any length.
    """
    return [
        normal[start : end if unspaced else min(end, start + WORD_CHARS)]
        for normal in map(normal_form, text.split())
        for start, end, unspaced in _pieces(normal)
    ]


def is_single_unspaced(word: str) -> bool:
    """Whether a normal word is one character of a script without spaces, of which texts yield bigrams."""
    return len(word) == 1 and _UNSPACED.fullmatch(word) is not None


@lru_cache(maxsize=_CACHE_HASHES)
def stem_hash(stem: str) -> int:
    """The 24-bit hash of a stem: the first three bytes of the SHA-256 of its UTF-8, big-endian.

    The language is not in it, so that a name is found in texts of all languages.
    """
    return int.from_bytes(sha256(stem.encode("utf-8")).digest()[:_STEM_BYTES], "big")


class _Analyser:
    """A language's stop words and stemmer, made for one text: threads must not share a stemmer."""

    __slots__ = ("_language", "_stemmer", "_stop_words", "known")

    def __init__(self, language: str) -> None:
        self._language = language
        self.known = _KNOWN[language]
        self._stop_words = STOP_WORDS.get(language, frozenset())
        # Made at the first word that is new (a quarter of a microsecond); it keeps no cache of its own.
        self._stemmer: Stemmer.Stemmer | None = None

    def stems_of(self, token: str) -> tuple[int, ...]:
        """The stems of a token between white space, which are remembered in `known`."""
        found = tuple(self._read(token))
        if len(token) <= _CACHE_TOKEN_CHARS and len(found) <= _CACHE_TOKEN_STEMS:
            if len(self.known) >= _CACHE_TOKENS:
                self.known.clear()
            self.known[token] = found
        return found

    def stem_of(self, word: str) -> int | None:
        """The hash of a normal word's stem; None for a stop word."""
        word = word[:WORD_CHARS]
        if word in self._stop_words:
            return None
        stem = without_accents(self._stemmed(word))
        return stem_hash(stem) if stem else None

    def _read(self, token: str) -> Iterator[int]:
        normal = normal_form(token)
        for first, last, unspaced in _pieces(normal):
            if unspaced:
                for start, end in _bigrams(first, last):
                    yield stem_hash(normal[start:end])
            elif (stem := self.stem_of(normal[first:last])) is not None:
                yield stem

    def _stemmed(self, word: str) -> str:
        if self._language == UNSTEMMED:
            return word
        if self._stemmer is None:
            self._stemmer = Stemmer.Stemmer(STEMMERS[self._language], 0)
        stemmed: str = self._stemmer.stemWord(word)
        return stemmed


# Tokens to their stems, a language each. Threads may share them: single operations of a dict are atomic, and
# all threads would store the same.
_KNOWN: dict[str, dict[str, tuple[int, ...]]] = {language: {} for language in (*LANGUAGES, UNSTEMMED)}


def _pieces(normal: str) -> Iterator[tuple[int, int, bool]]:
    """(start, end, whether of a script without spaces) of the words of a normal text."""
    if normal.isascii():
        for match in _ASCII_WORD.finditer(normal):
            yield *match.span(), False
        return
    start = -1
    for place, char in enumerate(normal + _ALWAYS_PARTED):
        # Letters, marks and numbers; a word does not begin with a mark.
        kind = category(char)[0]
        if start < 0:
            if kind in "LN":
                start = place
        elif kind not in "LMN":
            yield from _by_script(normal, start, place)
            start = -1


def _by_script(normal: str, start: int, end: int) -> Iterator[tuple[int, int, bool]]:
    """A run of letters, marks and numbers, cut where a script without spaces begins or ends."""
    place = start
    for match in _UNSPACED.finditer(normal, start, end):
        yield from _without_leading_marks(normal, place, match.start(), unspaced=False)
        yield from _without_leading_marks(normal, *match.span(), unspaced=True)
        place = match.end()
    yield from _without_leading_marks(normal, place, end, unspaced=False)


def _without_leading_marks(
    normal: str, start: int, end: int, *, unspaced: bool
) -> Iterator[tuple[int, int, bool]]:
    while start < end and category(normal[start])[0] == "M":
        start += 1
    if start < end:
        yield start, end, unspaced


def _bigrams(start: int, end: int) -> Iterator[tuple[int, int]]:
    """The pairs of neighbours in a run; a single character stands alone."""
    if end - start == 1:
        yield start, end
    for place in range(start, end - 1):
        yield place, place + 2
