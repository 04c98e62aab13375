"""What a comparison says at its second level, in messages of bounded size."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

from pkn_protocol.channel.messages import (
    MOST_DATA_BYTES,
    MOST_PARTS,
    Group,
    Groups,
    IdsAsk,
    Lacks,
    MoreIds,
    Part,
    Parts,
    RowIds,
)
from pkn_protocol.sync.rows import NAME_BYTES
from pkn_protocol.sync.short_ids import cut

_T = TypeVar("_T", bound=Group | Part | RowIds)
_ENVELOPE_BYTES, _PERIOD_BYTES = 48, 5
"""What a part takes beside its data, and a group for each period, at most."""
_NAMES_AT_ONCE = 16_384
"""64 KiB, which fit in beside groups."""


def groups_messages(
    number: int, names: bytes, groups: Sequence[Group], rest: Sequence[Part]
) -> Iterator[Groups | Parts]:
    """Groups with the names of rows, and what of the groups' data found no place there."""
    *full, last = cut(names, _NAMES_AT_ONCE * NAME_BYTES) or [b""]
    for part in full:
        yield Groups(number, part, (), more=True)
    for some, more in _bundles(groups):
        yield Groups(number, last, tuple(some), more=more or bool(rest))
        last = b""
    if rest:
        yield from parts_messages(number, rest)


def parts_messages(number: int, parts: Iterable[Part]) -> Iterator[Parts]:
    for some, more in _bundles(parts):
        yield Parts(number, tuple(some), more)


def asks_messages(number: int, asks: Sequence[IdsAsk]) -> Iterator[MoreIds]:
    for at in range(0, len(asks), MOST_PARTS):
        yield MoreIds(number, tuple(asks[at : at + MOST_PARTS]), more=at + MOST_PARTS < len(asks))


def lacks_messages(number: int, groups: Sequence[Part], rows: Sequence[RowIds]) -> Iterator[Lacks]:
    parts: list[Part | RowIds] = [*groups, *rows]
    for some, more in _bundles(parts):
        yield Lacks(
            number,
            tuple(part for part in some if isinstance(part, Part)),
            tuple(part for part in some if isinstance(part, RowIds)),
            more,
        )


def _bundles(parts: Iterable[_T]) -> Iterator[tuple[list[_T], bool]]:
    """Parts for one message each time, and whether more follow; at least one, be it empty."""
    bundle: list[_T] = []
    room = MOST_DATA_BYTES
    for part in parts:
        periods = len(part.periods) if isinstance(part, Group) else 0
        size = len(part.data) + _ENVELOPE_BYTES + periods * _PERIOD_BYTES
        if bundle and (size > room or len(bundle) >= MOST_PARTS):
            yield bundle, True
            bundle, room = [], MOST_DATA_BYTES
        bundle.append(part)
        room -= size
    yield bundle, False
