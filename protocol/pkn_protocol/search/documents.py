"""What a record is found by, and its text score: a pure function of the signed record (SPEC, Search).

An asker scores every answer by this and never by what the answerer claims.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from pkn_protocol.records.model import Item, Record
from pkn_protocol.search.believed import analysed_as, counted_sketch
from pkn_protocol.search.query import Query, Term
from pkn_protocol.search.scoring import Statistics, bm25, bm25_of
from pkn_protocol.text.analysis import analyse
from pkn_protocol.text.sketch import (
    BadSketch,
    Sketch,
    decode_sketch,
    item_text,
    length_code,
    length_of_code,
)


@dataclass(frozen=True, slots=True)
class Terms:
    """The stems of a document with their frequency classes (0 to 3), and its length in stems."""

    classes: dict[int, int]
    length: int


def terms_of(record: Record, sketch: Sketch | None = None) -> Terms:
    """What a record is found by: its sketch, its tags, and title and file name where there is no sketch.

    `sketch` spares decoding the record's own where it is at hand.

    A sketch that cannot be decoded, or cannot be that of a text (`counted_sketch`), counts as none. A tag's
    stem counts once, in class 0, unless the sketch has it.
    """
    item = record.body
    if not isinstance(item, Item):
        return Terms({}, 0)
    classes: dict[int, int] = {}
    length = 0
    counted = counted_sketch(item)
    if counted is not None:
        with suppress(BadSketch):
            sketch = decode_sketch(counted) if sketch is None else sketch
            classes, length = dict(sketch.classes), sketch.length
    extra = tag_stems(item)
    if not classes:
        lang = analysed_as(item)
        extra += analyse(item.title, lang)
        if item.name is not None:
            extra += analyse(item.name, lang)
    for stem in extra:
        classes.setdefault(stem, 0)
    return Terms(classes, length_of(length, extra))


def tag_stems(item: Item) -> list[int]:
    """The stems of an item's tags, with repetitions."""
    if not item.tags:
        return []
    lang = analysed_as(item)
    return [stem for tag in item.tags for stem in analyse(tag, lang)]


def length_of(length: int, extra: Sequence[int]) -> int:
    """The length of a document in stems, by that of its sketch (0: it has none) and the stems beside it."""
    # A length that a code stands for, so that an index can keep the code.
    return length_of_code(length_code(max(length, len(extra), 1)))


def without_sketch(record: Record) -> Record:
    """The record as it is found when its author's sketches are not believed: by title, name and tags."""
    item = record.body
    return replace(record, body=replace(item, sketch=None)) if isinstance(item, Item) else record


def best_class(term: Term, classes: Mapping[int, int]) -> int | None:
    """The highest frequency class that one of a term's stems has; None where none occurs."""
    return max((classes[stem] for stem in term.stems if stem in classes), default=None)


def text_score(record: Record, query: Query, statistics: Statistics) -> float | None:
    """The BM25 score of a record; None where it does not match.

    It has to have a term of the query, no excluded one, and all words of phrases (but stop words of its
    language). Whether these words follow one another only the text can say.
    """
    terms = terms_of(record)
    lang = getattr(record.body, "lang", None) or ""
    if not has_words(query, terms, lang):
        return None
    return bm25([best_class(term, terms.classes) for term in query.terms], terms.length, statistics)


def full_text_score(item: Item, content: str, query: Query, statistics: Statistics) -> float | None:
    """The same score from the whole text instead of its sketch: words are counted, not classed.

    `content` is what the item's payload says. None where there is no sketch to go by: such an item is not
    found by its text. The length is that of a sketch, so that both scores can be compared.
    """
    if item.lang is None or item.sketch is None:
        return None
    stems = analyse(item_text(item.title, content, item.url), item.lang)
    wanted = {stem for term in query.terms for stem in term.stems}
    counts = Counter(stem for stem in stems if stem in wanted)
    for tag in item.tags:
        for stem in analyse(tag, item.lang):
            counts[stem] = max(1, counts[stem])
    frequencies = [float(max((counts[stem] for stem in term.stems), default=0)) for term in query.terms]
    return bm25_of(frequencies, length_of_code(length_code(max(len(stems), 1))), statistics)


def has_words(query: Query, terms: Terms, lang: str) -> bool:
    """Whether a document of these terms, in this language, matches by its words alone: see `text_score`."""
    return (
        any(best_class(term, terms.classes) is not None for term in query.terms)
        and all(best_class(term, terms.classes) is None for term in query.excluded)
        and all(best_class(term, terms.classes) is not None for term in query.required_in(lang))
    )
