"""Text analysis version 1 (SPEC, Text): from a text to the 24-bit hashes of its stems.

The order of steps is part of the format: separators for unassigned code points, NFKC, case folding, NFKC,
words by general category, stop words, stems by language, accents folded, the hash.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b

import Stemmer

from pkn_protocol.text.languages import STEMMERS, STOP_WORDS, primary
from pkn_protocol.text.unassigned import UNASSIGNED

ANALYSER = 1
WORD_CHARS = 64
"""Longer words are cut to this many code points: they are keys or noise, and cost memory."""
STEM_BITS = 24
_PERSON = b"pkn stem v1"
# Tokens with their stems, by language: texts repeat themselves. Some 10 MiB when full.
_CACHE_TOKENS = 30_000
_TOKEN = re.compile(r"\S+")
_BIGRAM = re.compile(
    # Han, Hiragana, Katakana, Hangul (syllables and letters), Thai, with their marks of iteration and length.
    "[\u0e00-\u0e7f\u1100-\u11ff\u3005-\u3007\u3041-\u3096\u3099-\u309f\u30a1-\u30ff\u3131-\u318e\u31f0-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff\U0001b000-\U0001b16f"
    "\U00020000-\U0003134f]+"
)
_ACCENTS = re.compile("[\u0300-\u036f]+")


@dataclass(frozen=True, slots=True)
class Word:
    """A word in a text: code points `start` (inclusive) to `end` (exclusive) of the text as given.

    `stems` has one hash, or the bigrams of a word in a script without spaces; none for a stop word.
    """

    start: int
    end: int
    stems: tuple[int, ...]


def analyse(text: str, lang: str) -> list[int]:
    """The hashes of the stems of a text in order, stop words left out. `lang` is a tag of RFC 5646."""
    language = primary(lang)
    known = _cache_of(language)
    stems: list[int] = []
    for token in text.split():
        found = known.get(token)
        if found is None:
            found = _remember(known, token, language)
        stems.extend(found)
    return stems


def words(text: str, lang: str) -> Iterator[Word]:
    """The words of a text with their places, for passages and marks."""
    language = primary(lang)
    for match in _TOKEN.finditer(text):
        token = match.group()
        normal = _normalised(token)
        # Almost always the normal form is as long as the token, and places carry over; where it is not
        # (ligatures, compatibility forms), each word of the token gets the whole token's place.
        aligned = len(normal) == len(token)
        for start, end in _spans(normal):
            stems = tuple(_stems_of_word(normal[start:end], language))
            if aligned:
                yield Word(match.start() + start, match.start() + end, stems)
            else:
                yield Word(match.start(), match.end(), stems)


def query_stems(word: str, langs: Iterable[str]) -> frozenset[int]:
    """The stems that a word of a query may have in the languages at hand; empty if it is a stop word in all.

    A word in a script without spaces yields its bigrams.
    """
    return frozenset(stem for lang in langs for stem in analyse(word, lang))


def stem_hash(stem: str) -> int:
    """The 24-bit hash of a stem: BLAKE2b, 3 bytes, personalised, big-endian; the language is not in it."""
    return int.from_bytes(blake2b(stem.encode("utf-8"), digest_size=3, person=_PERSON).digest(), "big")


def normal_words(text: str) -> list[str]:
    """The words of a text in their normal form, neither stemmed nor with stop words left out."""
    normal = _normalised(text)
    return [normal[start:end][:WORD_CHARS] for start, end in _spans(normal)]


def _remember(known: dict[str, tuple[int, ...]], token: str, language: str) -> tuple[int, ...]:
    normal = _normalised(token)
    found = tuple(
        stem for start, end in _spans(normal) for stem in _stems_of_word(normal[start:end], language)
    )
    if len(known) >= _CACHE_TOKENS:
        known.clear()
    if len(token) <= WORD_CHARS:
        known[token] = found
    return found


def _normalised(text: str) -> str:
    if text.isascii():
        return text.lower()
    clean = UNASSIGNED.sub(" ", text)
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", clean).casefold())


_ASCII_WORD = re.compile("[0-9a-z]+")


def _spans(normal: str) -> Iterator[tuple[int, int]]:
    """Where the words of a normal text are: runs of letters, marks and numbers."""
    if normal.isascii():
        for match in _ASCII_WORD.finditer(normal):
            yield match.span()
        return
    start = -1
    for place, char in enumerate(normal):
        inside = unicodedata.category(char)[0] in "LMN"
        if inside and start < 0:
            start = place
        elif not inside and start >= 0:
            yield start, place
            start = -1
    if start >= 0:
        yield start, len(normal)


def _stems_of_word(word: str, language: str) -> Iterator[int]:
    word = word[:WORD_CHARS]
    if word.isascii():
        yield from _stem(word, language)
        return
    end = 0
    for match in _BIGRAM.finditer(word):
        if match.start() > end:
            yield from _stem(word[end : match.start()], language)
        end = match.end()
        run = match.group()
        for place in range(max(1, len(run) - 1)):
            yield stem_hash(run[place : place + 2])
    if end < len(word):
        yield from _stem(word[end:], language)


def _stem(word: str, language: str) -> Iterator[int]:
    if word in STOP_WORDS.get(language, ()):
        return
    stemmer = _stemmer(language)
    stem = word if stemmer is None else stemmer.stemWord(word)
    folded = _folded(stem)
    # A word of marks alone has no letters left.
    if folded:
        yield stem_hash(folded)


def _folded(word: str) -> str:
    if word.isascii():
        return word
    return unicodedata.normalize("NFC", _ACCENTS.sub("", unicodedata.normalize("NFD", word)))


@cache
def _cache_of(language: str) -> dict[str, tuple[int, ...]]:
    return {}


@cache
def _stemmer(language: str) -> Stemmer.Stemmer | None:
    algorithm = STEMMERS.get(language)
    # Without its own cache a stemmer runs each word in one step, so that threads may share it.
    return None if algorithm is None else Stemmer.Stemmer(algorithm, 0)
