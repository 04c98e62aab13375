"""Prints the table of pkn_protocol/text/unassigned.py; only a Python with Unicode 14.0 (3.11) can.

    python -m tests.protocol.text.make_unassigned

Each range of code points of general category Cn is written as its start less the end of the range before it
(0 before the first), a dash, and its length less one; both in base 36.
"""

from __future__ import annotations

import sys
import unicodedata

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


def unassigned_ranges() -> list[tuple[int, int]]:
    """First and last code point of each range that this Python's Unicode does not assign."""
    ranges: list[tuple[int, int]] = []
    for point in range(sys.maxunicode + 1):
        if unicodedata.category(chr(point)) != "Cn":
            continue
        if ranges and ranges[-1][1] == point - 1:
            ranges[-1] = (ranges[-1][0], point)
        else:
            ranges.append((point, point))
    return ranges


def table(ranges: list[tuple[int, int]]) -> str:
    """The ranges as they are written in the module."""
    ends = [0, *(last for _, last in ranges)]
    return " ".join(
        f"{_base_36(first - end)}-{_base_36(last - first)}"
        for (first, last), end in zip(ranges, ends, strict=False)
    )


def _base_36(number: int) -> str:
    head, last = divmod(number, 36)
    return (_base_36(head) if head else "") + _DIGITS[last]


if __name__ == "__main__":
    if unicodedata.unidata_version != "14.0.0":
        sys.exit(
            f"this Python has Unicode {unicodedata.unidata_version}; the table is of 14.0.0 (Python 3.11)"
        )
    print(table(unassigned_ranges()))
