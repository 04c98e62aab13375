"""Text analysis: what is found by which word, and where it stands."""

from __future__ import annotations

import unicodedata
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pkn_protocol.text.analysis import (
    _CACHE_TOKENS,
    _KNOWN,
    analyse,
    normal_words,
    query_stems,
    stem_hash,
    words,
)
from pkn_protocol.text.unassigned import UNASSIGNED
from tests.protocol.text.reference import reference_hash, reference_stems
from tests.protocol.text.strategies import LANGUAGE_TAGS, TEXTS


@given(TEXTS, LANGUAGE_TAGS)
def test_any_text_has_the_stems_that_the_specification_says(text: str, lang: str) -> None:
    assert analyse(text, lang) == [reference_hash(stem) for stem in reference_stems(text, lang)]


@given(TEXTS, LANGUAGE_TAGS)
def test_words_have_the_same_stems_as_the_text(text: str, lang: str) -> None:
    assert [stem for word in words(text, lang) for stem in word.stems] == analyse(text, lang)


@given(TEXTS, LANGUAGE_TAGS)
def test_places_of_words_cut_the_word_out_of_the_text_as_given(text: str, lang: str) -> None:
    before = 0
    for word in words(text, lang):
        assert before <= word.start < word.end <= len(text)
        before = word.start
        cut = text[word.start : word.end]
        # A bigram may begin with a vowel mark; a text of its own may not.
        if unicodedata.category(unicodedata.normalize("NFKC", cut)[0])[0] != "M":
            assert set(word.stems) <= set(analyse(cut, lang))


@given(TEXTS, LANGUAGE_TAGS)
def test_text_that_was_normalised_before_has_the_same_stems(text: str, lang: str) -> None:
    # Unassigned code points are excluded, since a newer Python's NFKC may change them before we part there.
    assume(not UNASSIGNED.search(text))
    assert analyse(unicodedata.normalize("NFKC", text), lang) == analyse(text, lang)


@given(TEXTS)
def test_normal_words_of_normal_words_are_themselves(text: str) -> None:
    found = normal_words(text)
    assert normal_words(" ".join(found)) == found


@given(st.lists(TEXTS, max_size=4), LANGUAGE_TAGS)
def test_texts_side_by_side_have_the_stems_of_each(texts: list[str], lang: str) -> None:
    assert analyse("\n".join(texts), lang) == [stem for text in texts for stem in analyse(text, lang)]


@pytest.mark.parametrize(
    ("lang", "typed", "written"),
    [
        ("en", "connection", "connected"),
        ("en", "cafe", "cafés"),
        ("en", "FINANCE", "ﬁnanced"),
        ("en", "wordbreak", "word\u00adbreak"),
        ("de", "strasse", "Straßen"),
        ("de", "STRASSE", "Straße"),
        ("de", "haus", "Häuser"),
        ("de", "Kuhlschrank", "Kühlschränke"),
        ("fr", "coeur", "cœurs"),
        ("fr", "ete", "l’été"),
        ("fr", "naturelle", "naturellement"),
        ("es", "jardinero", "jardineros"),
        ("es", "nino", "niño"),
        ("ru", "ёлка", "елки"),
        ("ru", "русский", "Ру\u0301сские"),
        ("ru", "МОСКВА", "москве"),
        ("pl", "lodz", "Łódź"),
        ("tr", "istanbul", "İstanbul"),
        ("vi", "tieng", "tiếng"),
        ("el", "αθηνα", "ΑΘΉΝΑ"),
        ("ja", "タワー", "東京タワーです"),
        ("ja", "タワー", "東京ﾀﾜｰ"),
        ("zh", "知识", "个人知识网络"),
        ("ko", "네트워크", "지식네트워크는"),
        ("th", "ภาษา", "นี่คือภาษาไทย"),
    ],
)
def test_what_is_typed_finds_what_is_written(lang: str, typed: str, written: str) -> None:
    assert set(analyse(typed, lang)) & set(analyse(written, lang))


