"""Texts that were asked for in vain: who signed a summary does not have what it claims, or has something else
(SPEC, Search, Texts that are withheld). Kept in memory: after a restart they are asked anew."""

from __future__ import annotations

import sqlite3
from collections import OrderedDict
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from pkn_protocol.records.ids import Cid
from pknd.store.rows import select_in

ROUNDS = 3
"""So often the device that signed a record said that it has not got the text, and the summary is believed
less. Once may be an accident: a disk that fails, a file that is being replaced."""
MOST_NOTED = 10_000
_STALE_S = 3600.0
"""When there is no room one is forgotten that was not noted for so long; else what is new is not noted. By
age alone, as many texts as fit would push each other out before any was noted often enough."""


@dataclass(frozen=True, slots=True)
class _Noted:
    row: int
    rounds: int
    at: float


class AskedInVain:
    """Time is in seconds of any clock that only goes forward; answers about a record that follow one another
    sooner than `spacing_s` count as one."""

    def __init__(self, spacing_s: float) -> None:
        self._spacing_s = spacing_s
        self._noted: OrderedDict[Cid, _Noted] = OrderedDict()
        """The one that was noted last is at the end."""
        self.records: Mapping[int, Cid] = {}
        """The records whose summaries count for less, by row: a new object whenever they change, so that
        other threads may read it. Rows are given to other records later: the id decides."""

    def absent(self, record: Cid, row: int, now: float) -> None:
        """The device that signed a record answered that it has not got its text."""
        noted = self._noted.get(record)
        if noted is not None and now < noted.at + self._spacing_s:
            return
        self._note(record, _Noted(row, 1 if noted is None else noted.rounds + 1, now))

    def contradicted(self, record: Cid, row: int, now: float) -> None:
        """What came under the name that a record gives is not what it says: its signature proves that."""
        self._note(record, _Noted(row, ROUNDS, now))

    def forget(self, records: Collection[Cid]) -> None:
        """Their texts are here, or the records are gone."""
        known = {record for record in records if self._noted.pop(record, None) is not None}
        if known and not known.isdisjoint(self.records.values()):
            self.records = {row: record for row, record in self.records.items() if record not in known}

    def _note(self, record: Cid, noted: _Noted) -> None:
        before = self._noted.get(record)
        if before is None and len(self._noted) >= MOST_NOTED:
            oldest = next(iter(self._noted))
            # What was contradicted is noted once, and not asked for again.
            if noted.rounds < ROUNDS and noted.at < self._noted[oldest].at + _STALE_S:
                return
            self.forget({oldest})
        elif before is not None and before.row != noted.row:
            self.forget({record})
        self._noted[record] = noted
        self._noted.move_to_end(record)
        if noted.rounds >= ROUNDS and self.records.get(noted.row) != record:
            self.records = {**self.records, noted.row: record}


def gone_of(db: sqlite3.Connection, records: Mapping[int, Cid]) -> set[Cid]:
    """Those of some records, by row, that are not there any more, or whose text is here."""
    missing = select_in(
        db,
        "SELECT record.id FROM record JOIN payload ON payload.record = record.rowid"
        " WHERE NOT payload.complete AND record.rowid IN",
        list(records),
    )
    return set(records.values()) - {Cid(cid) for (cid,) in missing if isinstance(cid, bytes)}
