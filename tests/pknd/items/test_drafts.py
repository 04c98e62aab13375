"""What is signed of a captured item: others must come to the same sketch."""

from __future__ import annotations

import pytest

from pkn_protocol.records import limits
from pkn_protocol.text.sketch import agrees_with_text
from pknd.capture.captured import ANALYSED_TEXT_BYTES, Captured, ItemKind
from pknd.items.drafts import analyse_captured, analysed_part, item_body


@pytest.mark.parametrize(
    ("title", "text"),
    [
        ("On drag", "The boundary layer separates."),
        ("  Two \t lines\nof title ", "body"),
        ("word " * 400, "A title that is cut where it is signed."),
        ("", "no title"),
    ],
)
def test_a_reader_of_record_and_text_makes_the_same_sketch(title: str, text: str) -> None:
    captured = Captured(ItemKind.NOTE, title, "text/markdown", text=text, data=text.encode())
    body = item_body(captured, analyse_captured([captured], default_lang="en")[0], payload=None)
    assert body.sketch is not None
    assert body.lang is not None
    assert len(body.title.encode()) <= limits.TITLE_BYTES
    assert agrees_with_text(body.sketch, body.title, text, body.lang)
    assert not agrees_with_text(body.sketch, body.title, text + " turbulence", body.lang)


def test_a_very_long_text_is_read_up_to_a_whole_code_point() -> None:
    text = "я" * (ANALYSED_TEXT_BYTES // 2 - 1) + "x" + "я" * 5
    assert len(analysed_part(text).encode()) == ANALYSED_TEXT_BYTES - 1
    assert analysed_part("short") == "short"
