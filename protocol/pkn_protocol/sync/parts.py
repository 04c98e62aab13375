"""Blocks in messages of bounded size."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pkn_protocol.channel import messages as m


def in_parts(blocks: Sequence[bytes]) -> Iterable[tuple[bytes, ...]]:
    """Blocks in messages of bounded size."""
    part: list[bytes] = []
    size = 0
    for block in blocks:
        if part and (size + len(block) > m.MOST_RECORD_BYTES or len(part) >= m.MOST_FETCHED):
            yield tuple(part)
            part, size = [], 0
        part.append(block)
        size += len(block)
    if part:
        yield tuple(part)
