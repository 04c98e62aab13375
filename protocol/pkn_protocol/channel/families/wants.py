"""Messages by which two sides tell what they want and may see."""

from __future__ import annotations

from pkn_protocol.channel import messages as m
from pkn_protocol.channel.families.table import (
    COUNT,
    HASH_BYTES,
    KEY_BYTES,
    LARGEST_MESSAGE,
    Row,
    Stage,
    Table,
    flag,
    listed,
)
from pkn_protocol.records.cbor import Link, Value
from pkn_protocol.records.fields import BadField, checked_bytes, checked_integer, checked_list, checked_record
from pkn_protocol.records.limits import TIME_MOST


def want_entry(value: Value) -> m.WantEntry:
    parts = checked_list(value, "add", 1, 3)
    author = checked_bytes(parts[0], "add", HASH_BYTES, HASH_BYTES)
    if len(parts) == 1:
        return m.WantEntry(author)
    if len(parts) != 3:
        raise BadField("add: an author, or an author with a floor of time and id")
    return want_entry_with_floor(parts)


def want_entry_with_floor(value: Value) -> m.WantEntry:
    author, time, lowest = checked_list(value, "floor", 3, 3)
    return m.WantEntry(
        checked_bytes(author, "floor", HASH_BYTES, HASH_BYTES),
        (checked_integer(time, "floor", 0, TIME_MOST), checked_record(lowest, "floor")),
    )


def write_want_entry(entry: m.WantEntry) -> Value:
    return [entry.author] if entry.floor is None else [entry.author, entry.floor[0], Link(entry.floor[1])]


WANTS: Table = (
    (
        "want",
        Row(
            m.Want,
            LARGEST_MESSAGE,
            Stage.OPEN,
            lambda f: m.Want(
                f.integer("number", 1, COUNT),
                f.integer("base", 0, COUNT),
                tuple(map(want_entry, listed(f, "add", m.MOST_WANTED))),
                tuple(
                    checked_bytes(p, "drop", HASH_BYTES, HASH_BYTES) for p in listed(f, "drop", m.MOST_WANTED)
                ),
                flag(f, "more"),
            ),
            lambda x: {
                "number": x.number,
                "base": x.base,
                "add": [write_want_entry(e) for e in x.add],
                "drop": list(x.drop),
                "more": x.more,
            },
        ),
    ),
    (
        "circles",
        Row(
            m.Circles,
            LARGEST_MESSAGE,
            Stage.OPEN,
            lambda f: m.Circles(
                tuple(
                    checked_bytes(p, "proofs", KEY_BYTES, KEY_BYTES)
                    for p in listed(f, "proofs", m.MOST_PROOFS)
                )
            ),
            lambda x: {"proofs": list(x.proofs)},
        ),
    ),
)
