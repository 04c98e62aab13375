"""How foreign text, sizes, times, references and passages look."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pkn_cli.output.amounts import age, moment, size, span
from pkn_cli.output.foreign import REPLACEMENT, harmless
from pkn_cli.output.hits import marked_lines
from pkn_cli.output.references import author_name, item_ref, key_ref, person_ref
from pkn_cli.output.terminal import clip, display_width
from pkn_protocol.control.query import Mark
from tests.cli.shapes import ADA, ITEM


@pytest.mark.parametrize(
    ("foreign", "shown"),
    [
        ("plain, Größe, 北京, 👩‍🔬", "plain, Größe, 北京, 👩‍🔬"),
        ("\x1b[31mred\x1b[0m", f"{REPLACEMENT}[31mred{REPLACEMENT}[0m"),
        ("txt.\u202eexe", f"txt.{REPLACEMENT}exe"),
        ("\u2066a\u2069\u200e\u061c", f"{REPLACEMENT}a" + REPLACEMENT * 3),
        ("a\u009bb\x7f\x00", f"a{REPLACEMENT}b" + REPLACEMENT * 2),
        ("one\ntwo\tthree\rfour\u2028five", "one two three four five"),
        ("lone \udcff", f"lone {REPLACEMENT}"),
        ("tag \U000e0041", f"tag {REPLACEMENT}"),
    ],
)
def test_foreign_text_is_made_harmless(foreign: str, shown: str) -> None:
    assert harmless(foreign) == shown


def test_a_text_keeps_its_lines_and_tabs_and_nothing_else() -> None:
    assert harmless("a\n\tb\r\n\x1b]0;x\x07", lines=True) == f"a\n\tb \n{REPLACEMENT}]0;x{REPLACEMENT}"


@given(st.text())
def test_harmless_text_has_the_same_length_and_no_controls(text: str) -> None:
    shown = harmless(text)
    assert len(shown) == len(text)
    assert not any(unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp") for char in shown)
    assert all(unicodedata.bidirectional(char) not in ("RLO", "LRO", "RLE", "LRE", "PDF") for char in shown)
    assert harmless(shown) == shown


@pytest.mark.parametrize(
    ("count", "shown"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (9_960, "10 kB"),
        (999_600, "1.0 MB"),
        (34_000_000, "34 MB"),
        (2**60, "1153 PB"),
    ],
)
def test_sizes(count: int, shown: str) -> None:
    assert size(count) == shown


def test_times() -> None:
    assert [span(seconds) for seconds in (0, 59, 61, 7_200, 200_000, 70_000_000)] == [
        *("0 s", "59 s", "1 min", "2 h", "2 d", "2 y")
    ]
    assert age(1_000, now_ms=61_000) == "1 min"
    assert age(61_000, now_ms=1_000) == "in 1 min"
    assert moment(10**20).endswith(" ms")


def test_references_are_what_one_types() -> None:
    assert item_ref(ITEM) == "h2kq7xmv3a"
    assert key_ref(ADA) == "haXgBZDvot"
    assert person_ref(ADA, None) == "haXgBZDvot"
    assert person_ref(ADA, "Zoë") == "Zoë"
    assert person_ref(ADA, "Ann Lee") == "'Ann Lee'"
    assert person_ref(ADA, "O'Hara") == "'O'\\''Hara'"


def test_a_claimed_name_is_never_taken_for_a_chosen_one() -> None:
    assert author_name(ADA, "Ann", claimed=True, own=False) == "~Ann (claimed)"
    assert author_name(ADA, "Ann", claimed=False, own=False) == "Ann"
    assert author_name(ADA, "", claimed=True, own=False) == "haXgBZDvot"
    assert author_name(ADA, "Ada", claimed=False, own=True) == "you"


def test_matched_words_are_marked() -> None:
    assert marked_lines("The layer turns.", [Mark(4, 9)]) == ["The **layer** turns."]


def test_marks_stay_in_place_in_a_passage_that_was_wrapped_and_made_harmless() -> None:
    passage = "\x1b[1m" + "word " * 40 + "drag end"
    at = passage.index("drag")
    lines = marked_lines(passage, [Mark(at, at + 4)])
    assert len(lines) > 1
    assert lines[-1].endswith("**drag** end")


@given(
    st.text(max_size=300),
    st.lists(st.tuples(st.integers(-5, 400), st.integers(-5, 400)), max_size=5),
)
def test_marks_of_any_kind_lose_no_text(passage: str, places: list[tuple[int, int]]) -> None:
    lines = marked_lines(passage, [Mark(start, end) for start, end in places])
    shown = "".join("".join(lines).replace("**", "").split())
    assert shown == "".join(harmless(passage).replace("**", "").split()) or "*" in passage


@given(st.text(max_size=60), st.integers(2, 40))
def test_clipped_text_fits(text: str, most: int) -> None:
    assert display_width(clip(harmless(text), most)) <= most
