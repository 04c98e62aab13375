"""What the user thinks of people, and what people say of each other."""

from __future__ import annotations

import sqlite3
import time
from dataclasses import dataclass

from pkn_protocol.records.ids import AuthorId, Cid, DeviceId
from pkn_protocol.records.model import Profile, Vouch
from pkn_protocol.trust.vouches import standing_vouches
from pknd.store.records import current, of_kind


@dataclass(frozen=True, slots=True)
class Opinion:
    """`trust` is trusted, blocked, or none of somebody who has a petname from before."""

    trust: str
    petname: str | None


def opinions(db: sqlite3.Connection) -> dict[AuthorId, Opinion]:
    return {
        AuthorId(author): Opinion(trust, petname)
        for author, trust, petname in db.execute("SELECT author, trust, petname FROM person")
    }


def set_opinion(db: sqlite3.Connection, author: AuthorId, trust: str, petname: str | None, now: int) -> None:
    db.execute(
        "INSERT INTO person (author, trust, petname, since) VALUES (?1, ?2, ?3, ?4) ON CONFLICT (author)"
        " DO UPDATE SET trust = ?2, petname = ?3, since = ?4",
        (author, trust, petname, now),
    )


def withdraw_opinion(db: sqlite3.Connection, author: AuthorId, now: int) -> None:
    """Somebody is neither trusted nor blocked any more; the petname stays, so that it can be undone."""
    db.execute(
        "UPDATE person SET trust = 'none', since = ? WHERE author = ? AND petname IS NOT NULL", (now, author)
    )
    db.execute("DELETE FROM person WHERE author = ? AND petname IS NULL", (author,))


def forget_opinion(db: sqlite3.Connection, author: AuthorId) -> None:
    """As if nothing had ever been thought of somebody."""
    db.execute("DELETE FROM person WHERE author = ?", (author,))


def holder_of_petname(db: sqlite3.Connection, petname: str) -> AuthorId | None:
    row = db.execute("SELECT author FROM person WHERE petname = ?", (petname,)).fetchone()
    return None if row is None else AuthorId(row[0])


def vouches(db: sqlite3.Connection, *, now: int | None = None) -> dict[AuthorId, frozenset[AuthorId]]:
    """Who vouches for whom at `now` (ms since 1970; the clock's time where it is not given)."""
    moment = time.time_ns() // 1_000_000 if now is None else now
    return standing_vouches((held.record for held in of_kind(db, "vouch")), now=moment)


def current_vouch(db: sqlite3.Connection, author: AuthorId, person: AuthorId) -> Cid | None:
    """The id of an author's latest vouch record about a person, given or taken back."""
    found = None
    for held in of_kind(db, "vouch", author):
        if isinstance(held.record.body, Vouch) and held.record.body.person == person:
            found = held.record.id
    return found


def claimed_name(db: sqlite3.Connection, author: AuthorId) -> str | None:
    """What a person's current profile claims."""
    held = current(db, author, "profile")
    return held.record.body.name if held is not None and isinstance(held.record.body, Profile) else None


def claimed_names(db: sqlite3.Connection) -> dict[AuthorId, str]:
    """What everybody's current profile claims: of those that its author has not replaced, the latest."""
    profiles = [held.record for held in of_kind(db, "profile") if held.record.understood]
    replaced = {(record.author, old) for record in profiles for old in record.replaces}
    return {
        record.author: record.body.name
        for record in profiles
        if isinstance(record.body, Profile) and (record.author, record.id) not in replaced
    }


def known_authors(db: sqlite3.Connection) -> set[AuthorId]:
    """Everybody of whom there is a record, a device, or an opinion."""
    return {
        AuthorId(author)
        for (author,) in db.execute(
            "SELECT author FROM record UNION SELECT author FROM peer WHERE author IS NOT NULL"
            " UNION SELECT author FROM person"
        )
    }


def devices_of(db: sqlite3.Connection, author: AuthorId) -> list[DeviceId]:
    return [
        DeviceId(d)
        for (d,) in db.execute("SELECT device FROM device WHERE author = ? ORDER BY device", (author,))
    ]


def author_of(db: sqlite3.Connection, device: DeviceId) -> AuthorId | None:
    row = db.execute("SELECT author FROM device WHERE device = ?", (device,)).fetchone()
    return None if row is None else AuthorId(row[0])


def device_block(db: sqlite3.Connection, device: DeviceId) -> bytes | None:
    """The record that joins a device to its author, if it is held."""
    row = db.execute(
        "SELECT record.block FROM device JOIN record ON record.id = device.record WHERE device.device = ?",
        (device,),
    ).fetchone()
    return None if row is None else bytes(row[0])


def device_record(db: sqlite3.Connection, device: DeviceId) -> Cid | None:
    row = db.execute("SELECT record FROM device WHERE device = ?", (device,)).fetchone()
    return None if row is None else Cid(row[0])
