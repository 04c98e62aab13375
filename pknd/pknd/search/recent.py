"""Postings of the newest documents, before they are sorted into a run (SPEC, On disk, Postings).

What is written together is one row. Rows are joined by the dozen, and when they hold enough documents they
become a run. A query reads all of them.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import numpy as np

from pkn_protocol.number_sets import are_among
from pknd.search.postings import Postings, blob_of, codes_of, joined, words_of
from pknd.search.runs import write_run

MOST_ROWS = 64
"""Rows are joined when there are so many."""
MOST_POSTINGS = 128 * 1024
"""Recent postings, some 2,000 documents: what a query can look through in a fraction of a millisecond."""


def put(db: sqlite3.Connection, postings: Postings) -> None:
    """Keep sorted postings of new documents."""
    if len(postings) >= MOST_POSTINGS:
        write_run(db, postings, level=0)
        return
    _insert(db, postings)
    rows, held = db.execute("SELECT count(*), coalesce(sum(count), 0) FROM recent_posting").fetchone()
    if held >= MOST_POSTINGS:
        write_run(db, _take_all(db), level=0)
    elif rows >= MOST_ROWS:
        _insert(db, _take_all(db))


def all_of(db: sqlite3.Connection) -> list[Postings]:
    """Everything that is in no run yet."""
    return [
        Postings(words_of(stems), words_of(entries), codes_of(codes))
        for stems, entries, codes in db.execute("SELECT stems, entries, codes FROM recent_posting")
    ]


def drop_documents(db: sqlite3.Connection, docs: set[int]) -> None:
    """Take the postings of documents out."""
    gone = np.array(sorted(docs), np.uint32)
    for rowid, postings in list(_rows(db)):
        kept = ~are_among(postings.docs, gone)
        if kept.all():
            continue
        db.execute("DELETE FROM recent_posting WHERE rowid = ?", (rowid,))
        if kept.any():
            _insert(db, postings.where(kept))


def _rows(db: sqlite3.Connection) -> Iterator[tuple[int, Postings]]:
    for rowid, stems, entries, codes in db.execute("SELECT rowid, stems, entries, codes FROM recent_posting"):
        yield rowid, Postings(words_of(stems), words_of(entries), codes_of(codes))


def _take_all(db: sqlite3.Connection) -> Postings:
    together = joined(all_of(db))
    db.execute("DELETE FROM recent_posting")
    return together


def _insert(db: sqlite3.Connection, postings: Postings) -> None:
    if len(postings):
        db.execute(
            "INSERT INTO recent_posting (count, stems, entries, codes) VALUES (?, ?, ?, ?)",
            (
                len(postings),
                blob_of(postings.stems),
                blob_of(postings.entries),
                postings.codes.tobytes(),
            ),
        )
