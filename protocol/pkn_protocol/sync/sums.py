"""Periods and sums: what two peers compare before they compare ids (SPEC, Sync).

A period's sum is the sum modulo 2^2048 of SHAKE-256 over the ids of its records: adding and removing are
constant work, the order does not matter, and at this width no set can be found that collides (a sum modulo
2^256 falls to the generalised birthday attack).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha256, shake_256

from pkn_protocol.records.ids import Cid
from pkn_protocol.records.model import Record

SUM_BYTES = 256
_MODULUS = 1 << (8 * SUM_BYTES)
STANDING_PERIOD = 0
HOUR_MS = 3_600_000
_DAY_MS = 24 * HOUR_MS
MOST_AHEAD_MS = 600_000
"""A claimed time further ahead than this is hidden until then; clocks of honest peers differ by less."""
REFUSED_AHEAD_MS = 24 * HOUR_MS
"""A claimed time further ahead than this is refused."""


def period_of(kind_is_standing: bool, time: int) -> int:
    """The period of a record: 0 for standing ones, else its UTC month counted from January 1970 as 1."""
    if kind_is_standing:
        return STANDING_PERIOD
    return _month_of(time // _DAY_MS)


@lru_cache(maxsize=1024)
def _month_of(day: int) -> int:
    # Times up to 2^48 ms reach beyond the calendar of datetime, whose last month serves for all later ones.
    moment = datetime.fromtimestamp(min(day * (_DAY_MS // 1000), 253_402_300_799), UTC)
    return (moment.year - 1970) * 12 + moment.month


def record_period(record: Record) -> int:
    return period_of(record.is_standing, record.time)


def comparison_instant(now_ms: int) -> int:
    """The instant that a comparison started now names: the next full hour after the tolerance for clocks."""
    return ((now_ms + MOST_AHEAD_MS) // HOUR_MS + 1) * HOUR_MS


def counts_at(time: int, expires: int | None, at: int) -> bool:
    """Whether a valid record is part of the sums at an instant: not ahead of it, not expired by it."""
    return time <= at and (expires is None or expires > at)


@dataclass(frozen=True, slots=True)
class PeriodSum:
    """How many records a period has, and the sum of their ids."""

    count: int = 0
    value: int = 0

    def with_id(self, cid: Cid) -> PeriodSum:
        return PeriodSum(self.count + 1, (self.value + _term(cid)) % _MODULUS)

    def without_id(self, cid: Cid) -> PeriodSum:
        return PeriodSum(self.count - 1, (self.value - _term(cid)) % _MODULUS)

    def changed_by(self, count: int, value: int) -> PeriodSum:
        """With so many records more or (below zero) fewer, whose terms add up to `value`."""
        return PeriodSum(self.count + count, (self.value + value) % _MODULUS)

    def digest(self) -> bytes:
        """What goes over the wire: SHA-256 of the sum, 32 bytes."""
        return sha256(self.to_bytes()).digest()

    def to_bytes(self) -> bytes:
        return self.value.to_bytes(SUM_BYTES, "big")

    @classmethod
    def from_bytes(cls, count: int, value: bytes) -> PeriodSum:
        return cls(count, int.from_bytes(value, "big"))


def sum_of(ids: list[Cid]) -> PeriodSum:
    return PeriodSum(len(ids), sum(map(_term, ids)) % _MODULUS)


def _term(cid: Cid) -> int:
    return int.from_bytes(shake_256(cid).digest(SUM_BYTES), "big")
