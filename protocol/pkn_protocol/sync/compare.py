"""Comparing what two sides hold: root, rows, ids (SPEC, Reconciliation). Machines without I/O.

    A  compare(at, wants, root) -->
       <-- same, or stale, or rows (symbols; more of them when asked)
       groups (rows that differ, with symbols of their ids) -->
       <-- more_ids, as long as some cannot be solved
       parts -->
       <-- lacks (what A lacks)

Then each side fetches what it lacks. The owner carries out the effects in their order; it gives rows and ids
when the machine asks, and abandons a comparison that does not end.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import TypeAlias

from pkn_protocol.channel.errors import ChannelError, CloseCode
from pkn_protocol.channel.messages import (
    Compare,
    Form,
    Groups,
    IdsAsk,
    Lacks,
    Message,
    MoreIds,
    MoreRows,
    Parts,
    RowIds,
    Rows,
    Same,
    Stale,
)
from pkn_protocol.records.ids import Cid, ShortId, record_cid
from pkn_protocol.sync.bundles import asks_messages, groups_messages, lacks_messages, parts_messages
from pkn_protocol.sync.group_solver import GroupSolver
from pkn_protocol.sync.groups import UNIT_BYTES, GroupSource, IdTable, in_parts, newest_first, whole_data
from pkn_protocol.sync.row_codes import RowDifference, RowSolver, RowSource
from pkn_protocol.sync.rows import NAME_BYTES, ConnectionRoot, Key, SumTable, comparison_key
from pkn_protocol.sync.short_ids import DIGEST_BYTES, are_distinct, cut, shorts_of

MOST_LISTED_IDS = 1_000_000
"""In one comparison and direction; rows that would exceed it wait for the next one."""


class NeedRows(Enum):
    """The owner shall give all rows to `own_rows`."""

    ALL = auto()


@dataclass(frozen=True, slots=True)
class NeedIds:
    """The owner shall give the ids of these rows to `own_ids`, newest first in each row."""

    rows: tuple[Key, ...]


@dataclass(frozen=True, slots=True)
class LackingRow:
    """Ids of one author in one scope that are held there and not here, by short id or whole.

    `period` is the newest of the periods that they may lie in.
    """

    scope: bytes
    author: bytes
    period: int
    ids: tuple[ShortId | Cid, ...]


@dataclass(frozen=True, slots=True)
class Lacking:
    """The comparison is done: what is held there and not here, in the order to fetch it.

    `partial`: there was too much for one comparison; another one should follow when this is fetched.
    """

    rows: tuple[LackingRow, ...]
    partial: bool = False


class Ended(Enum):
    """It ended before rows were compared."""

    SAME = auto()
    STALE = auto()


Effect: TypeAlias = Message | NeedRows | NeedIds | Lacking | Ended
Effects: TypeAlias = tuple[Effect, ...]


class _Phase(Enum):
    ROOT = auto()
    OWN_ROWS = auto()
    ROWS = auto()
    GROUPS = auto()
    OWN_IDS = auto()
    IDS = auto()
    OVER = auto()


class Initiator:
    """The side that begins. `session` is the connection's transcript, which both nonces went into; `root`
    that of the rows of authors that both want, at the instant `at`."""

    def __init__(
        self, number: int, *, session: bytes, at: int, mine: int, yours: int, root: ConnectionRoot
    ) -> None:
        self.number = number
        self.at = at
        self._key = comparison_key(session, number)
        self._compare = Compare(number, at, mine, yours, root.digest(self._key))
        self._phase = _Phase.ROOT
        self._early: list[Rows] = []
        self._own: SumTable = {}
        self._solver: RowSolver | None = None
        self._difference = RowDifference((), b"")
        self._groups: GroupSource | None = None
        self._asks: list[IdsAsk] = []
        self._lacking: dict[int, list[ShortId | Cid]] = {}
        self._lacking_rows: list[LackingRow] = []
        self._left = MOST_LISTED_IDS
        self._partial = False

    def start(self) -> Compare:
        return self._compare

    def receive(self, message: Message) -> Effects:
        """Raises ChannelError: what the message says is wrong, too much, or not to be said now."""
        match message, self._phase:
            case Same(), _Phase.ROOT:
                return self._end(Ended.SAME)
            case Stale(), _Phase.ROOT:
                return self._end(Ended.STALE)
            case Rows(), _Phase.ROOT:
                self._phase = _Phase.OWN_ROWS
                self._early.append(message)
                return (NeedRows.ALL,)
            case Rows(), _Phase.OWN_ROWS if self._early[-1].more:
                self._early.append(message)
                return ()
            case Rows(), _Phase.ROWS:
                return self._on_rows(message)
            case MoreIds(), _Phase.IDS:
                return self._on_more_ids(message)
            case Lacks(), _Phase.IDS:
                return self._on_lacks(message)
            case _:
                raise _unexpected(message)

    def own_rows(self, rows: SumTable) -> Effects:
        """The answer to `NeedRows`."""
        _expect(self._phase, _Phase.OWN_ROWS)
        self._phase = _Phase.ROWS
        self._own = rows
        self._solver = RowSolver(self._key, rows)
        early, self._early = self._early, []
        return tuple(effect for message in early for effect in self._on_rows(message))

    def own_ids(self, ids: IdTable) -> Effects:
        """The answer to `NeedIds`."""
        _expect(self._phase, _Phase.OWN_IDS)
        self._phase = _Phase.IDS
        rows = sorted(self._difference.here, key=newest_first)
        there = len(self._difference.there) // NAME_BYTES
        self._groups = GroupSource(self._key, rows, ids, rows_there=there)
        groups, rest = self._groups.first()
        return tuple(groups_messages(self.number, self._difference.there, groups, rest))

    def _on_rows(self, message: Rows) -> Effects:
        if self._solver is None:
            raise _unexpected(message)
        found = self._solver.take(message)
        if found is None:
            return ()
        if isinstance(found, int):
            return (MoreRows(self.number, found),)
        rows, self._partial = within_limit(found.here, self._own)
        self._difference = RowDifference(rows, found.there)
        self._phase = _Phase.OWN_IDS
        return (NeedIds(rows),)

    def _on_more_ids(self, message: MoreIds) -> Effects:
        if self._groups is None:
            raise _unexpected(message)
        self._asks += message.asks
        if len(self._asks) > len(self._groups):
            raise ChannelError(CloseCode.BAD_MESSAGE, "more groups are asked for than there are")
        if message.more:
            return ()
        asks, self._asks = self._asks, []
        return tuple(parts_messages(self.number, self._groups.answer(asks)))

    def _on_lacks(self, message: Lacks) -> Effects:
        if self._groups is None:
            raise _unexpected(message)
        for part in message.groups:
            if part.group >= len(self._groups):
                raise ChannelError(CloseCode.BAD_MESSAGE, "ids of a group that is not there")
            self._lacking.setdefault(part.group, []).extend(self._named(part.form, part.data))
        for row in message.rows:
            key = (row.scope, row.author, row.period)
            ids = self._named(row.form, row.data)
            # A row that is the same here was meant for another whose name begins alike.
            if key not in self._own:
                self._lacking_rows.append(LackingRow(*key, ids))
        if message.more:
            return ()
        for number, found in self._lacking.items():
            scope, author, _ = self._groups.rows(number)[0]
            period = max(period for _, _, period in self._groups.rows(number))
            self._lacking_rows.append(LackingRow(scope, author, period, tuple(found)))
        return self._end(_in_order(self._lacking_rows, self._partial))

    def _named(self, form: Form, data: bytes) -> tuple[ShortId | Cid, ...]:
        if form not in (Form.SHORT, Form.WHOLE) or not data:
            raise ChannelError(CloseCode.BAD_MESSAGE, "what is lacking is no list")
        self._left -= len(data) // UNIT_BYTES[form]
        if self._left < 0:
            raise ChannelError(CloseCode.OVER_BUDGET, f"more than {MOST_LISTED_IDS} ids in a comparison")
        if form is Form.WHOLE:
            return tuple(map(record_cid, cut(data, DIGEST_BYTES)))
        return tuple(map(ShortId, cut(data, UNIT_BYTES[form])))

    def _end(self, effect: Lacking | Ended) -> Effects:
        self._phase = _Phase.OVER
        return (effect,)


class Responder:
    """The other side, made when `compare` arrives and the versions of both wants are right."""

    def __init__(self, compare: Compare, *, session: bytes, root: ConnectionRoot) -> None:
        self.number = compare.number
        self.at = compare.at
        self._key = comparison_key(session, compare.number)
        self._same = compare.root == root.digest(self._key)
        self._phase = _Phase.ROOT
        self._own: SumTable = {}
        self._rows: RowSource | None = None
        self._solver = GroupSolver(self._key, MOST_LISTED_IDS)
        self._names = bytearray()
        self._unknown: tuple[Key, ...] = ()
        self._unknown_ids: dict[Key, Sequence[Cid]] = {}
        self._partial = False

    def start(self) -> Effects:
        _expect(self._phase, _Phase.ROOT)
        if self._same:
            self._phase = _Phase.OVER
            return (Same(self.number), Ended.SAME)
        self._phase = _Phase.OWN_ROWS
        return (NeedRows.ALL,)

    def own_rows(self, rows: SumTable) -> Effects:
        """The answer to `NeedRows`."""
        _expect(self._phase, _Phase.OWN_ROWS)
        self._phase = _Phase.ROWS
        self._own = rows
        self._rows = RowSource(self.number, self._key, rows)
        return tuple(self._rows.first())

    def receive(self, message: Message) -> Effects:
        """Raises ChannelError: what the message says is wrong, too much, or not to be said now."""
        match message, self._phase:
            case MoreRows(), _Phase.ROWS if self._rows is not None:
                return tuple(self._rows.more(message))
            case Groups(), _Phase.ROWS | _Phase.GROUPS:
                self._phase = _Phase.GROUPS
                self._take_names(message.rows)
                for group in message.groups:
                    self._solver.take_group(group)
                return () if message.more else self._groups_are_here()
            case Parts(), _Phase.GROUPS:
                self._take_parts(message)
                return () if message.more else self._groups_are_here()
            case Parts(), _Phase.IDS:
                self._take_parts(message)
                return () if message.more else self._parts_are_here()
            case _:
                raise _unexpected(message)

    def own_ids(self, ids: IdTable) -> Effects:
        """The answer to `NeedIds`."""
        _expect(self._phase, _Phase.OWN_IDS)
        self._phase = _Phase.IDS
        self._unknown_ids = {row: ids.get(row, ()) for row in self._unknown}
        return self._after(self._solver.own_ids(ids))

    def _take_names(self, names: bytes) -> None:
        self._names += names
        if len(names) % NAME_BYTES or len(self._names) > len(self._own) * NAME_BYTES:
            raise ChannelError(CloseCode.BAD_MESSAGE, "names of more rows than were told")

    def _take_parts(self, message: Parts) -> None:
        for part in message.parts:
            self._solver.take_part(part)

    def _groups_are_here(self) -> Effects:
        self._solver.check_whole()
        listed = self._solver.rows
        known = set(listed)
        if self._rows is None:
            raise ValueError("groups before rows")
        # Of the rows that differ those which the other side has too are in its groups.
        unknown = [row for row in self._rows.named(bytes(self._names)) if row not in known]
        self._unknown, self._partial = within_limit(unknown, self._own)
        self._phase = _Phase.OWN_IDS
        return (NeedIds((*listed, *self._unknown)),)

    def _parts_are_here(self) -> Effects:
        self._solver.check_whole()
        return self._after(self._solver.solve())

    def _after(self, asks: list[IdsAsk]) -> Effects:
        if asks:
            return tuple(asks_messages(self.number, asks))
        self._phase = _Phase.OVER
        rows = [
            LackingRow(rows[0][0], rows[0][1], max(row[2] for row in rows), ids)
            for rows, ids in self._solver.lacked_here()
        ]
        return (*self._lacks(), _in_order(rows, self._partial))

    def _lacks(self) -> Iterator[Message]:
        rows = []
        for (scope, author, period), ids in self._unknown_ids.items():
            form = Form.SHORT if are_distinct(shorts_of(ids)) else Form.WHOLE
            data = whole_data(form, ids)
            rows += [
                RowIds(scope, author, period, form, part.data) for part in in_parts(0, form, data) if ids
            ]
        return lacks_messages(self.number, list(self._solver.lacked_there()), rows)


def within_limit(rows: Iterable[Key], counts: SumTable) -> tuple[tuple[Key, ...], bool]:
    """The newest rows that have no more ids together than are compared at once; and whether some are left."""
    kept: list[Key] = []
    left = MOST_LISTED_IDS
    for row in sorted(rows, key=newest_first):
        left -= counts[row][0]
        if left < 0:
            return tuple(kept), True
        kept.append(row)
    return tuple(kept), False


def _in_order(rows: Iterable[LackingRow], partial: bool) -> Lacking:
    filled = [row for row in rows if row.ids]
    return Lacking(
        tuple(sorted(filled, key=lambda row: newest_first((row.scope, row.author, row.period)))), partial
    )


def _unexpected(message: Message) -> ChannelError:
    return ChannelError(CloseCode.BAD_MESSAGE, f"{type(message).__name__} is not to be said now")


def _expect(phase: _Phase, expected: _Phase) -> None:
    if phase is not expected:
        raise ValueError(f"not now: the comparison is at {phase.name}")
