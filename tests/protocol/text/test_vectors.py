"""The vector files of text analysis 1: a dependency that changes one changes the wire format."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from pkn_protocol.text.analysis import analyse, stem_hash
from pkn_protocol.text.languages import LANGUAGES
from pkn_protocol.text.sketch import BadSketch, decode_sketch, make_sketch
from tests.protocol.text.make_vectors import expand, vector_words
from tests.protocol.text.vector_words import WORDS_A_LANGUAGE

VECTORS = Path(__file__).resolve().parents[2] / "vectors"


def rows(name: str) -> list[Any]:
    return [json.loads(line) for line in (VECTORS / name).read_text(encoding="utf-8").splitlines()]


def named(name: str, key: str) -> list[Any]:
    return [pytest.param(row, id=row["name"]) for row in rows(name) if key in row]


@pytest.mark.parametrize("lang", LANGUAGES)
def test_every_word_of_a_language_has_the_stem_of_its_vector(lang: str) -> None:
    changed = []
    found = rows(f"text-{lang}.jsonl")
    for word, stems, hashes in found:
        now = [f"{stem:06x}" for stem in analyse(word, lang)]
        if now != hashes.split() or now != [f"{stem_hash(stem):06x}" for stem in stems.split()]:
            changed.append(word)
    assert not changed, f"{len(changed)} words have other stems: the stemmer may be another release"
    assert [word for word, _, _ in found] == vector_words(lang)
    assert len({word for word, _, _ in found}) == WORDS_A_LANGUAGE


@pytest.mark.parametrize("row", named("text-analysis.jsonl", "text"))
def test_a_text_has_the_stems_of_its_vector(row: dict[str, Any]) -> None:
    assert [f"{stem:06x}" for stem in analyse(row["text"], row["lang"])] == row["hashes"]
    assert [f"{stem_hash(stem):06x}" for stem in row["stems"]] == row["hashes"]


@pytest.mark.parametrize("row", named("text-sketches.jsonl", "runs"))
def test_a_sketch_is_that_of_its_vector(row: dict[str, Any]) -> None:
    blob = make_sketch(expand(row["runs"]))
    assert blob.hex() == row["sketch"]
    sketch = decode_sketch(blob)
    counts = Counter(sketch.classes.values())
    assert (sketch.length, [counts[kind] for kind in range(4)]) == (row["length"], row["classes"])


@pytest.mark.parametrize("row", named("text-sketches.jsonl", "error"))
def test_a_bad_sketch_is_refused_for_its_own_fault(row: dict[str, Any]) -> None:
    with pytest.raises(BadSketch, match=row["error"]):
        decode_sketch(bytes.fromhex(row["sketch"]))
