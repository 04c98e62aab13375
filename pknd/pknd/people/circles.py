"""One's own circles: the epoch that is published under, and the grants that admit its members."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection

from pkn_protocol.records.bodies import KEY_BYTES, NONCE_BYTES
from pkn_protocol.records.circles import EpochKey, grant_bodies, grant_boxes
from pkn_protocol.records.codec import sign_record
from pkn_protocol.records.ids import AuthorId, DeviceId
from pkn_protocol.records.model import Grant, Record
from pknd.environment import Environment
from pknd.store.circles import add_epoch, end_epoch, epochs_of
from pknd.store.ingest import ingest
from pknd.store.people import devices_of
from pknd.store.records import of_kind

TRUSTED = "trusted"
PRIVATE = "private"
PUBLIC = "public"


def known_epoch(db: sqlite3.Connection, author: AuthorId, circle: str) -> EpochKey | None:
    """The epoch to publish under, where one is begun and its members are still the same."""
    known = epochs_of(db, author, circle)
    return known[0].key if known and known[0].current else None


def current_epoch(
    db: sqlite3.Connection, env: Environment, circle: str, members: Collection[AuthorId]
) -> tuple[EpochKey, list[Record]]:
    """The epoch to publish under, begun now if the members have changed; and the grants that were written."""
    known = known_epoch(db, env.keys.author, circle)
    if known is not None:
        return known, []
    epoch = EpochKey(env.random_bytes(KEY_BYTES))
    add_epoch(db, epoch, env.keys.author, circle, now=env.now(), current=True)
    return epoch, write_grants(db, env, circle, members)


def write_grants(
    db: sqlite3.Connection, env: Environment, circle: str, members: Collection[AuthorId]
) -> list[Record]:
    """Grants of the current epoch for the devices that its members have now; none where there is no epoch.

    Written when an epoch begins, when somebody is added, and when a member's device becomes known.
    """
    known = epochs_of(db, env.keys.author, circle)
    if not known or not known[0].current:
        return []
    devices = member_devices(db, env, members)
    bodies = grant_bodies(
        known[0].key,
        members=devices,
        earlier=[epoch.key for epoch in known[1:]],
        seeds=env.random_bytes(KEY_BYTES * grant_boxes(len(devices))),
        nonce=env.random_bytes(NONCE_BYTES),
    )
    replaced = tuple(
        held.record.id
        for held in of_kind(db, "grant", env.keys.author)
        if isinstance(held.record.body, Grant) and held.record.body.tag == known[0].key.tag
    )[-16:]
    records = [
        sign_record(
            author=env.keys.author,
            key=env.keys.device_key,
            time=env.now(),
            kind="grant",
            body=body,
            replaces=replaced,
        )
        for body in bodies
    ]
    for record in records:
        ingest(db, record, now=env.now())
    db.execute(
        "INSERT OR REPLACE INTO setting (key, value) VALUES (?, ?)",
        (_granted_key(known[0].key.tag), b"".join(devices)),
    )
    return records


def granted_devices(db: sqlite3.Connection, tag: bytes) -> frozenset[DeviceId]:
    """The devices that an epoch's latest grants were made for."""
    row = db.execute("SELECT value FROM setting WHERE key = ?", (_granted_key(tag),)).fetchone()
    data = row[0] if row is not None else b""
    return frozenset(DeviceId(data[at : at + KEY_BYTES]) for at in range(0, len(data), KEY_BYTES))


def _granted_key(tag: bytes) -> str:
    return f"granted:{tag.hex()}"


def member_devices(db: sqlite3.Connection, env: Environment, members: Collection[AuthorId]) -> list[DeviceId]:
    """The devices of the members and of oneself, in a steady order."""
    return sorted({device for author in {*members, env.keys.author} for device in devices_of(db, author)})


def members_changed(db: sqlite3.Connection, env: Environment) -> None:
    """Somebody lost the user's trust: what is published from now on is under a new key."""
    end_epoch(db, env.keys.author, TRUSTED)
