"""The language of a text, guessed; languages and their stop words."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given

from pkn_protocol.text.languages import LANGUAGES, STEMMERS, STOP_WORDS, analysed_as, guess_language, primary
from tests.protocol.text.strategies import TEXTS

SPEC = Path(__file__).resolve().parents[3] / "docs" / "spec" / "text.md"


@pytest.mark.parametrize(
    ("text", "lang"),
    [
        ("The dough rises while the oven is getting hot.", "en"),
        ("Der Teig geht auf, während der Ofen heiß wird.", "de"),
        ("La pâte lève pendant que le four est en train de chauffer.", "fr"),
        ("La masa sube mientras el horno se calienta, y luego se hornea.", "es"),
        ("Тесто поднимается, пока печь нагревается.", "ru"),
        ("Опара", "ru"),
        ("Тісто піднімається, поки піч нагрівається.", "uk"),
        ("L'impasto cresce mentre il forno è caldo e non si tocca più.", "it"),
        ("A massa cresce enquanto o forno aquece, e não se toca mais nela.", "pt"),
        ("Het deeg rijst terwijl de oven heet wordt, en dan niet meer.", "nl"),
        ("パン生地は発酵している", "ja"),
        ("面团正在发酵", "zh"),
        ("반죽이 부풀어 오른다", "ko"),
        ("แป้งกำลังขึ้น", "th"),
        ("Η ζύμη φουσκώνει", "el"),
        ("העיסה תופחת", "he"),
        ("العجين يرتفع", "ar"),
    ],
)
def test_the_language_of_a_text_is_guessed(text: str, lang: str) -> None:
    assert guess_language(text, "xx") == lang


@pytest.mark.parametrize("text", ["", "42", "Sourdough", "the", "Levain Sauerteig", "la de"])
def test_where_nothing_tells_the_language_the_default_is_taken(text: str) -> None:
    assert guess_language(text, "xx") == "xx"


def test_a_foreign_quotation_does_not_change_the_language() -> None:
    text = "The poem begins with these words: 東京の夜. It is one of the first that he wrote in the city."
    assert guess_language(text, "xx") == "en"


@given(TEXTS)
def test_any_text_has_some_language(text: str) -> None:
    assert guess_language(text, "xx")


@pytest.mark.parametrize(
    ("tag", "subtag", "analysed"),
    [("de-CH", "de", "de"), ("EN", "en", "en"), ("pt-BR", "pt", ""), ("", "", "")],
)
def test_a_language_tag_counts_by_its_first_part(tag: str, subtag: str, analysed: str) -> None:
    assert primary(tag) == subtag
    assert analysed_as(tag) == analysed


def test_every_language_with_a_stemmer_has_stop_words_and_no_other_has() -> None:
    assert set(STOP_WORDS) == set(STEMMERS) == set(LANGUAGES) == {"de", "en", "es", "fr", "ru"}


@pytest.mark.parametrize("lang", LANGUAGES)
def test_the_specification_lists_the_stop_words(lang: str) -> None:
    lists = dict(re.findall(r"```stop-words-(\w\w)\n(.*?)```", SPEC.read_text(encoding="utf-8"), re.DOTALL))
    assert frozenset(lists[lang].split()) == STOP_WORDS[lang]
