"""Passages are words for readers, without the marks of Markdown and HTML."""

from __future__ import annotations

import pytest

from pkn_protocol.records.ids import Cid
from pkn_protocol.records.model import Item, Payload
from pkn_protocol.search.passages import PASSAGE_CHARS, Passage, best_passage
from pkn_protocol.search.query import parse_query
from pknd.search.plain import plain_passage

SOME_CID = Cid(b"\x01\x55\x12\x20" + bytes(32))


def passage(text: str, asked: str, media_type: str = "text/markdown") -> Passage | None:
    query = parse_query(asked, {"en"})
    item = Item("Note", lang="en", payload=Payload(media_type, len(text), SOME_CID, None))
    return plain_passage(text, item, query, [1.0] * len(query.terms))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ('see [the drag](drag.md) of ![a wing](wing.png "Wing")', "see the drag of a wing"),
        ("a [[drag|kind of drag]] and [[wing]]", "a kind of drag and wing"),
        (
            "**drag** and *lift*, __drag__ and _lift_, ~~wing~~ `drag`",
            "drag and lift, drag and lift, wing drag",
        ),
        ("# Drag\n\n> quoted\n> > twice\n\n- one\n- [x] two", "Drag  quoted twice  one two"),
        ("Drag\n====\n\n```c\ndrag = 1\n```", "Drag   drag = 1 "),
        ("| drag | lift |\n|---|:--|\n| 1 | 2 |", "| drag | lift |  | 1 | 2 |"),
        (r"<https://drag.example> and \*drag\*", "https://drag.example and *drag*"),
        ("2 * 3 * 4, drag_of_a_wing, a*b*c and 5 - 4", "2 * 3 * 4, drag_of_a_wing, a*b*c and 5 - 4"),
    ],
)
def test_marks_of_markdown_are_left_out(text: str, shown: str) -> None:
    found = passage(text, "drag")
    assert found is not None
    assert found.text.split() == shown.split()
    assert {found.text[start:end].lower() for start, end in found.marks} >= {"drag"}


def test_of_a_page_what_is_read_is_shown() -> None:
    text = "<html><body class='drag'><p>The <b>drag</b> of wings &amp; plates</p></body></html>"
    found = passage(text, "drag", "text/html")
    assert found is not None
    assert found.text.split() == ["The", "drag", "of", "wings", "&", "plates"]


def test_other_texts_are_shown_as_they_are() -> None:
    text = "x = drag[a](b) * **kwargs # _drag_"
    query = parse_query("drag", {"en"})
    assert passage(text, "drag", "text/x-python") == best_passage(text, "en", query, [1.0])


def test_the_best_place_of_a_long_text_is_still_the_best() -> None:
    filling = "Nothing to see in this [line](somewhere.md), **really**.\n" * 200
    text = filling + "\n- The [drag](x.md) of a *wing* is what counts.\n\n" + filling
    found = passage(text, "drag wing")
    assert found is not None
    assert "The drag of a wing is what counts." in found.text
    assert len(found.text) <= PASSAGE_CHARS
    assert [found.text[start:end] for start, end in found.marks] == ["drag", "wing"]


def test_a_word_that_stands_in_an_address_alone_is_shown_where_it_is() -> None:
    found = passage("See [this](https://example.com/drag/table.html).", "drag")
    assert found is not None
    assert [found.text[start:end] for start, end in found.marks] == ["drag"]


def test_a_passage_begins_at_a_sentence_or_a_word_also_inside_of_a_link() -> None:
    before = "Long before that, nobody knew. " * 20
    found = passage(before + "A *turbulent* layer has more drag.", "drag")
    assert found is not None
    assert found.text.strip().startswith("A turbulent layer")
    found = passage("word " * 60 + "[some words that go on and on and on about the drag](x.md) of it", "drag")
    assert found is not None
    assert "](" not in found.text
