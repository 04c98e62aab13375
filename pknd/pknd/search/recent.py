"""Postings of the newest documents, before they are moved into the tree of postings (SPEC, On disk).

Inserting each posting at its place in a large tree is what costs most of storing a document, and it hardly
matters where the newest ones are. So a document's postings are first written as one sorted array, arrays are
joined by the dozen, and moved in sorted order when there is nothing else to do (the idea of log-structured
merge trees). A query looks into both.
"""

from __future__ import annotations

import json
import sqlite3
import sys
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence

JOINED_DOCUMENTS = 64
"""Arrays of one document each are joined when there are so many."""
MOST_JOINED = 32
"""Joined arrays; when there are more, the oldest is moved at once. A query reads all of them (some 30 KiB
each)."""
WORTH_JOINING = 16
"""So many documents that come together share an array from the start."""
_CLASS_BITS = 2
_PUBLIC = 1 << _CLASS_BITS
_DOC_SHIFT = _CLASS_BITS + 1
_STEM_SHIFT = 40
_DOC_MASK = (1 << _STEM_SHIFT - _DOC_SHIFT) - 1
_MOST_DOC = _DOC_MASK
_CLASS_MASK = 3


def add(db: sqlite3.Connection, doc: int, classes: Mapping[int, int], *, public: bool) -> None:
    """Postings of a new document; `classes` maps its stems to frequency classes."""
    entries = array("Q", sorted(_entries(doc, classes, public=public)))
    if _put(db, (doc, doc), entries, joined=False) % JOINED_DOCUMENTS == 0:
        _join(db)


def add_many(db: sqlite3.Connection, documents: Sequence[tuple[int, Mapping[int, int], bool]]) -> None:
    """Postings of new documents (row, classes by stem, whether public), in one array where they are many."""
    if len(documents) < WORTH_JOINING:
        for doc, classes, public in documents:
            add(db, doc, classes, public=public)
        return
    entries: list[int] = []
    for doc, classes, public in documents:
        entries += _entries(doc, classes, public=public)
    span = min(doc for doc, _, _ in documents), max(doc for doc, _, _ in documents)
    _put(db, span, array("Q", sorted(entries)), joined=True)
    _keep_few(db)


def remove(db: sqlite3.Connection, doc: int) -> bool:
    """Take a document's postings out; whether they were here."""
    rows = db.execute(
        "SELECT rowid, entries FROM recent_posting WHERE first <= ?1 AND last >= ?1", (doc,)
    ).fetchall()
    for rowid, blob in rows:
        entries = _array(blob)
        kept = array("Q", [entry for entry in entries if entry >> _DOC_SHIFT & _DOC_MASK != doc])
        if len(kept) == len(entries):
            continue
        if kept:
            db.execute("UPDATE recent_posting SET entries = ? WHERE rowid = ?", (_bytes(kept), rowid))
        else:
            db.execute("DELETE FROM recent_posting WHERE rowid = ?", (rowid,))
        return True
    return False


def postings(db: sqlite3.Connection, stems: Iterable[int]) -> Iterator[tuple[int, int, bool]]:
    """(document, class, whether public) of each posting of the stems that is still here."""
    wanted = list(stems)
    for (blob,) in db.execute("SELECT entries FROM recent_posting"):
        entries = _array(blob)
        for stem in wanted:
            place = bisect_left(entries, stem << _STEM_SHIFT)
            end = (stem + 1) << _STEM_SHIFT
            while place < len(entries) and entries[place] < end:
                entry = entries[place]
                yield entry >> _DOC_SHIFT & _DOC_MASK, entry & _CLASS_MASK, bool(entry & _PUBLIC)
                place += 1


def _entries(doc: int, classes: Mapping[int, int], *, public: bool) -> list[int]:
    if not 0 <= doc <= _MOST_DOC:
        raise ValueError(f"document {doc} is beyond what postings can name")
    low = doc << _DOC_SHIFT | (_PUBLIC if public else 0)
    return [stem << _STEM_SHIFT | low | kind for stem, kind in classes.items()]


def is_move_due(db: sqlite3.Connection) -> bool:
    return db.execute("SELECT 1 FROM recent_posting LIMIT 1").fetchone() is not None


def move_some(db: sqlite3.Connection) -> bool:
    """Move the oldest array into the tree, the single ones joined first; whether more are left."""
    if db.execute("SELECT 1 FROM recent_posting WHERE joined LIMIT 1").fetchone() is None:
        _join(db)
    _move_oldest(db)
    return is_move_due(db)


def _join(db: sqlite3.Connection) -> None:
    rows = db.execute("SELECT first, last, entries FROM recent_posting WHERE NOT joined").fetchall()
    if not rows:
        return
    entries = array("Q")
    for _, _, blob in rows:
        entries.extend(_array(blob))
    db.execute("DELETE FROM recent_posting WHERE NOT joined")
    span = min(first for first, _, _ in rows), max(last for _, last, _ in rows)
    _put(db, span, array("Q", sorted(entries)), joined=True)
    _keep_few(db)


def _keep_few(db: sqlite3.Connection) -> None:
    if db.execute("SELECT count(*) FROM recent_posting WHERE joined").fetchone()[0] > MOST_JOINED:
        _move_oldest(db)


def _move_oldest(db: sqlite3.Connection) -> None:
    row = db.execute("SELECT min(rowid), entries FROM recent_posting WHERE joined").fetchone()
    if row[0] is None:
        return
    packed = [
        [entry >> _STEM_SHIFT, entry >> _DOC_SHIFT & _DOC_MASK, entry & _CLASS_MASK]
        for entry in _array(row[1])
    ]
    # One statement for all: between the steps of `executemany` other threads take their turns, and with a
    # busy one each row would wait for it.
    db.execute(
        "INSERT OR REPLACE INTO posting (stem, doc, class) SELECT json_extract(value, '$[0]'),"
        " json_extract(value, '$[1]'), json_extract(value, '$[2]') FROM json_each(?)",
        (json.dumps(packed),),
    )
    db.execute("DELETE FROM recent_posting WHERE rowid = ?", (row[0],))


def _put(db: sqlite3.Connection, span: tuple[int, int], entries: array[int], *, joined: bool) -> int:
    """The row, which is one more than the greatest there is."""
    cursor = db.execute(
        "INSERT INTO recent_posting (first, last, joined, entries) VALUES (?, ?, ?, ?)",
        (*span, joined, _bytes(entries)),
    )
    return cursor.lastrowid or 0


def _array(blob: bytes) -> array[int]:
    entries = array("Q")
    entries.frombytes(blob)
    if sys.byteorder == "big":
        entries.byteswap()
    return entries


def _bytes(entries: array[int]) -> bytes:
    if sys.byteorder == "big":
        entries = array("Q", entries)
        entries.byteswap()
    return entries.tobytes()
