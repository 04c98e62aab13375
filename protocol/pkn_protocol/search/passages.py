"""The passage of a text that answers a query best, with the words to mark; and the test of phrases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pkn_protocol.search.query import Query
from pkn_protocol.text.analysis import normal_words, words

PASSAGE_CHARS = 240
_READ_CHARS = 200_000
"""Passages are looked for in this much of a text."""
_LEAD_CHARS = 60


@dataclass(frozen=True, slots=True)
class Passage:
    """`start`: where it begins in the text (code points); `marks`: (start, end) within the passage."""

    text: str
    start: int
    marks: tuple[tuple[int, int], ...]


def best_passage(text: str, lang: str, query: Query, weights: Sequence[float]) -> Passage | None:
    """The window of some 240 characters with the greatest weight of distinct terms; None without a match."""
    text = text[:_READ_CHARS]
    hits: list[tuple[int, int, int]] = []
    for word in words(text, lang):
        for number, term in enumerate(query.terms):
            if not term.stems.isdisjoint(word.stems):
                hits.append((word.start, word.end, number))
                break
    if not hits:
        return None
    first = _best_start(hits, weights)
    begin = _word_start(text, max(0, hits[first][0] - _LEAD_CHARS))
    end = _word_end(text, begin, min(len(text), begin + PASSAGE_CHARS))
    marks = tuple((start - begin, stop - begin) for start, stop, _ in hits if start >= begin and stop <= end)
    return Passage(_one_line(text[begin:end]), begin, marks)


def has_phrases(text: str, phrases: Sequence[Sequence[str]]) -> bool:
    """Whether the words of each phrase follow one another in a text."""
    found = normal_words(text)
    return all(_contains(found, list(phrase)) for phrase in phrases)


def _contains(found: list[str], phrase: list[str]) -> bool:
    length = len(phrase)
    first = phrase[0]
    return any(word == first and found[place : place + length] == phrase for place, word in enumerate(found))


def _best_start(hits: list[tuple[int, int, int]], weights: Sequence[float]) -> int:
    best, best_weight = 0, -1.0
    for place, (start, _, _) in enumerate(hits):
        seen: set[int] = set()
        for _, stop, number in hits[place : place + 64]:
            if stop > start + PASSAGE_CHARS - _LEAD_CHARS:
                break
            seen.add(number)
        weight = sum(weights[number] for number in seen)
        if weight > best_weight:
            best, best_weight = place, weight
    return best


def _word_start(text: str, place: int) -> int:
    if place == 0:
        return 0
    space = text.find(" ", place, place + 20)
    return space + 1 if space >= 0 else place


def _word_end(text: str, begin: int, place: int) -> int:
    if place >= len(text):
        return len(text)
    space = text.rfind(" ", max(begin + 1, place - 20), place)
    return space if space > 0 else place


def _one_line(text: str) -> str:
    # One character for one, so that the marks keep their places.
    return "".join(" " if char.isspace() else char for char in text)
