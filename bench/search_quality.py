"""How near answers come to a central index of all full texts, when the documents lie with eight people."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean

from bench.dealt import ask, dealt
from bench.documents import COLLECTIONS, Collection, collection, is_there
from bench.relevance import central_ndcg, ndcg
from bench.report import Figure

PEOPLE = 8
LEAST_RATIO = 0.98
"""What sketches alone reached when the design was made."""


def run() -> list[Figure]:
    """Ratios of the mean nDCG@10; none where no collection with judgements lies beside the repository."""
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory(prefix="pkn-bench-") as temporary:
        for name in filter(is_there, COLLECTIONS):
            figures += _of(collection(name), Path(temporary) / name)
    return figures or [Figure("not measured: no ../shared/data", 0.0, "collections")]


def _of(held: Collection, folder: Path) -> list[Figure]:
    folder.mkdir()
    reference = central_ndcg(held)
    by_chance = list(held.documents)
    random.Random(1).shuffle(by_chance)
    # Neighbours in these collections are of one subject: people who each know about something else.
    by_subject = list(held.documents)
    figures = []
    for label, order, exchanged, least in (
        ("summaries exchanged", by_chance, True, LEAST_RATIO),
        ("none exchanged, dealt by chance", by_chance, False, None),
        ("none exchanged, dealt by subject", by_subject, False, None),
    ):
        shares = _shares(held, order)
        found, asked = _results(held, shares, folder / label.replace(" ", "-"), exchanged=exchanged)
        details = {
            "people": PEOPLE,
            "documents": len(held.documents),
            "queries": len(found),
            "asked": asked,
            "ndcg": mean(found),
            "central_ndcg": reference,
        }
        figures.append(
            Figure(
                f"{held.name}, {label}",
                mean(found) / reference,
                "× central nDCG@10",
                least,
                at_least=True,
                samples=found,
                details=details,
            )
        )
    once = central_ndcg(held, repeated=False) / reference
    # What counting repeated words of a query is worth: a change that stopped doing so would show here.
    return [
        *figures,
        Figure(f"{held.name}, central index, each word of a query once", once, "× central nDCG@10"),
    ]


def _shares(held: Collection, order: Sequence[str]) -> list[Mapping[str, str]]:
    size = -(-len(order) // PEOPLE)
    return [
        {name: held.documents[name] for name in order[start : start + size]}
        for start in range(0, len(order), size)
    ]


def _results(
    held: Collection, shares: Sequence[Mapping[str, str]], folder: Path, *, exchanged: bool
) -> tuple[list[float], float]:
    """nDCG@10 of each query, and how many people were asked in the mean."""
    results, asked = [], []
    with dealt(shares, folder, exchanged=exchanged) as (people, names):
        for number, text in held.queries.items():
            top, count = ask(people, _plain(text))
            results.append(ndcg([names[cid] for cid in top], held.grades.get(number, {})))
            asked.append(count)
    return results, mean(asked)


def _plain(text: str) -> str:
    """A judged query as words alone: its quotation marks and dashes are prose."""
    return text.replace('"', " ").replace(" -", " ")
