"""Runs of postings: immutable, sorted, cut into chunks by stem, merged little by little (SPEC, On disk).

The idea is that of log-structured merge trees (O'Neil and others, 1996): new postings are written as they
come, and sorted into larger and larger runs when there is nothing else to do. A merge goes on stem by stem:
what it has written into the new run it deletes from the old ones in the same transaction, so that at any
moment each posting is in exactly one run and a query need not know that a merge is going on.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from pkn_protocol.number_sets import are_among, distinct
from pknd.search.postings import (
    Codes,
    Postings,
    Words,
    are_public,
    blob_of,
    codes_of,
    joined,
    words_of,
)

CHUNK_POSTINGS = 8192
"""In a chunk, more only where one stem has more: some 40 KiB, what a rare word costs to read at most."""
FAN_IN = 4
"""So many runs of a level are merged into one of the next."""
STEP_POSTINGS = 256 * 1024
"""Merged in one transaction: some tens of milliseconds."""
_MOST_STEM = 1 << 24


@dataclass(frozen=True, slots=True)
class _Chunk:
    rowid: int
    run: int
    first: int
    last: int
    count: int


def write_run(db: sqlite3.Connection, postings: Postings, *, level: int) -> int:
    """A new run of sorted postings; its number."""
    number = _new_run(db, level)
    _write_chunks(db, number, postings)
    return number


def runs(db: sqlite3.Connection) -> list[int]:
    return [run for (run,) in db.execute("SELECT run FROM posting_run")]


@dataclass(frozen=True, slots=True)
class Place:
    """Where the postings of one stem lie in a chunk, and how many of them are of public documents."""

    chunk: int
    start: int
    end: int
    public: int

    def read(self, db: sqlite3.Connection) -> tuple[Words, Codes]:
        """The entries and length codes; of the chunk only this part is read."""
        with db.blobopen("posting", "entries", self.chunk, readonly=True) as blob:
            blob.seek(4 * self.start)
            entries = words_of(blob.read(4 * (self.end - self.start)))
        with db.blobopen("posting", "codes", self.chunk, readonly=True) as blob:
            blob.seek(self.start)
            codes = codes_of(blob.read(self.end - self.start))
        return entries, codes


def place_of(db: sqlite3.Connection, run: int, stem: int) -> Place | None:
    """Where a stem's postings are in a run; None where there are none. They themselves are not read."""
    row = db.execute(
        "SELECT rowid, last, stems, ends, publics FROM posting WHERE run = ? AND first <= ?"
        " ORDER BY first DESC LIMIT 1",
        (run, stem),
    ).fetchone()
    if row is None or row[1] < stem:
        return None
    stems = words_of(row[2])
    place = int(stems.searchsorted(np.uint32(stem)))
    if place >= len(stems) or stems[place] != stem:
        return None
    ends = words_of(row[3])
    return Place(row[0], int(ends[place - 1]) if place else 0, int(ends[place]), int(words_of(row[4])[place]))


def counts_of(db: sqlite3.Connection, run: int, stems: Words) -> NDArray[np.int64]:
    """How many postings a run has of each of many stems, which ascend: each chunk is looked at once."""
    found = np.zeros(len(stems), np.int64)
    place = 0
    while place < len(stems):
        row = db.execute(
            "SELECT last, stems, ends FROM posting WHERE run = ? AND first <= ? ORDER BY first DESC LIMIT 1",
            (run, int(stems[place])),
        ).fetchone()
        if row is None or row[0] < stems[place]:
            place += 1
            continue
        end = int(np.searchsorted(stems, np.uint32(row[0]), "right"))
        held, counts = words_of(row[1]), np.diff(words_of(row[2]), prepend=np.uint32(0))
        where = np.minimum(np.searchsorted(held, stems[place:end]), len(held) - 1)
        found[place:end] = np.where(held[where] == stems[place:end], counts[where], 0)
        place = end
    return found


def is_merge_due(db: sqlite3.Connection) -> bool:
    return _merging(db) is not None or _crowded_level(db) is not None


def merge_some(db: sqlite3.Connection, forgotten: Collection[int]) -> None:
    """Go on with a merge, or begin one where a level is crowded; what is forgotten is left out."""
    merging, crowded = _merging(db), _crowded_level(db)
    if merging is None and crowded is None:
        return
    # Small merges do not wait for a large one.
    if crowded is not None and (merging is None or crowded < merging[0]):
        target = _new_run(db, crowded + 1)
        db.execute(
            "UPDATE posting_run SET target = ? WHERE run IN (SELECT run FROM posting_run WHERE level = ?"
            " AND target IS NULL ORDER BY run LIMIT ?)",
            (target, crowded, FAN_IN),
        )
    elif merging is not None:
        target = merging[1]
    _merge_step(db, target, forgotten)


