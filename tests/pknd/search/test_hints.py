"""What is said of a question that is itself the reason for what it does not find."""

from __future__ import annotations

import pytest

from pkn_protocol.search.query import parse_query
from pknd.search.hints import hint_for


@pytest.mark.parametrize("text", ["layer*", '"lay*" drag', "l*r", "drag (lay*r)", "grösse*, drag"])
def test_wildcards_are_said_to_be_none_whatever_is_found(text: str) -> None:
    for found in (True, False):
        assert "* stands for nothing" in hint_for(parse_query(text, {"en"}), found=found)


def test_a_beginning_that_was_left_open_is_spoken_of_where_nothing_is_found() -> None:
    query = parse_query("boundary *ometer", {"en"})
    assert "* stands for nothing" in hint_for(query, found=False)
    assert hint_for(query, found=True) == ""


@pytest.mark.parametrize(
    "text",
    [
        "layer",
        "2 * 3 layers",
        "*",
        "C*-algebra",
        "A* search",
        "**layer**",
        "*layer*",
        "layer** x",
        "int32*",
        "x2*y",
    ],
)
def test_a_question_without_any_gets_no_such_hint(text: str) -> None:
    query = parse_query(f"{text} drag", {"en"})
    assert hint_for(query, found=True) == hint_for(query, found=False) == ""


def test_only_words_that_no_index_has_are_named() -> None:
    assert "too common" in hint_for(parse_query("the and", {"en"}), found=False)
    assert hint_for(parse_query("the and", {"en"}), found=True) == ""
