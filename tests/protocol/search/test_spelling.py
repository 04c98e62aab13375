"""Words one slip of the pen away."""

from __future__ import annotations

import pytest

from pkn_protocol.search.spelling import slips, stems_of_slips, written_with
from pkn_protocol.text.analysis import stem_hash


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("bondary", "boundary"),
        ("boundarry", "boundary"),
        ("boudnary", "boundary"),
        ("boundery", "boundary"),
        ("oundary", "boundary"),
        ("boundar", "boundary"),
        ("слво", "слово"),
        ("σχολιο", "σχολιω"),
    ],
)
def test_each_kind_of_slip_is_among_them(typed: str, meant: str) -> None:
    found = list(slips(typed))
    assert meant in found
    assert typed not in found
    assert len(found) == len(set(found)) < 60 * (len(typed) + 1)


@pytest.mark.parametrize("word", ["", "ab", "漢字漢字", "2024", "mp4", "x" * 25, "한국어"])
def test_what_is_short_long_or_not_spelt_has_none(word: str) -> None:
    assert list(slips(word)) == []


def test_stems_are_those_of_the_languages_at_hand() -> None:
    stems = stems_of_slips("bondaries", {"en"})
    assert "boundaries" in stems[stem_hash("boundari")]
    assert stem_hash("boundari") not in stems_of_slips("bondaries", set())


def test_a_word_is_shown_as_it_was_written_and_another_with_the_same_hash_is_not() -> None:
    stem = stem_hash("boundari")
    texts = ["A Boundary is meant, Boundaries are not"]
    assert written_with(texts, "en", stem, {"boundary"}) == "Boundary"
    assert written_with(["only boundaries here"], "en", stem, {"boundary"}) == "boundaries"
    assert written_with(["only boundaries here"], "en", stem, {"weather"}) is None
    assert written_with(["nothing of it"], "en", stem, {"boundary"}) is None
