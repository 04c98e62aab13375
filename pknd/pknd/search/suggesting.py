"""What may have been meant by words that nobody has: looked for among the stems that are held."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator

import numpy as np

from pkn_protocol.control.query import Suggestion
from pkn_protocol.records.model import Item
from pkn_protocol.search.query import Query, stop_languages
from pkn_protocol.search.spelling import stems_of_slips, written_with
from pknd.search.index import IndexReader
from pknd.search.local import admitted
from pknd.search.postings import documents_of
from pknd.search.texts import TextOf
from pknd.store.records import Filter, Held, get_row

MOST_WORDS = 3
"""Words of a query for which others are looked for: each costs a thousand looks into the index."""
_MOST_STEMS = 6
"""Of the stems that may have been meant, those that most documents have are looked at."""
_MOST_DOCUMENTS = 6
"""Of each stem's documents the newest are read until the word is seen."""
_TEXT_CHARS = 20_000


def unknown_words(query: Query, index: IndexReader) -> list[str]:
    """The words of a query that no document here has, and that are no stop words."""
    unknown = [
        term.word
        for term in query.terms
        if not stop_languages(term.word) and not index.frequency(term.stems, public_only=False)
    ]
    return list(dict.fromkeys(unknown))[:MOST_WORDS]


def suggestions(
    db: sqlite3.Connection,
    words: Collection[str],
    langs: Collection[str],
    *,
    now: int,
    text_of: TextOf,
    index: IndexReader | None = None,
) -> tuple[Suggestion, ...]:
    """For each word another one letter away, which most documents here have: as it was written in one of
    them, since one stem's hash may be another's too."""
    index = IndexReader(db) if index is None else index
    found = (_suggestion(db, index, word, langs, now, text_of) for word in words)
    return tuple(one for one in found if one is not None)


def _suggestion(
    db: sqlite3.Connection, index: IndexReader, word: str, langs: Collection[str], now: int, text_of: TextOf
) -> Suggestion | None:
    meant = stems_of_slips(word, langs)
    stems = np.array(sorted(meant), np.uint32)
    counts = index.counts(stems)
    held = np.flatnonzero(counts)
    # Most documents first, then by what the word is, so that the same is said each time.
    ordered = sorted(held, key=lambda place: (-int(counts[place]), meant[int(stems[place])]))
    for place in ordered[:_MOST_STEMS]:
        stem = int(stems[place])
        for document in _newest(db, index, stem, now):
            lang = getattr(document.record.body, "lang", None) or ""
            written = written_with(_texts(db, document, text_of), lang, stem, meant[stem])
            if written is not None:
                return Suggestion(word, written, int(counts[place]))
    return None


def _newest(db: sqlite3.Connection, index: IndexReader, stem: int, now: int) -> Iterator[Held]:
    docs = {int(doc) for entries in index.list_of(stem).entries() for doc in documents_of(entries)}
    newest = sorted(docs - index.forgotten, reverse=True)[:_MOST_DOCUMENTS]
    allowed = admitted(db, newest, Filter(now=now))
    for doc in newest:
        held = get_row(db, doc) if doc in allowed else None
        if held is not None:
            yield held


def _texts(db: sqlite3.Connection, held: Held, text_of: TextOf) -> Iterator[str]:
    item = held.record.body
    if isinstance(item, Item):
        yield from (item.title, *item.tags, item.name or "", item.excerpt)
        yield (text_of(db, held) or "")[:_TEXT_CHARS]
