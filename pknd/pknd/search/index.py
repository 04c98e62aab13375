"""The search index: which documents have a stem, and how often (SPEC, Search; On disk, Postings).

A document is a shown head of an item; its number is the record's row. The terms of a record are a pure
function of the record. A document that is taken out is noted, left out of every answer from then on, and its
postings are taken out in quiet moments (`tidy_some`), or at once where something was retracted (`tidy_now`).
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from pkn_protocol.number_sets import are_among, distinct
from pkn_protocol.records.model import Item, Record
from pkn_protocol.search.believed import counted_sketch
from pkn_protocol.search.documents import length_of, tag_stems, terms_of, without_sketch
from pkn_protocol.text.sketch import BadSketch, Sketch
from pkn_protocol.text.sketches import Entries, decode_sketches
from pknd.search import recent, runs
from pknd.search.changes import count_change
from pknd.search.lists import PostingList
from pknd.search.postings import (
    Postings,
    Sketched,
    Terms,
    Words,
    are_public,
    documents_of,
    joined,
    postings_of,
    postings_of_sketches,
)
from pknd.store.doubted import doubted_among
from pknd.store.rows import insert_rows, select_in

_Head: TypeAlias = tuple[int, int, bool, str]
"""A row of `document`: number, length in stems, whether it is public, language tag."""


@dataclass(frozen=True, slots=True)
class NewDocument:
    """A record to be found by its terms; `sketch` is its own, decoded, where that is at hand."""

    rowid: int
    record: Record
    public: bool
    sketch: Sketch | None = None


def add_document(
    db: sqlite3.Connection, rowid: int, record: Record, *, public: bool, sketch: Sketch | None = None
) -> None:
    """Make a record findable, in the caller's transaction."""
    add_documents(db, [NewDocument(rowid, record, public, sketch)])


def add_documents(db: sqlite3.Connection, documents: Sequence[NewDocument]) -> None:
    """Make many records findable, in the caller's transaction; by their sketches where they are believed."""
    doubted = doubted_among(db, {one.record.author for one in documents})
    # Those that are not at hand are decoded together, which is quicker than one by one.
    undecoded = [one for one in documents if one.sketch is None and one.record.author not in doubted]
    sketched, decoded = _sketched(undecoded)
    by_sketch = {one.doc: one for one in sketched if one is not None}
    heads: list[_Head] = []
    others: list[Terms] = []
    for one in documents:
        lang = getattr(one.record.body, "lang", None) or ""
        found = by_sketch.get(one.rowid)
        if found is not None:
            heads.append((one.rowid, found.length, one.public, lang))
            continue
        if one.record.author in doubted:
            terms = terms_of(without_sketch(one.record))
        else:
            terms = terms_of(one.record, one.sketch)
        others.append(Terms(one.rowid, terms.classes, terms.length, one.public))
        heads.append((one.rowid, terms.length, one.public, lang))
    _add(db, heads, joined([postings_of_sketches(sketched, decoded), postings_of(others)]))


def _sketched(documents: Sequence[NewDocument]) -> tuple[list[Sketched | None], Entries]:
    """Those documents that are found by their sketch; None: its bytes are none, or hold no stem."""
    held = [
        (one, one.record.body, sketch)
        for one in documents
        if isinstance(one.record.body, Item) and (sketch := counted_sketch(one.record.body)) is not None
    ]
    decoded = decode_sketches([sketch for _, _, sketch in held])
    found: list[Sketched | None] = []
    for (one, item, _), length in zip(held, decoded.lengths, strict=True):
        if isinstance(length, BadSketch) or length == 0:
            found.append(None)
        else:
            extra = tag_stems(item)
            found.append(Sketched(one.rowid, length_of(length, extra), one.public, extra))
    return found, decoded.entries


def add_terms(db: sqlite3.Connection, documents: Sequence[Terms], langs: Sequence[str]) -> None:
    """Make documents findable by their terms; `langs` are their language tags."""
    heads = [(one.doc, one.length, one.public, lang) for one, lang in zip(documents, langs, strict=True)]
    _add(db, heads, postings_of(documents))


def _add(db: sqlite3.Connection, heads: Sequence[_Head], postings: Postings) -> None:
    if not heads:
        return
    _clear(db, [doc for doc, *_ in heads])
    insert_rows(db, "INSERT INTO document (doc, length, public, lang)", 4, heads)
    changes: dict[tuple[bool, str], tuple[int, int]] = defaultdict(lambda: (0, 0))
    for _, size, public, lang in heads:
        count, length = changes[(public, lang)]
        changes[(public, lang)] = count + 1, length + size
    for (public, lang), (count, length) in changes.items():
        _change_total(db, public, lang, count, length)
    recent.put(db, postings)
    count_change(db)


def remove_document(db: sqlite3.Connection, rowid: int) -> None:
    """Make a record unfindable; nothing happens if it was no document."""
    row = db.execute("DELETE FROM document WHERE doc = ? RETURNING length, public, lang", (rowid,)).fetchone()
    if row is not None:
        length, public, lang = row
        _change_total(db, bool(public), lang, -1, -length)
        db.execute("INSERT OR IGNORE INTO forgotten_document (doc) VALUES (?)", (rowid,))
        count_change(db)


def is_tidy(db: sqlite3.Connection) -> bool:
    """Whether nothing is left to do for `tidy_some`."""
    forgotten = db.execute("SELECT 1 FROM forgotten_document LIMIT 1").fetchone() is not None
    return not (forgotten or runs.is_merge_due(db))


def tidy_some(db: sqlite3.Connection) -> None:
    """Some tens of milliseconds of work: a step of a merge, or taking out what was forgotten."""
    gone = forgotten(db)
    if runs.is_merge_due(db):
        runs.merge_some(db, gone)
    else:
        tidy_now(db)


