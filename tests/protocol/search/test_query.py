"""Reading queries as people type them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pkn_protocol.search.query import (
    MOST_CHARS,
    MOST_TERMS,
    BadQuery,
    EmptyQuery,
    QueryTooLong,
    TooManyTerms,
    parse_query,
)
from pkn_protocol.text.analysis import analyse


def words(terms: tuple[object, ...]) -> list[str]:
    return [term.word for term in terms]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("text", "terms", "phrases", "excluded", "excluded_phrases"),
    [
        ("boundary layer", ["boundary", "layer"], [], [], []),
        ("layer -turbulent", ["layer"], [], ["turbulent"], []),
        ('"boundary layer" drag', ["boundary", "layer", "drag"], [("boundary", "layer")], [], []),
        ('"turbulent" flow', ["turbulent", "flow"], [("turbulent",)], [], []),
        ('drag -"boundary layer"', ["drag"], [], [], [("boundary", "layer")]),
        ('drag -"layer"', ["drag"], [], ["layer"], []),
        ('"boundary layer', ["boundary", "layer"], [], [], []),
        ('boundary" layer', ["boundary", "layer"], [], [], []),
        ('"" drag', ["drag"], [], [], []),
        ("drag - lift", ["drag", "lift"], [], [], []),
        ("drag --lift", ["drag"], [], ["lift"], []),
        ("well-known drag", ["well", "known", "drag"], [], [], []),
        ("DRAG Drag drag", ["drag", "drag", "drag"], [], [], []),
        ("drag " * 70 + "lift", ["drag", "lift"], [], [], []),
        ("what is the lift of a wing", ["lift", "wing"], [], [], []),
        ("what is this", ["what", "is", "this"], [], [], []),
        ("wing\n\twing2", ["wing", "wing2"], [], [], []),
    ],
)
def test_a_query_is_read_as_it_was_meant(
    text: str,
    terms: list[str],
    phrases: list[tuple[str, ...]],
    excluded: list[str],
    excluded_phrases: list[tuple[str, ...]],
) -> None:
    query = parse_query(text, {"en"})
    assert words(query.terms) == terms
    assert list(query.phrases) == phrases
    assert words(query.excluded) == excluded
    assert list(query.excluded_phrases) == excluded_phrases
    assert query.text == text


def test_a_word_is_the_set_of_its_stems_in_the_languages_held() -> None:
    (term,) = parse_query("Flügen", {"de-CH", "fr", "xx-hostile"}).terms
    expected = {stem for lang in ("de", "fr", "") for stem in analyse("Flügen", lang)}
    assert term.stems == expected
    assert len(parse_query("Flügen", {"de"}).terms[0].stems) == 2


def test_a_word_of_a_script_without_spaces_is_its_bigrams() -> None:
    query = parse_query("边界层", {"en"})
    assert [term.stems for term in query.terms] == [{stem} for stem in analyse("边界层", "zh")]


def test_of_a_phrase_stop_words_cannot_be_required_of_a_sketch() -> None:
    query = parse_query('"flow of heat"', {"en", "de"})
    assert words(query.quoted) == ["flow", "of", "heat"]
    assert words(query.required) == ["flow", "heat"]
    assert words(query.required_in("en-GB")) == ["flow", "heat"]
    assert words(query.required_in("de")) == ["flow", "of", "heat"]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", EmptyQuery),
        ("   ", EmptyQuery),
        ("-drag", EmptyQuery),
        ('""', EmptyQuery),
        ("!?", EmptyQuery),
        ("\u0301", EmptyQuery),
        ("x" * (MOST_CHARS + 1), QueryTooLong),
        (" ".join(f"word{n}" for n in range(MOST_TERMS + 1)), TooManyTerms),
        ("drag " + " ".join(f"-word{n}" for n in range(MOST_TERMS)), TooManyTerms),
        (f'drag -"{" ".join(f"word{n}" for n in range(MOST_TERMS))}"', TooManyTerms),
        (" ".join(chr(0x4E00 + n) * 2 for n in range(MOST_TERMS + 1)), TooManyTerms),
    ],
)
def test_what_cannot_be_asked_says_why(text: str, error: type[BadQuery]) -> None:
    with pytest.raises(error):
        parse_query(text, {"en"})


def test_at_the_limits_a_query_is_read() -> None:
    assert len(parse_query("x" * MOST_CHARS, ()).terms) == 1
    assert len(parse_query(" ".join(f"w{n}" for n in range(MOST_TERMS)), {"en"}).terms) == MOST_TERMS


@given(st.text(max_size=MOST_CHARS + 5) | st.text('ab "-边\u0301', max_size=80))
def test_any_text_is_a_query_or_a_typed_error(text: str) -> None:
    try:
        query = parse_query(text, {"en", "de"})
    except BadQuery as error:
        assert str(error)
    else:
        assert 1 <= len(query.terms) <= MOST_TERMS
        assert all(term.stems for term in query.terms)
        assert all(phrase for phrase in query.phrases)


def test_japanese_particles_between_words_are_no_terms_of_their_own() -> None:
    stems = [term.stems for term in parse_query("梅酒を作る", {"ja"}).terms]
    assert stems == [frozenset(analyse(word, "ja")) for word in ("梅酒", "作る")]
    alone = parse_query("をは", {"ja"})
    assert [term.word for term in alone.terms] == ["をは"]
    assert len(parse_query("酒を", {"ja"}).terms) == 1
