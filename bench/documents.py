"""Documents to measure with: a public test collection where it lies beside the repository, else made ones."""

from __future__ import annotations

import json
import random
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
COLLECTIONS = ("cran", "cacm")
_MADE, _WORDS_A_TEXT, _VOCABULARY = 1400, 95, 9000


@dataclass(frozen=True)
class Collection:
    """Texts (title in the first line), queries, and how relevant documents are to queries."""

    name: str
    documents: Mapping[str, str]
    queries: Mapping[str, str]
    grades: Mapping[str, Mapping[str, int]]


def is_there(name: str) -> bool:
    return (DATA / name / "docs.jsonl").is_file()


def collection(name: str) -> Collection:
    """A collection of `../shared/data`."""
    folder = DATA / name
    lines = (folder / "docs.jsonl").read_text(encoding="utf-8").splitlines()
    documents = {str(d["id"]): f"{d['title']}\n{d['text']}" for d in map(json.loads, lines)}
    asked = (folder / "queries.jsonl").read_text(encoding="utf-8").splitlines()
    grades: dict[str, dict[str, int]] = defaultdict(dict)
    for line in (folder / "qrels.tsv").read_text(encoding="utf-8").splitlines():
        query, document, grade = line.split()
        grades[query][document] = int(grade)
    queries = {str(q["id"]): str(q["text"]) for q in map(json.loads, asked)}
    return Collection(name, documents, queries, grades)


def texts() -> tuple[str, dict[str, str]]:
    """What was taken, and 1,400 documents or so: `cran`, or texts of invented words of Zipf's frequencies."""
    if is_there("cran"):
        held = collection("cran")
        return "cran", dict(held.documents)
    chance = random.Random(1)
    letters = "bcdfghklmnprst"
    words = [
        "".join(chance.choice(letters) + chance.choice("aeiou") for _ in range(3)) for _ in range(_VOCABULARY)
    ]
    weights = [1 / (rank + 3) for rank in range(_VOCABULARY)]
    made = {}
    for number in range(_MADE):
        text = chance.choices(words, weights, k=_WORDS_A_TEXT)
        made[str(number)] = " ".join(text[:8]) + "\n" + " ".join(text[8:])
    return "made", made


def write_folder(folder: Path, documents: Mapping[str, str]) -> int:
    """The documents as Markdown files; their bytes."""
    folder.mkdir(parents=True)
    size = 0
    for name, text in documents.items():
        title, _, body = text.partition("\n")
        content = f"# {title or 'Untitled'}\n\n{body}\n"
        (folder / f"{name}.md").write_text(content, encoding="utf-8")
        size += len(content.encode("utf-8"))
    return size
