"""The search index: which documents have a stem, and how often (SPEC, Search).

A document is a shown head of an item; its rowid is the record's. The terms of a record are a pure function of
the record, so that an entry can be taken out again without being kept twice.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass

from pkn_protocol.records.model import Item, Record
from pkn_protocol.text.analysis import analyse
from pkn_protocol.text.sketch import BadSketch, decode_sketch

_DEFAULT_LANG = "en"


@dataclass(frozen=True, slots=True)
class Terms:
    """The stems of a document with their frequency classes (0 to 3), and its length in stems."""

    classes: dict[int, int]
    length: int


def terms_of(record: Record) -> Terms:
    """What a record is found by: its sketch, its tags, and the title where there is no sketch.

    A sketch that cannot be decoded counts as none.
    """
    item = record.body
    if not isinstance(item, Item):
        return Terms({}, 0)
    lang = item.lang or _DEFAULT_LANG
    classes: dict[int, int] = {}
    length = 0
    if item.sketch is not None:
        try:
            sketch = decode_sketch(item.sketch)
            classes, length = dict(sketch.classes), sketch.length
        except BadSketch:
            pass
    extra = [stem for tag in item.tags for stem in analyse(tag, lang)]
    if not classes:
        extra += analyse(item.title, lang)
        if item.name is not None:
            extra += analyse(item.name, lang)
    for stem in extra:
        classes.setdefault(stem, 0)
    return Terms(classes, max(length, len(extra), 1))


def add_document(db: sqlite3.Connection, rowid: int, record: Record, *, public: bool) -> None:
    terms = terms_of(record)
    db.execute(
        "INSERT OR REPLACE INTO document (doc, length, public, lang) VALUES (?, ?, ?, ?)",
        (rowid, terms.length, public, getattr(record.body, "lang", None) or ""),
    )
    db.executemany(
        "INSERT OR REPLACE INTO posting (stem, doc, class) VALUES (?, ?, ?)",
        [(stem, rowid, kind) for stem, kind in sorted(terms.classes.items())],
    )


def remove_document(db: sqlite3.Connection, rowid: int, record: Record) -> None:
    if db.execute("DELETE FROM document WHERE doc = ?", (rowid,)).rowcount:
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
    condition = " WHERE public" if public_only else ""
    count, mean = db.execute(f"SELECT count(*), avg(length) FROM document{condition}").fetchone()  # noqa: S608
    return Collection(count, mean or 1.0)


def document_frequency(db: sqlite3.Connection, stems: Iterable[int], *, public_only: bool) -> int:
    """How many documents have at least one of the stems."""
    wanted = list(stems)
    if not wanted:
        return 0
    marks = ",".join("?" * len(wanted))
    join = " JOIN document ON document.doc = posting.doc AND document.public" if public_only else ""
    row = db.execute(
        f"SELECT count(DISTINCT posting.doc) FROM posting{join} WHERE stem IN ({marks})",  # noqa: S608
        wanted,
    ).fetchone()
    return int(row[0])


def postings(db: sqlite3.Connection, stems: Iterable[int]) -> dict[int, int]:
    """Document to the highest class that one of the stems has in it."""
    found: dict[int, int] = {}
    for stem in stems:
        for doc, kind in db.execute("SELECT doc, class FROM posting WHERE stem = ?", (stem,)):
            if found.get(doc, -1) < kind:
                found[doc] = kind
    return found


def lengths(db: sqlite3.Connection, docs: Iterable[int]) -> dict[int, int]:
    """The lengths of documents, in stems."""
    wanted = list(docs)
    found: dict[int, int] = {}
    for start in range(0, len(wanted), 500):
        part = wanted[start : start + 500]
        marks = ",".join("?" * len(part))
        found.update(db.execute(f"SELECT doc, length FROM document WHERE doc IN ({marks})", part))  # noqa: S608
    return found