@pytest.mark.parametrize(
    ("lang", "one", "other"),
    [
        ("en", "universal", "winter"),
        ("en", "3.14", "314"),
        ("ja", "東京", "京東"),
        ("fr", "cote", "cotisation"),
    ],
)
def test_what_differs_is_not_found(lang: str, one: str, other: str) -> None:
    assert not set(analyse(one, lang)) & set(analyse(other, lang))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("snake_case e-mail don't", ["snake", "case", "e", "mail", "don", "t"]),
        ("C++ & C#", ["c", "c"]),
        ("10 m² ½", ["10", "m2", "1", "2"]),
        ("I \u2764\ufe0f \U0001f600 it", ["i", "it"]),
        ("第3章", ["第", "3", "章"]),
        ("\u0301 \u0301a", ["a"]),
        ("a\u200bb", ["a", "b"]),
        ("x\u0378y", ["x", "y"]),
        ("x\U0001fae8y", ["x", "y"]),
        ("\ud800", []),
        ("", []),
    ],
)
def test_words_end_at_what_is_no_letter_mark_or_number(text: str, expected: list[str]) -> None:
    assert normal_words(text) == expected


@pytest.mark.parametrize(
    ("text", "marked"),
    [
        ("The ﬁne Straße.", ["The", "ﬁne", "Straße"]),
        ("«l’été»", ["l", "été"]),
        ("e\u0301te\u0301!", ["e\u0301te\u0301"]),
        ("word\u00adbreak", ["word\u00adbreak"]),
        ("東京都", ["東京", "京都"]),
        ("ﾊﾞｽ", ["ﾊﾞｽ"]),
        ("a ½ b", ["a", "½", "½", "b"]),
        ("\u1112\u1161\u11ab\u1100\u116e\u11a8!", ["\u1112\u1161\u11ab\u1100\u116e\u11a8"]),
    ],
)
def test_places_are_those_of_the_text_before_it_was_normalised(text: str, marked: list[str]) -> None:
    assert [text[word.start : word.end] for word in words(text, "xx")] == marked


def test_stop_words_are_left_out_in_their_language_alone() -> None:
    assert analyse("the die", "en") == analyse("die", "en")
    assert analyse("the die", "de") == analyse("the", "de")
    assert len(analyse("the die", "ja")) == 2


def test_a_query_word_has_its_stem_in_every_language_and_as_it_is() -> None:
    stems = query_stems("Abteilungen", ["de", "en-GB", "ja"])
    assert stems == {*analyse("Abteilung", "de"), *analyse("Abteilungen", "en"), stem_hash("abteilungen")}


def test_a_query_word_that_is_a_stop_word_remains_as_it_is() -> None:
    assert query_stems("the", ["en"]) == {stem_hash("the")}
    assert query_stems("...", ["en"]) == frozenset()


def test_a_name_has_one_hash_in_all_languages() -> None:
    assert len({tuple(analyse("Plato", lang)) for lang in ("en", "de", "ru", "ja")}) == 1


def test_long_words_are_cut_and_long_runs_without_spaces_are_not() -> None:
    assert analyse("k" * 65, "xx") == analyse("k" * 64, "xx") != analyse("k" * 63, "xx")
    assert len(analyse("漢" * 500, "zh")) == 499


def test_marks_without_end_take_no_quadratic_time() -> None:
    # Sorting them would take hours.
    text = "a" + "\u0301\u0323" * 500_000
    assert analyse(text, "ru") == analyse("\u1ea1", "ru")


def test_memory_of_tokens_is_bounded_whatever_is_read() -> None:
    for lang in ("en", *(f"q{number}" for number in range(50))):
        analyse(" ".join(f"{lang}{number}" for number in range(1000)), lang)
    analyse(" ".join(map(str, range(3 * _CACHE_TOKENS))), "en")
    assert len(_KNOWN) == 6
    assert all(len(known) <= _CACHE_TOKENS for known in _KNOWN.values())


def test_threads_that_analyse_at_once_get_the_same_stems() -> None:
    texts = [f"Abteilungen{number} gearbeitete{number} natürlichen Häuser{number}" for number in range(400)]
    alone = [reference_stems(text, "de") for text in texts]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda text: analyse(text, "de"), texts))
    assert together == [[reference_hash(stem) for stem in stems] for stems in alone]
