"""How much is held of whom: bytes by weight, little of strangers (SPEC, Trust)."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from pkn_protocol.records.ids import AuthorId, Cid
from pkn_protocol.trust.graph import Vouches, shares

STRANGER_RECORDS = 2000
STRANGER_BYTES = 8 * 1024 * 1024
"""A stranger's newest public records; all strangers together have a tenth of the disk at most."""
STRANGERS_SHARE = 10
RECORDS_SHARE = 2
"""Half of what is held for others is for records of people within the horizon, a tenth for strangers'; the
rest is for payloads and indexes."""


@dataclass(frozen=True, slots=True)
class Quota:
    """How many bytes of records of one author are held; `records` None is without a limit."""

    bytes: int
    records: int | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """One record as quotas see it: when it was written (ms), its id, its bytes."""

    time: int
    id: Cid
    size: int


def author_quotas(
    me: AuthorId,
    trusted: Collection[AuthorId],
    blocked: Collection[AuthorId],
    vouches: Vouches,
    *,
    max_disk: int,
) -> dict[AuthorId, Quota]:
    """The quota of everybody within the horizon but oneself, whose records are all kept.

    `max_disk` in bytes. Together they are at most half of it, however many people there are: there is no
    least quota, since a crowd of names would then fill the disk.
    """
    room = max(0, max_disk) // RECORDS_SHARE
    return {
        author: Quota(int(room * share)) for author, share in shares(me, trusted, blocked, vouches).items()
    }


def stranger_quota(strangers: int, *, max_disk: int) -> Quota:
    """The quota of each stranger when there are so many of them."""
    together = max(0, max_disk) // STRANGERS_SHARE
    return Quota(min(STRANGER_BYTES, together // max(1, strangers)), STRANGER_RECORDS)


def floor_of(entries: Iterable[Entry], quota: Quota) -> tuple[int, Cid] | None:
    """The lowest (time, id) that still fits, entries given newest first; None while all of them fit."""
    used = 0
    last: Entry | None = None
    for number, entry in enumerate(entries):
        used += entry.size
        if used > quota.bytes or (quota.records is not None and number >= quota.records):
            # Nothing fits at all: the floor lies just above the newest.
            return (last.time, last.id) if last is not None else (entry.time + 1, entry.id)
        last = entry
    return None
