"""The search index: which documents have a stem, and how often (SPEC, Search).

A document is a shown head of an item; its rowid is the record's. The terms of a record are a pure function of
the record, so that an entry can be taken out again without being kept twice.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pkn_protocol.records.model import Record
from pkn_protocol.search.documents import Terms as Terms
from pkn_protocol.search.documents import terms_of as terms_of
from pkn_protocol.text.sketch import Sketch
from pknd.search import recent
from pknd.store.rows import insert_rows

_PARAMETERS = 500
"""In one statement; SQLite's own limit is higher."""


def add_document(
    db: sqlite3.Connection, rowid: int, record: Record, *, public: bool, sketch: Sketch | None = None
) -> None:
    """Make a record findable, in the caller's transaction; `sketch` is its own, where that is at hand."""
    terms = terms_of(record, sketch)
    db.execute(
        "INSERT OR REPLACE INTO document (doc, length, public, lang) VALUES (?, ?, ?, ?)",
        (rowid, terms.length, public, getattr(record.body, "lang", None) or ""),
    )
    recent.add(db, rowid, terms.classes, public=public)


@dataclass(frozen=True, slots=True)
class NewDocument:
    """A record to be found by its terms; `sketch` is its own, decoded, where that is at hand."""

    rowid: int
    record: Record
    public: bool
    sketch: Sketch | None = None


def add_documents(db: sqlite3.Connection, documents: Sequence[NewDocument]) -> None:
    """Make many records findable, in the caller's transaction."""
    found = [(one, terms_of(one.record, one.sketch)) for one in documents]
    insert_rows(
        db,
        "INSERT OR REPLACE INTO document (doc, length, public, lang)",
        4,
        [
            (one.rowid, terms.length, one.public, getattr(one.record.body, "lang", None) or "")
            for one, terms in found
        ],
    )
    recent.add_many(db, [(one.rowid, terms.classes, one.public) for one, terms in found])


def remove_document(db: sqlite3.Connection, rowid: int, record: Record) -> None:
    """Make a record unfindable; nothing happens if it was no document."""
    if db.execute("DELETE FROM document WHERE doc = ?", (rowid,)).rowcount and not recent.remove(db, rowid):
        db.executemany(
            "DELETE FROM posting WHERE stem = ? AND doc = ?",
            [(stem, rowid) for stem in terms_of(record).classes],
        )


@dataclass(frozen=True, slots=True)
class Collection:
    """What scores are computed against: how many documents, and their mean length in stems."""

    documents: int
    mean_length: float


def collection(db: sqlite3.Connection, *, public_only: bool) -> Collection:
    """The whole collection, or the part of it whose summaries are public."""
    condition = " WHERE public" if public_only else ""
    count, mean = db.execute(f"SELECT count(*), avg(length) FROM document{condition}").fetchone()  # noqa: S608
    return Collection(count, mean or 1.0)


def document_frequency(db: sqlite3.Connection, stems: Iterable[int], *, public_only: bool) -> int:
    """How many documents have at least one of the stems."""
    wanted = list(stems)
    if not wanted:
        return 0
    marks = ",".join("?" * len(wanted))
    counted = "*" if len(wanted) == 1 else "DISTINCT posting.doc"
    join = " JOIN document ON document.doc = posting.doc AND document.public" if public_only else ""
    row = db.execute(
        f"SELECT count({counted}) FROM posting{join} WHERE stem IN ({marks})",  # noqa: S608
        wanted,
    ).fetchone()
    new = {doc for doc, _, public in recent.postings(db, wanted) if public or not public_only}
    return int(row[0]) + len(new)


def postings(db: sqlite3.Connection, stems: Iterable[int]) -> dict[int, int]:
    """Document to the highest class that one of the stems has in it."""
    wanted = list(stems)
    found: dict[int, int] = {}
    for stem in wanted:
        rows = db.execute("SELECT doc, class FROM posting WHERE stem = ?", (stem,))
        if not found:
            found = dict(rows)
            continue
        for doc, kind in rows:
            if found.get(doc, -1) < kind:
                found[doc] = kind
    for doc, kind, _ in recent.postings(db, wanted):
        if found.get(doc, -1) < kind:
            found[doc] = kind
    return found


def lengths(db: sqlite3.Connection, docs: Iterable[int]) -> dict[int, int]:
    """The lengths of documents, in stems."""
    return {doc: length for doc, length, _ in _documents(db, docs)}


def languages_of(db: sqlite3.Connection, docs: Iterable[int]) -> dict[int, str]:
    """The language tags of documents."""
    return {doc: lang for doc, _, lang in _documents(db, docs)}


def _documents(db: sqlite3.Connection, docs: Iterable[int]) -> Iterable[tuple[int, int, str]]:
    wanted = list(docs)
    for start in range(0, len(wanted), _PARAMETERS):
        part = wanted[start : start + _PARAMETERS]
        marks = ",".join("?" * len(part))
        yield from db.execute(f"SELECT doc, length, lang FROM document WHERE doc IN ({marks})", part)  # noqa: S608
