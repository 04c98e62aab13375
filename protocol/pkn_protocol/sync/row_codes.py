"""The first level of a comparison: which rows differ (SPEC, Reconciliation).

The responder tells its rows, as symbols or as a list; the initiator finds the differences.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pkn_protocol.channel.errors import ChannelError, CloseCode
from pkn_protocol.channel.messages import MOST_DATA_BYTES, Form, MoreRows, Rows
from pkn_protocol.number_sets import are_among, without
from pkn_protocol.sync.pace import FIRST_SYMBOLS, MOST_ASKS, most_symbols, next_symbols
from pkn_protocol.sync.rateless import Decoder, Encoder
from pkn_protocol.sync.rows import MOST_COMPARED_ROWS, NAME_BYTES, Key, SumTable, row_items
from pkn_protocol.sync.siphash import ITEM_BYTES, Words
from pkn_protocol.sync.symbols import SYMBOL_BYTES, Symbols


@dataclass(frozen=True, slots=True)
class RowDifference:
    """Own rows that the other side has not, or not so; and the names of the other side's, 4 bytes each."""

    here: tuple[Key, ...]
    there: bytes


class RowSource:
    """The responder's rows."""

    def __init__(self, number: int, key: bytes, rows: SumTable) -> None:
        self._number = number
        self._items = row_items(key, rows)
        self._keys = tuple(rows)
        self._encoder = Encoder(key, [self._items])
        self._asks = 0
        self._listed = False

    def first(self) -> Iterator[Rows]:
        if len(self._items) * ITEM_BYTES <= FIRST_SYMBOLS * SYMBOL_BYTES:
            return self._list()
        return self._symbols(FIRST_SYMBOLS)

    def more(self, ask: MoreRows) -> Iterator[Rows]:
        """Raises ChannelError: asked too often, for too much, or again for what was all."""
        self._asks += 1
        if self._listed or self._asks > MOST_ASKS + 1:
            raise ChannelError(CloseCode.BAD_MESSAGE, "rows are asked for once more than can be of use")
        if ask.count == 0:
            return self._list()
        if self._encoder.made[0] + ask.count > most_symbols(len(self._items)):
            raise ChannelError(CloseCode.OVER_BUDGET, "more symbols of rows are asked for than a list costs")
        return self._symbols(ask.count)

    def named(self, names: bytes) -> list[Key]:
        """The rows whose items begin with one of the names."""
        wanted = np.frombuffer(names, "<u4").astype(np.uint32)
        own = (self._items & np.uint64((1 << (8 * NAME_BYTES)) - 1)).astype(np.uint32)
        return [self._keys[place] for place in np.flatnonzero(are_among(own, wanted)).tolist()]

    def _symbols(self, count: int) -> Iterator[Rows]:
        return self._messages(Form.CODE, self._encoder.take(np.array([count])).to_bytes(), SYMBOL_BYTES)

    def _list(self) -> Iterator[Rows]:
        self._listed = True
        return self._messages(Form.SHORT, self._items.astype("<u8").tobytes(), ITEM_BYTES)

    def _messages(self, form: Form, data: bytes, unit: int) -> Iterator[Rows]:
        size = MOST_DATA_BYTES // unit * unit
        for at in range(0, max(1, len(data)), size):
            more = at + size < len(data)
            yield Rows(self._number, len(self._items), form, data[at : at + size], more)


class RowSolver:
    """The initiator's side: its own rows, and what comes of the other's."""

    def __init__(self, key: bytes, rows: SumTable) -> None:
        self._key = key
        self._keys = tuple(rows)
        self._items = row_items(key, rows)
        self._decoder: Decoder | None = None
        self._total: int | None = None
        self._form: Form | None = None
        self._expected = FIRST_SYMBOLS
        self._data: list[bytes] = []
        self._asks = 0

    def take(self, rows: Rows) -> RowDifference | int | None:
        """The difference; or how many more symbols to ask for, 0 for the list; None: more messages follow.

        Raises:
            ChannelError: too many rows, another form or amount than was asked for, totals that do not agree.
        """
        if self._total is None:
            if rows.total > MOST_COMPARED_ROWS:
                raise ChannelError(CloseCode.OVER_BUDGET, f"{rows.total} rows in a comparison")
            self._total = rows.total
        if rows.form not in (Form.CODE, Form.SHORT) or rows.total != self._total:
            raise ChannelError(CloseCode.BAD_MESSAGE, "rows of another form or number")
        if self._form is None:
            # What comes first may be either; later it is what was asked for.
            self._form = rows.form
        if rows.form is not self._form:
            raise ChannelError(CloseCode.BAD_MESSAGE, "rows in another form than was asked for")
        self._data.append(rows.data)
        size = sum(map(len, self._data))
        whole = self._expected * SYMBOL_BYTES if rows.form is Form.CODE else self._total * ITEM_BYTES
        if size > whole or (size < whole and not rows.more) or (rows.more and not rows.data):
            raise ChannelError(CloseCode.BAD_MESSAGE, "other than the amount of rows that was asked for")
        if rows.more:
            return None
        data, self._data = b"".join(self._data), []
        return self._of_list(data) if rows.form is Form.SHORT else self._of_symbols(data, self._total)

    def _of_list(self, data: bytes) -> RowDifference:
        theirs = np.frombuffer(data, "<u8").astype(np.uint64)
        return self._difference(without(theirs, self._items), without(self._items, theirs))

    def _of_symbols(self, data: bytes, total: int) -> RowDifference | int:
        if self._decoder is None:
            self._decoder = Decoder(self._key, [self._items], [total])
        decoder = self._decoder
        decoder.add(Symbols.from_bytes(data), np.array([self._expected]))
        there, here = decoder.differences()
        if decoder.complete()[0] and len(self._items) - len(here[0]) + len(there[0]) == total:
            return self._difference(there[0], here[0])
        made, estimate = int(decoder.lengths[0]), float(decoder.estimates()[0])
        self._expected = next_symbols(made, estimate, total, self._asks)
        self._form = Form.CODE if self._expected else Form.SHORT
        self._asks += 1
        return self._expected

    def _difference(self, there: Words, here: Words) -> RowDifference:
        places = np.flatnonzero(are_among(self._items, here)).tolist()
        names = there.astype("<u8").tobytes()
        return RowDifference(
            tuple(self._keys[place] for place in places),
            b"".join(names[at : at + NAME_BYTES] for at in range(0, len(names), ITEM_BYTES)),
        )
