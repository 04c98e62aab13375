"""Devices that were met: how to reach them, when they were seen, how they behaved."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass

from pkn_protocol.records.ids import AuthorId, DeviceId

MOST_ADDRESSES = 8
"""Addresses remembered for a peer, the latest that worked first."""
MOST_PEERS = 10_000


@dataclass(frozen=True, slots=True)
class PeerRow:
    device: DeviceId
    author: AuthorId | None
    addresses: tuple[str, ...]
    found: str
    last_seen: int | None
    rtt_ms: float | None
    version: str | None
    problem: str | None
    bytes_in: int
    bytes_out: int
    violations: int
    refused_until: int


_COLUMNS = (
    "device, author, addresses, found, last_seen, rtt_ms, version, problem, bytes_in, bytes_out, violations,"
    " refused_until"
)


def peers(db: sqlite3.Connection) -> list[PeerRow]:
    rows = db.execute(f"SELECT {_COLUMNS} FROM peer ORDER BY last_seen DESC LIMIT {MOST_PEERS}")  # noqa: S608
    return [_row(row) for row in rows]


def get_peer(db: sqlite3.Connection, device: DeviceId) -> PeerRow | None:
    row = db.execute(f"SELECT {_COLUMNS} FROM peer WHERE device = ?", (device,)).fetchone()  # noqa: S608
    return None if row is None else _row(row)


def met(
    db: sqlite3.Connection,
    device: DeviceId,
    author: AuthorId,
    *,
    address: str | None,
    found: str,
    version: str,
    now: int,
) -> None:
    """A connection to a device was authenticated; `address` is where it can be dialled, if that is known."""
    known = get_peer(db, device)
    addresses = list(known.addresses) if known is not None else []
    if address is not None:
        addresses = [address, *(a for a in addresses if a != address)][:MOST_ADDRESSES]
    db.execute(
        "INSERT INTO peer (device, author, addresses, found, last_seen, version)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6)"
        " ON CONFLICT (device) DO UPDATE SET author = ?2, addresses = ?3, last_seen = ?5, version = ?6,"
        # How it was first found is kept; that it dialled us says less than any other way.
        " problem = NULL, found = CASE found WHEN 'inbound' THEN ?4 ELSE found END",
        (device, author, json.dumps(addresses), found, now, version),
    )
    if known is None:
        _forget_strangers(db)


def left(
    db: sqlite3.Connection, device: DeviceId, *, now: int, rtt_ms: float | None, bytes_in: int, bytes_out: int
) -> None:
    """A connection ended; its bytes are added to what was exchanged before."""
    db.execute(
        "UPDATE peer SET last_seen = ?, rtt_ms = coalesce(?, rtt_ms), bytes_in = bytes_in + ?,"
        " bytes_out = bytes_out + ? WHERE device = ?",
        (now, rtt_ms, bytes_in, bytes_out, device),
    )


def set_problem(db: sqlite3.Connection, device: DeviceId, problem: str | None) -> None:
    db.execute("UPDATE peer SET problem = ? WHERE device = ?", (problem, device))


def violated(
    db: sqlite3.Connection,
    device: DeviceId,
    author: AuthorId,
    *,
    now: int,
    refusal_ms: Callable[[int], int],
    forgiven_after_ms: int,
) -> int:
    """A peer broke the protocol; until when (ms since 1970) it is not spoken with.

    `refusal_ms` says for how long, by the number of faults, of which those before a good time do not count.
    """
    known = get_peer(db, device)
    lately = known is not None and now - known.refused_until < forgiven_after_ms
    faults = 1 + (known.violations if known is not None and lately else 0)
    until = now + refusal_ms(faults)
    db.execute(
        "INSERT INTO peer (device, author, found, last_seen, violations, refused_until)"
        " VALUES (?1, ?2, 'inbound', ?3, ?4, ?5)"
        " ON CONFLICT (device) DO UPDATE SET violations = ?4, refused_until = ?5",
        (device, author, now, faults, until),
    )
    if known is None:
        _forget_strangers(db)
    return until


def refused_devices(db: sqlite3.Connection, *, now: int) -> dict[DeviceId, int]:
    """The devices that are not spoken with at `now`, and until when."""
    rows = db.execute("SELECT device, refused_until FROM peer WHERE refused_until > ?", (now,))
    return {DeviceId(device): until for device, until in rows}


def _forget_strangers(db: sqlite3.Connection) -> None:
    # Keys cost nothing to make: those of whom the user thinks nothing, longest unseen, make room.
    surplus = db.execute("SELECT count(*) FROM peer").fetchone()[0] - MOST_PEERS
    if surplus > 0:
        db.execute(
            "DELETE FROM peer WHERE device IN (SELECT device FROM peer"
            " WHERE author IS NULL OR author NOT IN (SELECT author FROM person)"
            " ORDER BY last_seen LIMIT ?)",
            (surplus,),
        )


def _row(row: tuple[object, ...]) -> PeerRow:
    device, author, addresses, *rest = row
    return PeerRow(device, author, tuple(json.loads(str(addresses))), *rest)  # type: ignore[arg-type]
