"""A node's store in memory: what a daemon keeps in SQLite, by the same rules (SPEC: Records, Sync, Trust).

Records are immutable and shared between nodes. Signatures are checked once, when a record is written; nodes
count how often they would have checked one. What survives a restart is here, and nothing else survives one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from heapq import heappop, heappush

from pkn_protocol.records.ids import AuthorId, Cid, DeviceId
from pkn_protocol.records.model import Device, Record, Retraction, Vouch
from pkn_protocol.sync.rows import RowSum
from pkn_protocol.sync.sums import (
    REFUSED_AHEAD_MS,
    STANDING_PERIOD,
    period_of,
    record_period,
)
from pkn_protocol.trust.quotas import Entry, Quota, floor_of
from tests.sim.held import Floor, Held


class Status(Enum):
    ADDED = auto()
    KNOWN = auto()
    RETRACTED = auto()
    REFUSED = auto()
    UNKNOWN_DEVICE = auto()


@dataclass(frozen=True, slots=True)
class Outcome:
    """`removed`: records that went since this one came. `by`: the retraction that forbids it."""

    status: Status
    reason: str = ""
    removed: tuple[Record, ...] = ()
    by: Record | None = None


class Store:
    """`checked` counts the signatures that were to be checked; `touched` has the rows that changed since
    `take_changes` was last called, each as it was before; `version` counts the commits that changed rows."""

    __slots__ = (
        "_expiring",
        "_items",
        "_retracted",
        "answers",
        "authors",
        "checked",
        "devices",
        "floors",
        "touched",
        "version",
        "vouches",
    )

    def __init__(self) -> None:
        self.authors: dict[AuthorId, Held] = {}
        self.devices: dict[DeviceId, AuthorId] = {}
        self.floors: dict[AuthorId, Floor] = {}
        self.vouches: list[Record] = []
        self.answers: dict[Cid, Record] = {}
        """The retraction that is the answer to whoever asks for a deleted record."""
        self.checked = 0
        self.version = 0
        self.touched: dict[tuple[AuthorId, int], RowSum | None] = {}
        self._retracted: dict[tuple[Cid, AuthorId], Record] = {}
        self._items: dict[Cid, list[Record]] = {}
        """Versions by item, of items that have more than one; see `_versions`."""
        self._expiring: list[tuple[int, Cid, AuthorId]] = []

    def get(self, author: AuthorId, cid: Cid) -> Record | None:
        held = self.authors.get(author)
        return None if held is None else held.records.get(cid)

    def ingest(self, record: Record, now: int) -> Outcome:
        """Take a record in, `now` in ms by this node's clock; in the order of checks of a daemon's store."""
        held = self.authors.get(record.author)
        if held is not None and record.id in held.records:
            return Outcome(Status.KNOWN)
        self.checked += 1
        if record.time > now + REFUSED_AHEAD_MS:
            return Outcome(Status.REFUSED, "its time lies more than a day ahead")
        if record.expires is not None and record.expires <= now:
            return Outcome(Status.REFUSED, "expired")
        floor = self.floors.get(record.author)
        if floor is not None and not record.is_standing and (record.time, record.id) < floor:
            return Outcome(Status.REFUSED, "older than what is kept of its author")
        device = record.body.device if isinstance(record.body, Device) else record.by
        joined = self.devices.get(device)
        if joined is not None and joined != record.author:
            return Outcome(Status.REFUSED, "the device belongs to another author")
        if joined is None and not isinstance(record.body, Device):
            return Outcome(Status.UNKNOWN_DEVICE)
        if record.is_item:
            by = self._retracted.get((record.item_id, record.author))
            if by is not None:
                return Outcome(Status.RETRACTED, by=by)
        return Outcome(Status.ADDED, removed=self._add(record))

    def _add(self, record: Record) -> tuple[Record, ...]:
        held = self.authors.get(record.author)
        if held is None:
            held = self.authors[record.author] = Held()
        period = record_period(record)
        self._touch(record.author, period)
        held.add(record, period)
        body = record.body
        if record.expires is not None:
            heappush(self._expiring, (record.expires, record.id, record.author))
        if isinstance(body, Device):
            self.devices[body.device] = record.author
        elif isinstance(body, Vouch):
            self.vouches.append(record)
        elif isinstance(body, Retraction) and record.item is not None:
            return self._retract(held, record, record.item)
        elif record.item is not None:
            self._items.setdefault(record.item, []).append(record)
        return ()

    def _retract(self, held: Held, retraction: Record, item: Cid) -> tuple[Record, ...]:
        self._retracted[(item, retraction.author)] = retraction
        first = held.records.get(item)
        gone = [first] if first is not None else []
        gone += [
            r for r in self._items.pop(item, ()) if r.author == retraction.author and r.id in held.records
        ]
        self.answers[item] = retraction
        for record in gone:
            self._remove(held, record)
            self.answers[record.id] = retraction
        return tuple(gone)

    def expire(self, now: int) -> list[Record]:
        """Delete what has expired by `now`."""
        gone = []
        while self._expiring and self._expiring[0][0] <= now:
            _, cid, author = heappop(self._expiring)
            record = self.get(author, cid)
            if record is not None:
                self._remove(self.authors[author], record)
                gone.append(record)
        return gone

    def keep_quota(self, author: AuthorId, quota: Quota | None) -> list[Record]:
        """Raise an author's floor where more is held than the quota; what was forgotten."""
        held = self.authors.get(author)
        if quota is None or held is None:
            return []
        if held.bytes <= quota.bytes and (quota.records is None or len(held.records) <= quota.records):
            return []
        entries = sorted(
            (Entry(r.time, r.id, len(r.block)) for r in held.records.values() if not r.is_standing),
            key=lambda entry: (entry.time, entry.id),
            reverse=True,
        )
        floor = floor_of(entries, quota)
        if floor is None or floor <= self.floors.get(author, (-1, Cid(b""))):
            return []
        self.floors[author] = floor
        gone = [r for r in held.records.values() if not r.is_standing and (r.time, r.id) < floor]
        for record in gone:
            self._remove(held, record)
        return gone

    def lift_floors(self, quota: Callable[[AuthorId], Quota | None]) -> bool:
        """Take away the floors of authors who may have more than twice what is held of them."""
        lifted = []
        for author in self.floors:
            allowed = quota(author)
            held = self.authors.get(author)
            size = 0 if held is None else held.bytes
            if allowed is None or 2 * size < allowed.bytes:
                lifted.append(author)
        for author in lifted:
            del self.floors[author]
        return bool(lifted)

    def row(self, author: AuthorId, period: int) -> RowSum | None:
        """Count and digest of a row with all its records; None where it has none."""
        held = self.authors.get(author)
        return None if held is None else held.row(period)

    def is_even(self, author: AuthorId, period: int, at: int) -> bool:
        """Whether all records of a row count at an instant."""
        held = self.authors.get(author)
        return held is None or held.is_even(period, at)

    def uneven(self, authors: Iterable[AuthorId], at: int) -> frozenset[AuthorId]:
        """Those with a row of which not all records count at an instant."""
        return frozenset(
            author
            for author in authors
            if (held := self.authors.get(author)) is not None
            and not all(held.is_even(period, at) for period in held.odd)
        )

    def rows(
        self, author: AuthorId, at: int, floor: Floor | None, refused: frozenset[Cid]
    ) -> Iterator[tuple[int, RowSum]]:
        """The rows of an author from a floor on, without what a peer refused."""
        held = self.authors.get(author)
        if held is None:
            return
        cut = None if floor is None else period_of(False, floor[0])
        for period in held.sums:
            if cut is not None and STANDING_PERIOD < period < cut:
                continue
            row = held.row_at(period, at, floor if period == cut else None, refused)
            if row is not None:
                yield period, row

    def take_changes(self) -> list[tuple[AuthorId, int, RowSum | None, RowSum | None]]:
        """Author, period, the row before and now, of rows that changed: one commit."""
        changes = [(*row, old, self.row(*row)) for row, old in self.touched.items()]
        self.touched = {}
        changes = [change for change in changes if change[2] != change[3]]
        self.version += bool(changes)
        return changes

    def _touch(self, author: AuthorId, period: int) -> None:
        if (author, period) not in self.touched:
            self.touched[(author, period)] = self.row(author, period)

    def _remove(self, held: Held, record: Record) -> None:
        period = record_period(record)
        self._touch(record.author, period)
        held.remove(record, period)

    def ids(self) -> Mapping[AuthorId, frozenset[Cid]]:
        """All that is held, by author."""
        return {author: frozenset(held.records) for author, held in self.authors.items() if held.records}
