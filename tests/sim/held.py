"""What a node holds of one author, with the sums of its periods.

The same sums come up at every node that holds the same records, and the same records in one order: one object
serves all of them.
"""

from __future__ import annotations

from functools import lru_cache

from pkn_protocol.records.ids import Cid
from pkn_protocol.records.model import Record
from pkn_protocol.sync.rows import RowSum
from pkn_protocol.sync.sums import STANDING_PERIOD, PeriodSum, counts_at, sum_of
from tests.sim.plan import WALL_START_MS

Floor = tuple[int, Cid]
NOTHING = PeriodSum()


class Held:
    """`periods`: all records by period; `sums` over them; `odd`, those that may not count at an instant,
    since they expire or were written lately."""

    __slots__ = ("_rows", "bytes", "odd", "periods", "records", "sums")

    def __init__(self) -> None:
        self.records: dict[Cid, Record] = {}
        self.periods: dict[int, dict[Cid, Record]] = {}
        self.sums: dict[int, PeriodSum] = {}
        self.odd: dict[int, list[Record]] = {}
        self.bytes = 0
        self._rows: dict[int, RowSum] = {}

    def add(self, record: Record, period: int) -> None:
        self.records[record.id] = record
        self.periods.setdefault(period, {})[record.id] = record
        self.sums[period] = _with(self.sums.get(period, NOTHING), record.id)
        self._rows.pop(period, None)
        if record.expires is not None or record.time > WALL_START_MS:
            self.odd.setdefault(period, []).append(record)
        if period != STANDING_PERIOD:
            self.bytes += len(record.block)

    def remove(self, record: Record, period: int) -> None:
        del self.records[record.id]
        del self.periods[period][record.id]
        self.sums[period] = _without(self.sums[period], record.id)
        self._rows.pop(period, None)
        if not self.sums[period].count:
            del self.sums[period]
        if record in self.odd.get(period, ()):
            self.odd[period].remove(record)
        if period != STANDING_PERIOD:
            self.bytes -= len(record.block)

    def row(self, period: int) -> RowSum | None:
        """Count and digest over all records of a period; None where there are none."""
        row = self._rows.get(period)
        if row is None and (total := self.sums.get(period)) is not None:
            row = self._rows[period] = (total.count, digest_of(total))
        return row

    def is_even(self, period: int, at: int) -> bool:
        """Whether all records of a period count at an instant."""
        return all(counts_at(record.time, record.expires, at) for record in self.odd.get(period, ()))

    def row_at(self, period: int, at: int, floor: Floor | None, refused: frozenset[Cid]) -> RowSum | None:
        """The same of those that count at an instant, from a floor on, without what a peer refused."""
        if floor is None and not refused and self.is_even(period, at):
            return self.row(period)
        total = sum_of(self.ids(period, at, floor, refused))
        return (total.count, digest_of(total)) if total.count else None

    def ids(self, period: int, at: int, floor: Floor | None, refused: frozenset[Cid]) -> list[Cid]:
        """The ids of a period at an instant from a floor on, newest first."""
        found = [
            (record.time, record.id)
            for record in self.periods.get(period, {}).values()
            if counts_at(record.time, record.expires, at)
            and (floor is None or period == STANDING_PERIOD or (record.time, record.id) >= floor)
            and record.id not in refused
        ]
        return [cid for _, cid in sorted(found, reverse=True)]


@lru_cache(maxsize=1 << 19)
def _with(total: PeriodSum, cid: Cid) -> PeriodSum:
    return total.with_id(cid)


@lru_cache(maxsize=1 << 15)
def _without(total: PeriodSum, cid: Cid) -> PeriodSum:
    return total.without_id(cid)


@lru_cache(maxsize=1 << 19)
def digest_of(total: PeriodSum) -> bytes:
    return total.digest()
