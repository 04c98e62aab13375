"""Passages and phrases: what is shown of a text, and what counts as a phrase."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pkn_protocol.search.passages import PASSAGE_CHARS, Passage, best_passage
from pkn_protocol.search.phrases import has_any_phrase, has_phrases
from pkn_protocol.search.query import parse_query

FILLER = "Nothing of interest stands in this sentence at all. " * 12


def passage_of(text: str, query: str, lang: str = "en", weights: list[float] | None = None) -> Passage | None:
    parsed = parse_query(query, {lang})
    return best_passage(text, lang, parsed, weights or [1.0] * len(parsed.terms))


def marked(passage: Passage | None) -> list[str]:
    assert passage is not None
    return [passage.text[start:end] for start, end in passage.marks]


def test_the_passage_holds_the_most_words_of_the_query() -> None:
    text = f"A wing. {FILLER}The boundary layer of a wing is thin. {FILLER}A layer."
    passage = passage_of(text, "boundary layers wings")
    assert passage is not None
    assert passage.text.startswith("The boundary layer of a wing is thin.")
    assert text[passage.start :].startswith("The boundary")
    assert marked(passage) == ["boundary", "layer", "wing"]


def test_a_rare_word_counts_for_more_than_a_common_one() -> None:
    text = f"The wing. {FILLER}A slipstream."
    assert marked(passage_of(text, "wing slipstream", weights=[0.5, 3.0])) == ["slipstream"]


def test_words_side_by_side_are_preferred_to_words_apart() -> None:
    text = f"The boundary between layers. {FILLER}The boundary layer."
    passage = passage_of(text, '"boundary layer"')
    assert passage is not None
    assert passage.text.endswith("The boundary layer.")


def test_without_a_match_there_is_no_passage() -> None:
    assert passage_of(FILLER, "slipstream") is None
    assert passage_of("", "slipstream") is None


def test_a_short_text_is_shown_whole_and_on_one_line() -> None:
    passage = passage_of("first\nwing\tlast", "wing")
    assert passage == Passage("first wing last", 0, ((6, 10),))


def test_a_match_near_the_end_shows_what_comes_before_it() -> None:
    text = "word " * 200 + "slipstream"
    passage = passage_of(text, "slipstream")
    assert passage is not None
    assert len(passage.text) > PASSAGE_CHARS - 20


def test_stop_words_are_not_marked() -> None:
    assert marked(passage_of("the wing of the bird", "what is the wing of the bird")) == ["wing", "bird"]


def test_bigrams_of_a_text_without_spaces_are_marked_where_they_stand() -> None:
    text = "湍流湍流理论。" * 40 + "湍流边界层理论。" + "湍流湍流理论。" * 40
    assert marked(passage_of(text, "边界层", "zh")) == ["边界层"]


def test_words_that_change_their_length_in_their_normal_form_are_marked_as_they_stand() -> None:
    assert marked(passage_of("a ﬁne day", "fine")) == ["ﬁne"]
    assert marked(passage_of("Die STRASSE, die Straße.", "straße", "de")) == ["STRASSE", "Straße"]


def test_a_long_text_is_read_fast() -> None:
    text = "the boundary layer of some wing is thin and turbulent there " * 3000
    begin = time.process_time()
    assert passage_of(text, "boundary layer") is not None
    assert time.process_time() - begin < 1


@given(
    st.lists(st.sampled_from(["wing", "layers", "ﬁn", "边界层", "a", "\n", "word.", "Straße"]), max_size=120),
    st.sampled_from(["wing layer", "边界", "fin strasse", '"layers wing" word']),
    st.sampled_from([" ", "", "  \n\n"]),
)
def test_marks_lie_within_the_passage_in_order(parts: list[str], query: str, between: str) -> None:
    text = between.join(parts)
    passage = passage_of(text, query)
    if passage is None:
        return
    assert len(passage.text) <= PASSAGE_CHARS
    assert passage.text == "".join(
        " " if c.isspace() else c for c in text[passage.start : passage.start + len(passage.text)]
    )
    places = [place for mark in passage.marks for place in mark]
    assert places == sorted(places)
    assert all(start < end for start, end in passage.marks)
    assert not places or (places[0] >= 0 and places[-1] <= len(passage.text))


@pytest.mark.parametrize(
    ("text", "phrase", "found"),
    [
        ("The boundary layer.", "boundary layer", True),
        ("The BOUNDARY\n  Layer", "boundary layer", True),
        ("the boundary-layer", "boundary layer", True),
        ("a layer boundary", "boundary layer", False),
        ("boundary layers", "boundary layer", False),
        ("a subboundary layer", "boundary layer", False),
        ("boundary boundary layer", "boundary layer", True),
        ("湍流边界层理论", "边界层", True),
        ("湍流边界", "边界层", False),
        ("der Fluß", "fluss", True),
        ("anything", "", True),
        ("", "word", False),
    ],
)
def test_a_phrase_is_words_that_follow_one_another(text: str, phrase: str, found: bool) -> None:
    assert has_phrases(text, [phrase.split()]) is found
    assert has_any_phrase(text, [["absent"], phrase.split()]) is found


def test_all_phrases_must_be_there_or_one_of_those_excluded() -> None:
    text = "thin boundary layer"
    assert has_phrases(text, [["thin"], ["boundary", "layer"]])
    assert not has_phrases(text, [["thick"], ["boundary", "layer"]])
    assert has_phrases(text, [])
    assert not has_any_phrase(text, [])
