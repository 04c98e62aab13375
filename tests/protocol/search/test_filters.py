"""Filters among the words of a query."""

from __future__ import annotations

import pytest

from pkn_protocol.search.filters import BadFilter, TypedFilters, split_filters


@pytest.mark.parametrize(
    ("typed", "words", "filters"),
    [
        ("drag", "drag", TypedFilters()),
        ("tag:physics drag", "drag", TypedFilters(("physics",))),
        ("drag tag:a tag:b/c tag:a", "drag", TypedFilters(("a", "b/c"))),
        ('author:"Ada L" kind:page since:30d wing', "wing", TypedFilters((), "Ada L", "page", "30d")),
        ('"see tag:physics" drag', '"see tag:physics" drag', TypedFilters()),
        ("http://tag:x tag: mytag:x", "http://tag:x tag: mytag:x", TypedFilters()),
        ("author:a author:a x", "x", TypedFilters((), "a")),
        ('"open tag:x', '"open', TypedFilters(("x",))),
    ],
)
def test_filters_are_taken_out_of_the_words(typed: str, words: str, filters: TypedFilters) -> None:
    assert split_filters(typed) == (words, filters)


def test_two_authors_are_refused() -> None:
    with pytest.raises(BadFilter, match="only one author"):
        split_filters("author:a author:b x")