def drop_documents(db: sqlite3.Connection, docs: Collection[int]) -> None:
    """Take the postings of documents out of all runs: one pass over all chunks, however many they are."""
    gone = np.array(sorted(docs), np.uint32)
    for chunk in _chunks(db, "1", ()):
        postings = _read(db, chunk)
        kept = ~are_among(postings.docs, gone)
        if not kept.all():
            db.execute("DELETE FROM posting WHERE rowid = ?", (chunk.rowid,))
            _write_chunks(db, chunk.run, postings.where(kept))


def _new_run(db: sqlite3.Connection, level: int) -> int:
    cursor = db.execute("INSERT INTO posting_run (level) VALUES (?)", (level,))
    return cursor.lastrowid or 0


def _merging(db: sqlite3.Connection) -> tuple[int, int] | None:
    """The lowest level that is being merged, and into which run."""
    row = db.execute(
        "SELECT level, target FROM posting_run WHERE target IS NOT NULL ORDER BY level LIMIT 1"
    ).fetchone()
    return None if row is None else (int(row[0]), int(row[1]))


def _crowded_level(db: sqlite3.Connection) -> int | None:
    row = db.execute(
        "SELECT level FROM posting_run WHERE target IS NULL GROUP BY level HAVING count(*) >= ?"
        " ORDER BY level LIMIT 1",
        (FAN_IN,),
    ).fetchone()
    return None if row is None else int(row[0])


def _merge_step(db: sqlite3.Connection, target: int, forgotten: Collection[int]) -> None:
    taken, limit = _next_chunks(db, target)
    parts = [_read(db, chunk) for chunk in taken]
    db.executemany("DELETE FROM posting WHERE rowid = ?", [(chunk.rowid,) for chunk in taken])
    for chunk, part in zip(taken, parts, strict=True):
        if chunk.last >= limit:
            _write_chunks(db, chunk.run, part.where(part.stems >= limit))
    merged = joined(part.where(part.stems < limit) for part in parts)
    if forgotten:
        merged = merged.where(~are_among(merged.docs, np.array(list(forgotten), np.uint32)))
    _write_chunks(db, target, merged)
    if limit == _MOST_STEM:
        db.execute("DELETE FROM posting_run WHERE target = ?", (target,))


def _next_chunks(db: sqlite3.Connection, target: int) -> tuple[list[_Chunk], int]:
    """The chunks that a step begins with, and the stem at which it ends."""
    taken: list[_Chunk] = []
    size = 0
    for chunk in _chunks(db, "run IN (SELECT run FROM posting_run WHERE target = ?)", (target,)):
        if size >= STEP_POSTINGS and chunk.first > taken[-1].first:
            return taken, chunk.first
        taken.append(chunk)
        size += chunk.count
    return taken, _MOST_STEM


def _chunks(db: sqlite3.Connection, condition: str, values: Sequence[object]) -> Iterator[_Chunk]:
    for row in db.execute(
        f"SELECT rowid, run, first, last, count FROM posting WHERE {condition} ORDER BY first, run",  # noqa: S608
        values,
    ).fetchall():
        yield _Chunk(*row)


def _read(db: sqlite3.Connection, chunk: _Chunk) -> Postings:
    stems, ends, entries, codes = db.execute(
        "SELECT stems, ends, entries, codes FROM posting WHERE rowid = ?", (chunk.rowid,)
    ).fetchone()
    counts = np.diff(words_of(ends), prepend=np.uint32(0))
    return Postings(np.repeat(words_of(stems), counts), words_of(entries), codes_of(codes))


def _write_chunks(db: sqlite3.Connection, run: int, postings: Postings) -> None:
    if not len(postings):
        return
    # Where stems begin; a chunk ends at the first beginning after its size is reached.
    begins = _begins(postings.stems)
    wanted = np.arange(CHUNK_POSTINGS, len(postings), CHUNK_POSTINGS)
    cuts = distinct(begins[np.minimum(np.searchsorted(begins, wanted), len(begins) - 1)])
    bounds = [0, *(int(cut) for cut in cuts if cut > 0), len(postings)]
    for start, end in pairwise(bounds):
        _write_chunk(db, run, postings, start, end)


def _begins(stems: Words) -> NDArray[np.intp]:
    """Where stems begin in ascending ones."""
    return np.flatnonzero(np.diff(stems, prepend=np.uint32(_MOST_STEM)))


def _write_chunk(db: sqlite3.Connection, run: int, postings: Postings, start: int, end: int) -> None:
    stems, entries = postings.stems[start:end], postings.entries[start:end]
    begins = _begins(stems)
    held = stems[begins]
    ends = np.append(begins[1:], len(stems)).astype(np.uint32)
    before = np.concatenate((np.zeros(1, np.uint32), np.cumsum(are_public(entries), dtype=np.uint32)))
    publics: NDArray[np.uint32] = before[ends] - before[begins]
    db.execute(
        "INSERT INTO posting (run, first, last, count, stems, ends, publics, codes, entries)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            run,
            int(held[0]),
            int(held[-1]),
            len(stems),
            blob_of(held),
            blob_of(ends),
            blob_of(publics),
            postings.codes[start:end].tobytes(),
            blob_of(entries),
        ),
    )
