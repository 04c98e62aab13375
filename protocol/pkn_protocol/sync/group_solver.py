"""The second level of a comparison, the responder's side: which ids differ (SPEC, Reconciliation)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from pkn_protocol.channel.errors import ChannelError, CloseCode
from pkn_protocol.channel.messages import Form, Group, IdsAsk, Part
from pkn_protocol.number_sets import are_among
from pkn_protocol.records.ids import Cid, ShortId, cid_digest, record_cid, short_id
from pkn_protocol.sync.groups import UNIT_BYTES, IdTable, in_parts, whole_data
from pkn_protocol.sync.pace import FIRST_SYMBOLS, next_symbols
from pkn_protocol.sync.rateless import Decoder
from pkn_protocol.sync.rows import MOST_COMPARED_ROWS, Key
from pkn_protocol.sync.short_ids import are_distinct, cut, short_ids, shorts_of
from pkn_protocol.sync.siphash import Words
from pkn_protocol.sync.symbols import SYMBOL_BYTES, Symbols


@dataclass(slots=True)
class _Group:
    """One group: what the initiator says of it, and what is asked for now."""

    rows: tuple[Key, ...]
    total: int
    form: Form
    expected: int
    """Bytes of the form that are to come."""
    data: bytearray
    ids: list[Cid] = field(default_factory=list)
    shorts: Words = field(default_factory=lambda: np.empty(0, np.uint64))
    asks: int = 0
    lacked_here: tuple[ShortId | Cid, ...] = ()
    lacked_there: bytes = b""
    lacked_form: Form = Form.SHORT

    def compare_list(self, own: Sequence[bytes]) -> None:
        """What a whole list lacks, and what is lacking here; both in the order of the lists, newest first.

        Raises:
            ChannelError: the list holds something twice.
        """
        theirs = dict.fromkeys(cut(bytes(self.data), UNIT_BYTES[self.form]))
        if len(theirs) != self.total:
            raise ChannelError(CloseCode.BAD_MESSAGE, "a list with the same id twice")
        held = dict.fromkeys(own)
        lacked = (name for name in theirs if name not in held)
        self.lacked_here = tuple(map(record_cid if self.form is Form.WHOLE else ShortId, lacked))
        self.lacked_there = b"".join(name for name in held if name not in theirs)
        self.lacked_form = self.form


class GroupSolver:
    """Takes groups and their parts; asks for more until the differences of each are known."""

    def __init__(self, key: bytes, most_ids: int) -> None:
        self._key = key
        self._most_ids = most_ids
        self._groups: list[_Group] = []
        self._total = 0
        self._rows: set[Key] = set()
        self._decoder: Decoder | None = None
        self._places: dict[int, int] = {}
        """Of coded groups, in the decoder."""
        self._open: set[int] = set()

    @property
    def rows(self) -> tuple[Key, ...]:
        """The rows of all groups."""
        return tuple(row for group in self._groups for row in group.rows)

    def take_group(self, group: Group) -> None:
        """Raises ChannelError: more ids than are compared, or data that cannot be the first of its form."""
        rows = tuple((group.scope, group.author, period) for period in group.periods)
        self._total += group.total
        if not self._rows.isdisjoint(rows) or len(set(rows)) != len(rows):
            raise ChannelError(CloseCode.BAD_MESSAGE, "a row is in two groups")
        self._rows.update(rows)
        if len(self._rows) > MOST_COMPARED_ROWS:
            raise ChannelError(CloseCode.OVER_BUDGET, f"more than {MOST_COMPARED_ROWS} rows in a comparison")
        if self._total > self._most_ids:
            raise ChannelError(CloseCode.OVER_BUDGET, f"more than {self._most_ids} ids in a comparison")
        if group.form is Form.PRINT:
            raise ChannelError(CloseCode.BAD_MESSAGE, "ids in a form that was not asked for")
        expected = group.total * UNIT_BYTES[group.form]
        if group.form is Form.CODE:
            # How many come unasked is the sender's choice within this; a beginning has no further parts.
            expected = len(group.data)
            if not 0 < expected <= FIRST_SYMBOLS * SYMBOL_BYTES:
                raise ChannelError(CloseCode.BAD_MESSAGE, "a first code of no or too many symbols")
        self._groups.append(_Group(rows, group.total, group.form, expected, bytearray(group.data)))
        self._open.add(len(self._groups) - 1)

    def take_part(self, part: Part) -> None:
        """Raises ChannelError: data that was not asked for."""
        if part.group not in self._open:
            raise ChannelError(CloseCode.BAD_MESSAGE, "a part of a group that was not asked for")
        group = self._groups[part.group]
        if part.form is not group.form or len(group.data) + len(part.data) > group.expected:
            raise ChannelError(CloseCode.BAD_MESSAGE, "another form or amount of ids than was asked for")
        group.data += part.data

    def check_whole(self) -> None:
        """Raises ChannelError: the last message came, and something is missing."""
        if any(len(self._groups[number].data) != self._groups[number].expected for number in self._open):
            raise ChannelError(CloseCode.BAD_MESSAGE, "fewer ids came than were asked for")

    def own_ids(self, ids: IdTable) -> list[IdsAsk]:
        """The own ids of the groups' rows are known: what to ask for, nothing when all is solved."""
        for number, group in enumerate(self._groups):
            group.ids = [cid for row in group.rows for cid in ids.get(row, ())]
            group.shorts = shorts_of(group.ids)
            if group.form is Form.CODE:
                self._places[number] = len(self._places)
        coded = [self._groups[number] for number in self._places]
        self._decoder = Decoder(
            self._key, [group.shorts for group in coded], [group.total for group in coded]
        )
        return self.solve()

    def solve(self) -> list[IdsAsk]:
        """All that was asked for has come: what to ask for next, nothing when all is solved."""
        asks: list[IdsAsk] = []
        current = sorted(self._open)
        coded = [number for number in current if self._groups[number].form is Form.CODE]
        asks += self._solve_codes(coded)
        for number in current:
            if self._groups[number].form is not Form.CODE:
                asks += self._solve_list(number)
        # Only now, since the next form of a group is another one.
        for ask in asks:
            group = self._groups[ask.group]
            group.form, group.data = ask.form, bytearray()
            group.asks += 1
            count = ask.count if ask.form is Form.CODE else group.total
            group.expected = UNIT_BYTES[ask.form] * (1 if ask.form is Form.PRINT else count)
        self._open = {ask.group for ask in asks}
        return asks

    def lacked_here(self) -> Iterator[tuple[tuple[Key, ...], tuple[ShortId | Cid, ...]]]:
        """By group: its rows, and what of them the other side alone holds."""
        for group in self._groups:
            if group.lacked_here:
                yield group.rows, group.lacked_here

    def lacked_there(self) -> Iterator[Part]:
        """What the other side lacks."""
        for number, group in enumerate(self._groups):
            if group.lacked_there:
                yield from in_parts(number, group.lacked_form, group.lacked_there)

    def _solve_codes(self, numbers: Sequence[int]) -> Iterator[IdsAsk]:
        if self._decoder is None or not numbers:
            return
        counts = np.zeros(len(self._places), np.int64)
        for number in numbers:
            counts[self._places[number]] = len(self._groups[number].data) // SYMBOL_BYTES
        data = b"".join(self._groups[number].data for number in numbers)
        self._decoder.add(Symbols.from_bytes(data), counts)
        complete, estimates = self._decoder.complete(), self._decoder.estimates()
        there, here = self._decoder.differences()
        for number in numbers:
            group, place = self._groups[number], self._places[number]
            if not are_distinct(group.shorts):
                yield IdsAsk(number, Form.WHOLE)
            elif complete[place] and len(group.ids) - len(here[place]) + len(there[place]) == group.total:
                yield from self._solve_differences(number, there[place], here[place])
            else:
                made = int(self._decoder.lengths[place])
                count = next_symbols(made, float(estimates[place]), group.total, group.asks)
                yield IdsAsk(number, Form.CODE, count) if count else IdsAsk(number, Form.SHORT)

    def _solve_list(self, number: int) -> Iterator[IdsAsk]:
        group = self._groups[number]
        match group.form:
            case Form.SHORT if not are_distinct(group.shorts):
                yield IdsAsk(number, Form.WHOLE)
            case Form.SHORT:
                group.compare_list(list(map(short_id, group.ids)))
                if not group.lacked_here and not group.lacked_there:
                    yield IdsAsk(number, Form.PRINT)
            case Form.WHOLE:
                group.compare_list(list(map(cid_digest, group.ids)))
            case Form.PRINT:
                # Equal: what made the rows differ has come, or gone, in the meantime.
                if bytes(group.data) != whole_data(Form.PRINT, group.ids):
                    yield IdsAsk(number, Form.WHOLE)
            case Form.CODE:
                raise ValueError("a code is no list")

    def _solve_differences(self, number: int, there: Words, here: Words) -> Iterator[IdsAsk]:
        group = self._groups[number]
        if not len(there) and not len(here):
            # The rows differ and the short ids do not.
            yield IdsAsk(number, Form.PRINT)
            return
        group.lacked_here = short_ids(there)
        # In the order of the rows, newest first.
        group.lacked_there = group.shorts[are_among(group.shorts, here)].astype("<u8").tobytes()
