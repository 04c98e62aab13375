"""The code points of Unicode 14.0 mean the same on every Python."""

from __future__ import annotations

import hashlib
import sys
import unicodedata

import pytest

from pkn_protocol.text.unassigned import _RANGES, UNASSIGNED
from tests.protocol.text.make_unassigned import table, unassigned_ranges

CLASSES_SHA256 = "71e72a91d6438177f958093664f12a225dd9832f96a02d2394f473c4b96f3241"
"""SPEC, Text: SHA-256 of one byte a code point: 0 unassigned, 1 letter, mark or number, 2 other."""


def test_every_code_point_is_unassigned_inside_a_word_or_outside_as_in_unicode_14() -> None:
    classes = bytes(
        0 if UNASSIGNED.match(char) else 1 if unicodedata.category(char)[0] in "LMN" else 2
        for char in map(chr, range(sys.maxunicode + 1))
    )
    assert hashlib.sha256(classes).hexdigest() == CLASSES_SHA256


@pytest.mark.skipif(
    unicodedata.unidata_version != "14.0.0", reason="the table is of Unicode 14.0 (Python 3.11)"
)
def test_the_table_of_unassigned_code_points_is_the_one_that_is_generated() -> None:
    ranges = unassigned_ranges()
    assert sum(last - first + 1 for first, last in ranges) == 829_834
    assert table(ranges).split() == _RANGES.split()


@pytest.mark.parametrize("char", ["\u0378", "\u1c8a", "\U0001fae8", "\U0001e5d0", "\U00031350", "\U000105c0"])
def test_what_later_versions_assign_is_unassigned_here(char: str) -> None:
    assert UNASSIGNED.fullmatch(char)
