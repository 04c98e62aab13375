"""What came over one connection and is not taken: records that wait for their devices, and refused ones."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pkn_protocol.records.ids import Cid, dag_cbor_cid
from pkn_protocol.sync.facts import RecordFacts, RowName
from pkn_protocol.sync.sums import period_of
from pkn_protocol.sync.wanting import MOST_REFUSED

MOST_WAITING = 64
"""Records by devices that are not known yet; standing records of their authors may be on their way."""
MOST_STRAYS = 4096
"""Ids of further such records, which are fetched again when there is room."""


class Untaken:
    """Bounded: what waits by number, what was refused by what the other side bears to be refused."""

    def __init__(self) -> None:
        self._waiting: dict[bytes, None] = {}
        self._strays: dict[Cid, None] = {}
        self._refused: set[Cid] = set()

    @property
    def waits(self) -> bool:
        return bool(self._waiting)

    def wait(self, blocks: Iterable[bytes]) -> None:
        """Nobody has said yet whose their devices are."""
        for block in blocks:
            if len(self._waiting) < MOST_WAITING:
                self._waiting[block] = None
            elif len(self._strays) < MOST_STRAYS and block not in self._waiting:
                self._strays[dag_cbor_cid(block)] = None

    def try_again(self) -> tuple[bytes, ...]:
        """Standing records have come: what waited may be taken now. Strays come with the next comparison."""
        waiting = tuple(self._waiting)
        self._waiting.clear()
        self._strays.clear()
        return waiting

    def give_up(self) -> tuple[Cid, ...]:
        """Nobody will say it: what is to be refused."""
        ids = (*map(dag_cbor_cid, self._waiting), *self._strays)
        self._waiting.clear()
        self._strays.clear()
        return ids

    def refuse(self, ids: Sequence[Cid]) -> None:
        room = max(0, MOST_REFUSED - len(self._refused))
        self._refused.update(ids[:room])

    def now_held(self, records: Iterable[RecordFacts]) -> tuple[bool, dict[Cid, RowName]]:
        """Records are on disk, whoever brought them. Whether some waited, and where those are that had been
        refused."""
        waited = bool(self._waiting or self._strays)
        if waited:
            for record in records:
                self._waiting.pop(record.block, None)
                self._strays.pop(record.id, None)
        if not self._refused:
            return waited, {}
        return waited, {
            record.id: RowName(record.scope, record.author, period_of(record.standing, record.time))
            for record in records
            if record.id in self._refused
        }
