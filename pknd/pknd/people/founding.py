"""The first records of a home: the device joined to its author, and the profile with the chosen name."""

from __future__ import annotations

import sqlite3

from pkn_protocol.control.errors import ErrorCode
from pkn_protocol.records.codec import countersign_device, sign_record
from pkn_protocol.records.model import Device, Profile, Record
from pknd.environment import Environment
from pknd.errors import DomainError
from pknd.store.ingest import ingest
from pknd.store.people import device_record
from pknd.store.records import current

_DEVICE_NAME = "this device"


def founding_records(db: sqlite3.Connection, env: Environment, name: str | None) -> list[Record]:
    """Write what is missing: the `device` record, and a profile when there is none or the name is another.

    Returns the records that were written.

    Raises:
        DomainError: there is no name yet, or the device must be joined but the author's secret is not here.
    """
    written: list[Record] = []
    keys, now = env.keys, env.now()
    if device_record(db, keys.device) is None:
        if keys.author_key is None:
            raise DomainError(
                ErrorCode.CONFLICT,
                "this device is not joined to its author, whose secret is not on this machine",
                "restore the database from a backup of this home",
            )
        body = Device(keys.device, _DEVICE_NAME, countersign_device(keys.author, keys.device_key, now))
        record = sign_record(author=keys.author, key=keys.author_key, time=now, kind="device", body=body)
        ingest(db, record, now=now)
        written.append(record)
    held = current(db, keys.author, "profile")
    known = held.record.body.name if held is not None and isinstance(held.record.body, Profile) else None
    if name is None and known is None:
        raise DomainError(
            ErrorCode.BAD_REQUEST,
            "you have not said yet by what name others shall see you",
            "start with --name NAME, as in: pkn up --name Ada",
        )
    if name is not None and name != known:
        description = held.record.body.description if held and isinstance(held.record.body, Profile) else ""
        record = sign_record(
            author=keys.author,
            key=keys.device_key,
            time=now,
            kind="profile",
            body=Profile(name, description),
            replaces=(held.record.id,) if held is not None else (),
        )
        ingest(db, record, now=now)
        written.append(record)
    return written
