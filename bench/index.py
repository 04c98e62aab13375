"""The search index against FTS5 and tantivy: 100,000 summaries of 60 stems, queries of 3 to 8 words, top 10.

Texts are made: words drawn by Zipf's law from 200,000, so that each summary has 60 different ones; those of
the queries are drawn alike, without the 50 most frequent (stop words). All three indexes are asked the same
queries in one process, with warm caches.
"""

from __future__ import annotations

import os
import random
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import tantivy

from bench.report import Figure
from pkn_protocol.search.query import Query, Term
from pkn_protocol.text.sketch import length_code, length_of_code
from pknd.search import index, runs
from pknd.search.index import IndexReader, add_terms
from pknd.search.local import statistics_of
from pknd.search.postings import Terms
from pknd.search.scores import Matches
from pknd.store.database import open_database, open_reader

DOCUMENTS = 100_000
MANY = 1_000_000
STEMS = 60
VOCABULARY = 200_000
QUERIES = 300
TOP = 10
BATCH = 500
LIMIT = 0.4
LIMIT_OF_MANY = 12.0
_STOP_WORDS = 50
_CLASS_COUNT = (1, 2, 3, 5)
Document = dict[int, int]
"""Frequency class by word."""


def run() -> list[Figure]:
    queries = _queries()
    with TemporaryDirectory(prefix="pkn-bench-") as temporary:
        folder = Path(temporary)
        built = time.perf_counter()
        own = folder / "own.db"
        _build(own, DOCUMENTS)
        built = time.perf_counter() - built
        _build_fts(folder / "fts.db")
        searcher = _build_tantivy(folder / "tantivy")
        fts = sqlite3.connect(folder / "fts.db")
        reader = open_reader(own)
        ours, theirs, others = _timed(
            queries,
            lambda words: _ask(reader, words),
            lambda words: _ask_fts(fts, words),
            searcher,
        )
        sizes = [_size(own), _size(folder / "fts.db"), _size(folder / "tantivy")]
        fts.close()
        many = folder / "many.db"
        began = time.perf_counter()
        _build(many, MANY)
        built_many = time.perf_counter() - began
        reader_of_many = open_reader(many)
        # In turns, so that both find the machine alike.
        of_some, of_many = _timed(
            queries, lambda words: _ask(reader, words), lambda words: _ask(reader_of_many, words)
        )
        reader_of_many.close()
        reader.close()
        size_of_many = _size(many)
        grown = [_memory_of(path) for path in (own, many)]
    return [
        _ratio("p50 of 100,000, by FTS5", ours, theirs, 50, LIMIT),
        _ratio("p99 of 100,000, by FTS5", ours, theirs, 99, LIMIT),
        _ratio("p50 of 1,000,000, by that of 100,000", of_many, of_some, 50, LIMIT_OF_MANY),
        _ratio("p99 of 1,000,000, by that of 100,000", of_many, of_some, 99, LIMIT_OF_MANY),
        _ratio("p50 of 100,000, by tantivy", ours, others, 50, None),
        _ratio("p99 of 100,000, by tantivy", ours, others, 99, None),
        *(
            Figure(f"{name} p{part}", float(np.percentile(found, part)), "ms")
            for name, found in (
                ("own", ours),
                ("FTS5", theirs),
                ("tantivy", others),
                ("own, 1,000,000", of_many),
            )
            for part in (50, 99)
        ),
        Figure("own on disk", sizes[0], "MB"),
        Figure("FTS5 on disk", sizes[1], "MB"),
        Figure("tantivy on disk", sizes[2], "MB"),
        Figure("own on disk, 1,000,000", size_of_many, "MB"),
        Figure("memory that 100,000 take while asked", grown[0], "MiB"),
        Figure("memory that 1,000,000 take while asked", grown[1], "MiB"),
        Figure("documents indexed, on disk", DOCUMENTS / built, "1/s"),
        Figure("documents indexed, of 1,000,000", MANY / built_many, "1/s"),
    ]


def _documents(count: int) -> Iterator[Document]:
    chance = np.random.default_rng(1)
    ranks = np.arange(1, VOCABULARY + 1)
    bounds = np.cumsum(1 / (ranks + 2.7))
    bounds /= bounds[-1]
    for _ in range(0, count, 1000):
        drawn = np.searchsorted(bounds, chance.random((1000, 3 * STEMS)))
        for row in drawn:
            words, counts = np.unique(row, return_counts=True)
            kept = chance.permutation(len(words))[:STEMS]
            yield dict(zip(words[kept].tolist(), np.minimum(counts[kept], 4).tolist(), strict=True))


def _queries() -> list[list[int]]:
    chance = random.Random(2)
    words = [word for one in islice(_documents(2000), 2000) for word in one if word >= _STOP_WORDS]
    return [chance.sample(words, chance.randrange(3, 9)) for _ in range(QUERIES)]


