"""A node's store in memory: what a daemon keeps in SQLite, by the same rules (SPEC: Records, Sync, Trust).

Records are immutable and shared between nodes. Signatures are checked once, when a record is written; nodes
count how often they would have checked one. What survives a restart is here, and nothing else survives one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from functools import lru_cache
from heapq import heappop, heappush

from pkn_protocol.records.ids import AuthorId, Cid, DeviceId
from pkn_protocol.records.model import Device, Record, Retraction, Vouch
from pkn_protocol.sync.sums import REFUSED_AHEAD_MS, PeriodSum, record_period, sum_of
from pkn_protocol.trust.quotas import Entry, Quota, floor_of

Floor = tuple[int, Cid]
NOTHING = PeriodSum()


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


class Held:
    """What is held of one author. `sums` by period, over all that is held."""

    __slots__ = ("bytes", "records", "sums")

    def __init__(self) -> None:
        self.records: dict[Cid, Record] = {}
        self.sums: dict[int, PeriodSum] = {}
        self.bytes = 0

    def add(self, record: Record) -> None:
        self.records[record.id] = record
        period = record_period(record)
        self.sums[period] = _with(self.sums.get(period, NOTHING), record.id)
        if not record.is_standing:
            self.bytes += len(record.block)

    def remove(self, record: Record) -> None:
        del self.records[record.id]
        period = record_period(record)
        left = _without(self.sums[period], record.id)
        if left.count:
            self.sums[period] = left
        else:
            del self.sums[period]
        if not record.is_standing:
            self.bytes -= len(record.block)


class Store:
    """`checked` counts the signatures that were to be checked."""

    __slots__ = (
        "_expiring",
        "_items",
        "_retracted",
        "answers",
        "authors",
        "checked",
        "devices",
        "floors",
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
        held.add(record)
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
        gone += [r for r in self._items.pop(item, ()) if r.author == retraction.author and r.id in held.records]
        self.answers[item] = retraction
        for record in gone:
            held.remove(record)
            self.answers[record.id] = retraction
        return tuple(gone)

    def expire(self, now: int) -> list[Record]:
        """Delete what has expired by `now`."""
        gone = []
        while self._expiring and self._expiring[0][0] <= now:
            _, cid, author = heappop(self._expiring)
            record = self.get(author, cid)
            if record is not None:
                self.authors[author].remove(record)
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
            held.remove(record)
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

    def ids(self) -> Mapping[AuthorId, frozenset[Cid]]:
        """All that is held, by author."""
        return {author: frozenset(held.records) for author, held in self.authors.items() if held.records}


@lru_cache(maxsize=1 << 18)
def _term(cid: Cid) -> PeriodSum:
    return sum_of([cid])


# The same sums come up at every node that holds the same records: one object serves all of them.
@lru_cache(maxsize=1 << 17)
def _with(total: PeriodSum, cid: Cid) -> PeriodSum:
    return total.with_id(cid)


@lru_cache(maxsize=1 << 15)
def _without(total: PeriodSum, cid: Cid) -> PeriodSum:
    return total.without_id(cid)


def total_bytes(records: Iterable[Record]) -> int:
    return sum(len(record.block) for record in records)
