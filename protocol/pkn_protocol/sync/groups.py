"""The second level of a comparison, the initiator's side: ids of the rows that differ (SPEC, Reconciliation).

A group are the rows of one author in one scope; standing records make groups of their own, since they are
wanted first. Each group has a code of its own, so that an author can spoil only their own rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypeAlias

import numpy as np

from pkn_protocol.channel.errors import ChannelError, CloseCode
from pkn_protocol.channel.messages import MOST_DATA_BYTES, MOST_PERIODS, Form, Group, IdsAsk, Part
from pkn_protocol.records.ids import SHORT_BYTES, Cid, cid_digest
from pkn_protocol.sync.pace import MOST_ASKS, first_symbols, most_symbols
from pkn_protocol.sync.rateless import Encoder
from pkn_protocol.sync.rows import Key
from pkn_protocol.sync.short_ids import DIGEST_BYTES, PRINT_BYTES, are_distinct, print_of, shorts_of
from pkn_protocol.sync.symbols import SYMBOL_BYTES

IdTable: TypeAlias = Mapping[Key, Sequence[Cid]]
LISTED_AT_ONCE = 30
"""Where few groups differ, one of no more ids goes as a list at once: a round trip less, or bytes."""
_MOSTLY_NEW, _NEW_LISTED = 4, 1024
"""If the other side can have less than a fourth of the rows, groups of up to so many ids go as lists."""
UNIT_BYTES: Mapping[Form, int] = {
    Form.CODE: SYMBOL_BYTES,
    Form.SHORT: SHORT_BYTES,
    Form.WHOLE: DIGEST_BYTES,
    Form.PRINT: PRINT_BYTES,
}


def newest_first(key: Key) -> tuple[bool, int, bytes, bytes]:
    """Sorts rows. Standing records (period 0) before all: they say whose devices are whose."""
    return (key[2] != 0, -key[2], key[0], key[1])


def grouped(rows: Iterable[Key]) -> list[list[Key]]:
    """Rows by author, scope and whether they are standing; in the order in which the groups appear."""
    groups: dict[tuple[bytes, bytes, bool, int], list[Key]] = {}
    sizes: dict[tuple[bytes, bytes, bool], int] = {}
    for row in rows:
        kind = (row[0], row[1], row[2] == 0)
        number = sizes.get(kind, 0)
        sizes[kind] = number + 1
        groups.setdefault((*kind, number // MOST_PERIODS), []).append(row)
    return list(groups.values())


def whole_data(form: Form, ids: Sequence[Cid]) -> bytes:
    """All of a set of ids in a form that is no code."""
    match form:
        case Form.SHORT:
            return shorts_of(ids).astype("<u8").tobytes()
        case Form.WHOLE:
            return b"".join(map(cid_digest, ids))
        case Form.PRINT:
            return print_of(ids)
        case Form.CODE:
            raise ValueError("a code has no end")


def in_parts(group: int, form: Form, data: bytes) -> Iterator[Part]:
    """The data of one group, cut to fit into messages; at least one part."""
    size = MOST_DATA_BYTES // UNIT_BYTES[form] * UNIT_BYTES[form]
    for at in range(0, max(1, len(data)), size):
        yield Part(group, form, data[at : at + size])


class GroupSource:
    """The initiator's ids of the rows that differ.

    Of no more than `rows_there` of them has the other side a version of its own.
    """

    def __init__(self, key: bytes, rows: Sequence[Key], ids: IdTable, *, rows_there: int) -> None:
        self._rows = grouped(rows)
        self._ids = [[cid for row in group for cid in ids.get(row, ())] for group in self._rows]
        shorts = [shorts_of(group) for group in self._ids]
        first = first_symbols(len(self._rows))
        # What is not there at all is shortest as a list, which is as long as what is then fetched.
        listed = _listed_at_once(first) if rows_there * _MOSTLY_NEW > len(rows) else _NEW_LISTED
        if rows_there == 0:
            listed = max(map(len, shorts), default=0)
        self._forms = [
            Form.WHOLE if not are_distinct(group) else Form.SHORT if len(group) <= listed else Form.CODE
            for group in shorts
        ]
        self._coded = [number for number, form in enumerate(self._forms) if form is Form.CODE]
        self._set_of = {number: place for place, number in enumerate(self._coded)}
        self._encoder = Encoder(key, [shorts[number] for number in self._coded])
        self._first = first
        self._asked: dict[int, int] = {}
        self._given: set[tuple[int, Form]] = {
            (number, form) for number, form in enumerate(self._forms) if form is not Form.CODE
        }

    def __len__(self) -> int:
        return len(self._rows)

    def rows(self, number: int) -> Sequence[Key]:
        return self._rows[number]

    def first(self) -> tuple[list[Group], list[Part]]:
        """All groups with the beginning of their data; and what did not fit there, to follow as parts."""
        codes = self._take(dict.fromkeys(self._coded, self._first))
        groups, rest = [], []
        for number, (rows, ids, form) in enumerate(zip(self._rows, self._ids, self._forms, strict=True)):
            data = codes[number] if form is Form.CODE else whole_data(form, ids)
            head, *tail = in_parts(number, form, data)
            periods = tuple(row[2] for row in rows)
            groups.append(Group(rows[0][0], rows[0][1], periods, len(ids), form, head.data))
            rest += tail
        return groups, rest

    def answer(self, asks: Sequence[IdsAsk]) -> Iterator[Part]:
        """Raises ChannelError: a group that is not there, or asked for too often, too much, or twice."""
        codes = self._take(self._checked(asks))
        for ask in asks:
            if ask.form is Form.CODE:
                yield from in_parts(ask.group, ask.form, codes[ask.group])
            else:
                yield from in_parts(ask.group, ask.form, whole_data(ask.form, self._ids[ask.group]))

    def _checked(self, asks: Sequence[IdsAsk]) -> dict[int, int]:
        symbols: dict[int, int] = {}
        if len({ask.group for ask in asks}) != len(asks):
            raise ChannelError(CloseCode.BAD_MESSAGE, "ids of a group are asked for twice at once")
        for ask in asks:
            if ask.group >= len(self._rows):
                raise ChannelError(CloseCode.BAD_MESSAGE, "ids of a group that is not there")
            self._asked[ask.group] = self._asked.get(ask.group, 0) + 1
            if self._asked[ask.group] > MOST_ASKS + len(Form):
                raise ChannelError(CloseCode.OVER_BUDGET, "ids of one group are asked for too often")
            if ask.form is not Form.CODE:
                if ask.count or (ask.group, ask.form) in self._given:
                    raise ChannelError(CloseCode.BAD_MESSAGE, "a list of ids is asked for twice")
                self._given.add((ask.group, ask.form))
                continue
            place = self._set_of.get(ask.group)
            if place is None or not 0 < ask.count <= self._symbols_left(place):
                raise ChannelError(CloseCode.BAD_MESSAGE, "symbols that there are not")
            symbols[ask.group] = ask.count
        return symbols

    def _symbols_left(self, place: int) -> int:
        return most_symbols(int(self._encoder.sizes[place])) - int(self._encoder.made[place])

    def _take(self, counts: Mapping[int, int]) -> dict[int, bytes]:
        """The next symbols of groups."""
        each = np.zeros(len(self._coded), np.int64)
        for number, count in counts.items():
            each[self._set_of[number]] = count
        data = self._encoder.take(each).to_bytes()
        ends = np.cumsum(each) * SYMBOL_BYTES
        found = {}
        for number, count in counts.items():
            end = int(ends[self._set_of[number]])
            found[number] = data[end - count * SYMBOL_BYTES : end]
        return found


def _listed_at_once(first: int) -> int:
    """Up to how many ids a list is sent rather than so many first symbols."""
    return min(LISTED_AT_ONCE, first * SYMBOL_BYTES // SHORT_BYTES)