def tidy_now(db: sqlite3.Connection) -> None:
    """Take out all postings of documents that are no more."""
    _drop(db, forgotten(db))


def forgotten(db: sqlite3.Connection) -> set[int]:
    """Documents that are no more, of which there may still be postings."""
    return {doc for (doc,) in db.execute("SELECT doc FROM forgotten_document")}


@dataclass(frozen=True, slots=True)
class Totals:
    """What scores are computed against: how many documents, and their mean length in stems."""

    documents: int
    mean_length: float


def collection(db: sqlite3.Connection, *, public_only: bool) -> Totals:
    """The whole collection, or the part of it whose summaries are public."""
    condition = " WHERE public" if public_only else ""
    count, length = db.execute(
        f"SELECT coalesce(sum(documents), 0), coalesce(sum(length), 0) FROM document_total{condition}"  # noqa: S608
    ).fetchone()
    return Totals(count, length / count if length else 1.0)


def languages(db: sqlite3.Connection) -> set[str]:
    """The languages of the documents."""
    return {lang for (lang,) in db.execute("SELECT lang FROM document_total WHERE lang <> ''")}


def query_languages(db: sqlite3.Connection, default: str) -> set[str]:
    """In which the words of a query are read: the documents', and that of texts which do not say theirs."""
    return {*languages(db), default}


class IndexReader:
    """What one query reads, in one snapshot: recent postings and the list of runs are read once."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._recent = recent.all_of(db)
        self._runs = runs.runs(db)
        self._known: dict[int, PostingList] = {}
        self.forgotten = forgotten(db)
        """Documents that are no more, of which there may still be postings."""

    def list_of(self, stem: int) -> PostingList:
        """Where the postings of a stem are; they are not read yet."""
        # Asked twice of each stem of a query: for its frequency and for its postings.
        known = self._known.get(stem)
        if known is None:
            parts = [found for part in self._recent if len((found := part.of(stem))[0])]
            places = (runs.place_of(self._db, run, stem) for run in self._runs)
            known = PostingList(self._db, parts, [place for place in places if place is not None])
            self._known[stem] = known
        return known

    @property
    def read(self) -> int:
        """How many postings of runs were read so far."""
        return sum(one.read for one in self._known.values())

    def last_document(self) -> int:
        """No posting is of a later one; -1 where there is none at all."""
        [last] = self._db.execute("SELECT max(doc) FROM document").fetchone()
        return max(-1 if last is None else int(last), max(self.forgotten, default=-1))

    def frequency(self, stems: Iterable[int], *, public_only: bool) -> int:
        """How many documents have at least one of the stems."""
        lists = sorted(map(self.list_of, stems), key=len)
        if not lists:
            return 0
        # The longest is counted, not read: only whether it has what the others have is looked up.
        longest = lists.pop()
        if not lists and not self.forgotten:
            return longest.public if public_only else len(longest)
        gone = np.array(sorted(self.forgotten), np.uint32)
        others = _documents([entries for one in lists for entries in one.entries()], public_only)
        others = others[~are_among(others, gone)]
        held, entries = longest.among(gone)
        stale = int((are_public(entries[held]) if public_only else held).sum())
        both, _ = longest.among(others)
        return (longest.public if public_only else len(longest)) - stale + len(others) - int(both.sum())

    def public_documents(self, stems: Iterable[int]) -> Words:
        """The public documents that have at least one of the stems."""
        parts = [entries for stem in stems for entries in self.list_of(stem).entries()]
        docs = _documents(parts, public_only=True)
        return docs[~are_among(docs, np.array(list(self.forgotten), np.uint32))]

    def counts(self, stems: Words) -> NDArray[np.int64]:
        """How many documents have each of many stems, which ascend; those that are no more count still."""
        found = np.zeros(len(stems), np.int64)
        for part in self._recent:
            found += np.searchsorted(part.stems, stems, "right") - np.searchsorted(part.stems, stems)
        for run in self._runs:
            found += runs.counts_of(self._db, run, stems)
        return found


def _documents(parts: Sequence[Words], public_only: bool) -> Words:
    """The documents of some entries, each once."""
    if not parts:
        return np.zeros(0, np.uint32)
    entries = np.concatenate(parts)
    return distinct(documents_of(entries[are_public(entries)] if public_only else entries))


def languages_of(db: sqlite3.Connection, docs: Collection[int]) -> dict[int, str]:
    """The language tags of documents."""
    return dict(select_in(db, "SELECT doc, lang FROM document WHERE doc IN", list(docs)))  # type: ignore[arg-type]


def _clear(db: sqlite3.Connection, rowids: Sequence[int]) -> None:
    """What was a document before must not be found twice."""
    for (doc,) in list(select_in(db, "SELECT doc FROM document WHERE doc IN", rowids)):
        remove_document(db, doc)  # type: ignore[arg-type]
    stale = {doc for (doc,) in select_in(db, "SELECT doc FROM forgotten_document WHERE doc IN", rowids)}
    if stale:
        _drop(db, stale)  # type: ignore[arg-type]


def _drop(db: sqlite3.Connection, docs: set[int]) -> None:
    if docs:
        recent.drop_documents(db, docs)
        runs.drop_documents(db, docs)
        db.executemany("DELETE FROM forgotten_document WHERE doc = ?", [(doc,) for doc in docs])


def _change_total(db: sqlite3.Connection, public: bool, lang: str, documents: int, length: int) -> None:
    db.execute(
        "INSERT INTO document_total (public, lang, documents, length) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (public, lang) DO UPDATE SET documents = documents + excluded.documents,"
        " length = length + excluded.length",
        (public, lang, documents, length),
    )
    if documents < 0:
        db.execute("DELETE FROM document_total WHERE documents <= 0")
