"""How near answers from sketches come to a central index of full texts, and how fast they are."""

from __future__ import annotations

import json
import math
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter

import pytest

from pkn_protocol.records.ids import Cid
from pkn_protocol.records.model import Item
from pkn_protocol.search.query import parse_query
from pkn_protocol.text.analysis import analyse
from pkn_protocol.text.sketch import make_sketch
from pknd.search.local import local_query, statistics_of
from pknd.store.ingest import ingest
from pknd.store.records import Filter
from tests.pknd.store.people import NOW, Person

FOLDER = Path(__file__).resolve().parents[4] / "shared" / "data" / "cran"
K1, B = 1.2, 0.75


@dataclass(frozen=True)
class Collection:
    documents: Mapping[str, str]
    queries: Mapping[str, str]
    grades: Mapping[str, Mapping[str, int]]


def collection() -> Collection:
    lines = (FOLDER / "docs.jsonl").read_text(encoding="utf-8").splitlines()
    documents = {d["id"]: f"{d['title']}\n{d['text']}" for d in map(json.loads, lines)}
    asked = (FOLDER / "queries.jsonl").read_text(encoding="utf-8").splitlines()
    grades: dict[str, dict[str, int]] = defaultdict(dict)
    for line in (FOLDER / "qrels.tsv").read_text(encoding="utf-8").splitlines():
        query, document, grade = line.split()
        grades[query][document] = int(grade)
    return Collection(documents, {q["id"]: q["text"] for q in map(json.loads, asked)}, grades)


def ndcg(ranked: Sequence[str], grades: Mapping[str, int]) -> float:
    """Normalised discounted cumulative gain of the first ten (Järvelin and Kekäläinen 2002)."""
    gain = sum((2 ** grades.get(d, 0) - 1) / math.log2(n + 2) for n, d in enumerate(ranked[:10]))
    best = sorted(grades.values(), reverse=True)[:10]
    most = sum((2**grade - 1) / math.log2(n + 2) for n, grade in enumerate(best))
    return gain / most if most else 0.0


def central(held: Collection) -> float:
    """The mean nDCG@10 of BM25 over all full texts in one place, with exact frequencies."""
    frequencies = {d: Counter(analyse(text, "en")) for d, text in held.documents.items()}
    lengths = {d: sum(counts.values()) or 1 for d, counts in frequencies.items()}
    mean = sum(lengths.values()) / len(lengths)
    inverted: dict[int, list[tuple[str, int]]] = defaultdict(list)
    for document, counts in frequencies.items():
        for stem, count in counts.items():
            inverted[stem].append((document, count))
    results = []
    for number, text in held.queries.items():
        scores: Counter[str] = Counter()
        for stem, times in Counter(analyse(text, "en")).items():
            found = inverted.get(stem, [])
            weight = math.log(1 + (len(lengths) - len(found) + 0.5) / (len(found) + 0.5))
            for document, count in found:
                norm = K1 * (1 - B + B * lengths[document] / mean)
                scores[document] += times * weight * count * (K1 + 1) / (count + norm)  # type: ignore[assignment]
        ranked = sorted(scores, key=lambda d: (-scores[d], d))
        results.append(ndcg(ranked, held.grades[number]))
    return sum(results) / len(results)


@pytest.mark.needs("shared:data/cran")
def test_answers_from_summaries_are_as_good_as_a_central_index(db: sqlite3.Connection, anna: Person) -> None:
    held = collection()
    anna.join(db)
    names: dict[Cid, str] = {}
    indexing = 0.0
    db.execute("BEGIN")
    for name, text in held.documents.items():
        title, _, _ = text.partition("\n")
        body = Item(title[:200] or "Untitled", lang="en", sketch=make_sketch(analyse(text, "en")))
        record = anna.record("note", body)
        names[record.id] = name
        begin = perf_counter()
        ingest(db, record, now=NOW)
        indexing += perf_counter() - begin
    db.execute("COMMIT")
    times, results = [], []
    for number, text in held.queries.items():
        begin = perf_counter()
        query = parse_query(text, {"en"})
        hits = local_query(
            db,
            query,
            statistics_of(db, query),
            Filter(now=NOW),
            limit=10,
            text_of=lambda _db, _held: None,
            distances={anna.author: 1},
        )
        times.append(perf_counter() - begin)
        results.append(ndcg([names[hit.held.record.id] for hit in hits], held.grades[number]))
    mean, reference = sum(results) / len(results), central(held)
    print(
        f"\nnDCG@10 {mean:.4f}, central {reference:.4f}, ratio {mean / reference:.3f}; "
        f"query p50 {median(times) * 1000:.2f} ms, p99 {sorted(times)[-3] * 1000:.2f} ms; "
        f"{indexing / len(names) * 1000:.3f} ms a document into the store"
    )
    assert mean / reference >= 0.98
    assert median(times) < 0.05
