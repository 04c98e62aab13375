"""What the tables of messages are made of: a row a type, and the reading of fields that several share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Flag, auto
from typing import Any, TypeAlias

from pkn_protocol.channel import messages as m
from pkn_protocol.records.cbor import Value
from pkn_protocol.records.fields import (
    BadField,
    Fields,
    checked_bytes,
    checked_link,
    checked_list,
    checked_record,
    checked_text,
)
from pkn_protocol.records.ids import Cid
from pkn_protocol.records.limits import RECORD_BYTES

KIB = 1024
LARGEST_MESSAGE = 512 * KIB
"""No frame is longer; each type has its own limit within."""
HASH_BYTES = 8
KEY_BYTES = 32
SCOPE_BYTES = 16
COUNT = 2**40
"""The greatest number of a request, a version, a count."""


class Stage(Flag):
    """When a message may come."""

    HANDSHAKE = auto()
    OPEN = auto()


@dataclass(frozen=True, slots=True)
class Row:
    """A type of message: its limit, when it may come, from fields and to fields."""

    kind: type[m.Message]
    most_bytes: int
    stage: Stage
    read: Callable[[Fields], m.Message]
    write: Callable[[Any], dict[str, Value]]


Table: TypeAlias = tuple[tuple[str, Row], ...]


def listed(fields: Fields, name: str, most: int) -> list[Value]:
    value = fields.take(name)
    return [] if value is None else checked_list(value, name, 0, most)


def links(fields: Fields, name: str, most: int) -> tuple[Cid, ...]:
    return tuple(checked_record(part, name) for part in listed(fields, name, most))


def any_links(fields: Fields, name: str, most: int) -> tuple[Cid, ...]:
    return tuple(checked_link(part, name) for part in listed(fields, name, most))


def blocks(fields: Fields, name: str = "blocks") -> tuple[bytes, ...]:
    parts = listed(fields, name, m.MOST_FETCHED * 2)
    return tuple(checked_bytes(part, name, 1, RECORD_BYTES) for part in parts)


def texts(value: Value, name: str, most: int, most_bytes: int) -> tuple[str, ...]:
    return tuple(checked_text(part, name, most_bytes, 1) for part in checked_list(value, name, 0, most))


def flag(fields: Fields, name: str) -> bool:
    value = fields.take(name)
    if value is not None and not isinstance(value, bool):
        raise BadField(f"{name}: true or false is expected")
    return bool(value)


def scope(value: Value) -> bytes:
    found = checked_bytes(value, "scope", 0, SCOPE_BYTES)
    if len(found) not in (0, SCOPE_BYTES):
        raise BadField("scope: 0 or 16 bytes are expected")
    return found


def key(fields: Fields, name: str) -> bytes:
    return fields.bytes(name, KEY_BYTES)
