"""The passage of a text that answers a query best, with the words to mark (SPEC, Search)."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pkn_protocol.search.phrases import has_phrases as has_phrases
from pkn_protocol.search.query import Query, Term
from pkn_protocol.text.analysis import analyse, words

PASSAGE_CHARS = 240
_READ_CHARS = 200_000
"""Passages are looked for in this much of a text."""
_LEAD_CHARS = 60
"""What stands before the first word that is marked, at most; less where a sentence begins."""
_SIDE_BY_SIDE = 2
"""Marked words with at most so many characters between them count as a phrase."""
_TOKEN = re.compile(r"\S+")
_SENTENCE_END = re.compile(r"[.!?…。！？]\s|\n\s*\n?")


@dataclass(frozen=True, slots=True)
class Passage:
    """`start`: where it begins in the text (code points); `marks`: (start, end) within the passage."""

    text: str
    start: int
    marks: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class _Hit:
    """A word of the text that is term `number` of the query."""

    start: int
    end: int
    number: int


def best_passage(text: str, lang: str, query: Query, weights: Sequence[float]) -> Passage | None:
    """The window of some 240 characters with the greatest weight of distinct terms; None without a match.

    `weights` are those of the query's terms. Of equal windows the one with more of its terms side by side,
    then the first.
    """
    text = text[:_READ_CHARS]
    hits = list(_hits(text, lang, query.terms))
    if not hits:
        return None
    first = _best_start(hits, weights)
    begin = _begin(text, hits[first].start)
    end = _word_end(text, begin, min(len(text), begin + PASSAGE_CHARS))
    inside = [(hit.start - begin, hit.end - begin) for hit in hits if begin <= hit.start and hit.end <= end]
    return Passage(_one_line(text[begin:end]), begin, tuple(_merged(inside)))


def _hits(text: str, lang: str, terms: Sequence[Term]) -> Iterator[_Hit]:
    numbers: dict[int, int] = {}
    for number, term in enumerate(terms):
        for stem in term.stems:
            numbers.setdefault(stem, number)
    # Texts repeat themselves: what a token is, is found out once.
    known: dict[str, bool] = {}
    for match in _TOKEN.finditer(text):
        token = match.group()
        matches = known.get(token)
        if matches is None:
            matches = known[token] = any(stem in numbers for stem in analyse(token, lang))
        if matches:
            for word in words(token, lang):
                found = [numbers[stem] for stem in word.stems if stem in numbers]
                if found:
                    yield _Hit(match.start() + word.start, match.start() + word.end, found[0])


def _best_start(hits: Sequence[_Hit], weights: Sequence[float]) -> int:
    """The number of the hit that begins the best window; one pass with two ends."""
    room = PASSAGE_CHARS - _LEAD_CHARS
    best, best_value = 0, (-1.0, -1)
    seen: Counter[int] = Counter()
    beside = 0
    stop = 0
    for place, hit in enumerate(hits):
        while stop < len(hits) and (stop == place or hits[stop].end <= hit.start + room):
            seen[hits[stop].number] += 1
            beside += stop > place and _beside(hits[stop - 1], hits[stop])
            stop += 1
        # Rounded, since the same terms in another order may differ in the last bit.
        value = (round(sum(weights[number] for number in seen), 9), beside)
        if value > best_value:
            best, best_value = place, value
        seen[hit.number] -= 1
        if not seen[hit.number]:
            del seen[hit.number]
        if place + 1 < stop:
            beside -= _beside(hit, hits[place + 1])
    return best


def _beside(one: _Hit, next_one: _Hit) -> bool:
    # Bigrams of one run overlap.
    return next_one.number != one.number and next_one.start - one.end <= _SIDE_BY_SIDE


def _begin(text: str, first: int) -> int:
    """Where the passage begins that shows the word at `first`: at a sentence, else at a word, before it."""
    if len(text) <= PASSAGE_CHARS:
        return 0
    earliest = max(0, first - _LEAD_CHARS)
    if earliest == 0:
        return 0
    ends = [match.end() for match in _SENTENCE_END.finditer(text, earliest, first)]
    if ends:
        return ends[-1]
    # Near the end of the text there is room to show more of what comes before.
    earliest = min(earliest, len(text) - PASSAGE_CHARS)
    space = re.compile(r"\s").search(text, earliest, min(first, earliest + 20))
    return space.end() if space else earliest


def _word_end(text: str, begin: int, place: int) -> int:
    if place >= len(text):
        return len(text)
    for end in range(place, max(begin + 1, place - 20), -1):
        if text[end].isspace():
            return end
    return place


def _merged(marks: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Marks that overlap, as bigrams do, become one."""
    begin, end = -1, -1
    for start, stop in marks:
        if start < end:
            end = max(end, stop)
            continue
        if end > 0:
            yield begin, end
        begin, end = start, stop
    if end > 0:
        yield begin, end


def _one_line(text: str) -> str:
    # One character for one, so that the marks keep their places.
    return "".join(" " if char.isspace() else char for char in text)