def _build(path: Path, count: int) -> None:
    db = open_database(path)
    length = length_of_code(length_code(3 * STEMS))
    batch: list[Terms] = []
    for number, one in enumerate(_documents(count), 1):
        # Words of numbers in sequence stand for hashes: spread as those are.
        classes = {word * 7_919 % (1 << 24): kind - 1 for word, kind in one.items()}
        batch.append(Terms(number, classes, length, True))
        if len(batch) == BATCH:
            _add(db, batch)
            batch = []
    while not index.is_tidy(db):
        with db:
            db.execute("BEGIN IMMEDIATE")
            index.tidy_some(db)
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    db.close()


def _add(db: sqlite3.Connection, batch: Sequence[Terms]) -> None:
    with db:
        db.execute("BEGIN IMMEDIATE")
        add_terms(db, batch, ["en"] * len(batch))
    # What the daemon does when it is idle; here it never is, and large steps would count as building too.
    if runs.is_merge_due(db):
        with db:
            db.execute("BEGIN IMMEDIATE")
            index.tidy_some(db)


def _text(one: Document) -> str:
    return " ".join(f"w{word}" for word, kind in one.items() for _ in range(_CLASS_COUNT[kind - 1]))


def _build_fts(path: Path) -> None:
    db = sqlite3.connect(path)
    db.execute("CREATE VIRTUAL TABLE found USING fts5(text, content='')")
    with db:
        db.executemany(
            "INSERT INTO found (rowid, text) VALUES (?, ?)",
            ((number, _text(one)) for number, one in enumerate(_documents(DOCUMENTS), 1)),
        )
    db.execute("INSERT INTO found (found) VALUES ('optimize')")
    db.commit()
    db.close()


def _build_tantivy(folder: Path) -> Callable[[list[int]], object]:
    folder.mkdir()
    schema = (
        tantivy.SchemaBuilder()
        .add_text_field("text", stored=False)
        .add_integer_field("number", stored=True)
        .build()
    )
    held = tantivy.Index(schema, path=str(folder))
    writer = held.writer(heap_size=200_000_000, num_threads=1)
    for number, one in enumerate(_documents(DOCUMENTS), 1):
        writer.add_document(tantivy.Document(text=_text(one), number=number))
    writer.commit()
    writer.wait_merging_threads()
    held.reload()
    searcher = held.searcher()

    def ask(words: list[int]) -> object:
        query = held.parse_query(" ".join(f"w{word}" for word in words), ["text"])
        return searcher.search(query, TOP).hits

    return ask


def _ask(db: sqlite3.Connection, words: Sequence[int]) -> object:
    terms = tuple(Term(f"w{word}", frozenset({word * 7_919 % (1 << 24)})) for word in words)
    query = Query("", terms, (), (), ())
    with db:
        db.execute("BEGIN")
        held = IndexReader(db)
        return list(islice(Matches(db, query, statistics_of(db, query, held), held), TOP))


def _ask_fts(db: sqlite3.Connection, words: Sequence[int]) -> object:
    asked = " OR ".join(f"w{word}" for word in words)
    statement = "SELECT rowid, bm25(found) AS score FROM found WHERE found MATCH ? ORDER BY score LIMIT ?"
    return db.execute(statement, (asked, TOP)).fetchall()


def _timed(queries: Sequence[list[int]], *ways: Callable[[list[int]], object]) -> list[list[float]]:
    """Milliseconds of each query, in each way; all are asked once before, to warm caches."""
    found: list[list[float]] = [[] for _ in ways]
    for way in ways:
        for words in queries:
            way(words)
    for words in queries:
        for times, way in zip(found, ways, strict=True):
            began = time.perf_counter()
            way(words)
            times.append((time.perf_counter() - began) * 1000)
    return found


def _ratio(
    name: str, ours: Sequence[float], theirs: Sequence[float], part: int, limit: float | None
) -> Figure:
    return Figure(name, float(np.percentile(ours, part) / np.percentile(theirs, part)), "×", limit)


def _size(path: Path) -> float:
    files = [path] if path.is_file() else [one for one in path.rglob("*") if one.is_file()]
    return sum(os.path.getsize(one) for one in files) / 1e6  # noqa: PTH202


def _memory_of(path: Path) -> float:
    """What asking takes at most, in MiB: of a process of its own, which has not built anything."""
    with get_context("spawn").Pool(1) as pool:
        return pool.apply(_asking_takes, (path,))


def _asking_takes(path: Path) -> float:
    queries = _queries()
    status = Path("/proc/self/status")
    if not status.exists():
        return float("nan")
    # The peak begins anew; getrusage's stays that of the process which started this one.
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    before = _kib(status, "VmRSS")
    reader = open_reader(path)
    for words in queries:
        _ask(reader, words)
    reader.close()
    return (_kib(status, "VmHWM") - before) / 1024


def _kib(status: Path, name: str) -> int:
    line = next(line for line in status.read_text("ascii").splitlines() if line.startswith(f"{name}:"))
    return int(line.split()[1])
