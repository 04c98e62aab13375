"""The frequent messages in the form of version 2: names of fields and lists around single ids were a third of
their bytes (SPEC, Channel, Version 2)."""

from __future__ import annotations

from collections.abc import Iterator

from pkn_protocol.channel import messages as m
from pkn_protocol.channel.families.table import (
    COUNT,
    HASH_BYTES,
    KIB,
    LARGEST_MESSAGE,
    Row,
    Stage,
    Table,
    blocks,
    flag,
    listed,
)
from pkn_protocol.channel.families.wants import want_entry_with_floor, write_want_entry
from pkn_protocol.records.cbor import Value
from pkn_protocol.records.fields import BadField, Fields, checked_bytes
from pkn_protocol.records.ids import SHORT_BYTES, ShortId
from pkn_protocol.records.limits import TIME_MOST

_HEAD_BYTES = 2 + HASH_BYTES
_MOST_IN_A_PART = 255
_MOST_PARTS = m.MOST_ANNOUNCED_AUTHORS + m.MOST_ANNOUNCED // _MOST_IN_A_PART
"""Enough for every announcement of the long form, however its ids are spread over its lists."""


def _shorts(data: bytes) -> tuple[ShortId, ...]:
    if len(data) % SHORT_BYTES:
        raise BadField(f"d: {len(data)} bytes are no multiple of {SHORT_BYTES}")
    return tuple(ShortId(data[at : at + SHORT_BYTES]) for at in range(0, len(data), SHORT_BYTES))


def _announced(data: bytes) -> Iterator[m.Announced]:
    at = 0
    while at < len(data):
        head = data[at : at + _HEAD_BYTES]
        end = at + _HEAD_BYTES + head[0] * SHORT_BYTES
        if len(head) < _HEAD_BYTES or end > len(data) or not head[0]:
            raise BadField("d: a part is cut off, or empty")
        yield m.Announced(head[2:], _shorts(data[at + _HEAD_BYTES : end]), head[1])
        at = end


def _read_announce(fields: Fields) -> m.Announce:
    most = _MOST_PARTS * _HEAD_BYTES + m.MOST_ANNOUNCED * SHORT_BYTES
    lists: list[m.Announced] = []
    for number, part in enumerate(_announced(fields.bytes("d", 0, most)), 1):
        if number > _MOST_PARTS:
            raise BadField(f"d: more than {_MOST_PARTS} parts")
        if lists and (lists[-1].author, lists[-1].hops) == (part.author, part.hops):
            lists[-1] = m.Announced(part.author, lists[-1].shorts + part.shorts, part.hops)
        else:
            lists.append(part)
    if len(lists) > m.MOST_ANNOUNCED_AUTHORS or sum(len(p.shorts) for p in lists) > m.MOST_ANNOUNCED:
        raise BadField(f"more than {m.MOST_ANNOUNCED} records are announced")
    return m.Announce(tuple(lists))


def _write_announce(announce: m.Announce) -> dict[str, Value]:
    data = bytearray()
    for part in announce.lists:
        for at in range(0, len(part.shorts), _MOST_IN_A_PART):
            shorts = part.shorts[at : at + _MOST_IN_A_PART]
            data += bytes((len(shorts), part.hops)) + part.author + b"".join(shorts)
    return {"d": bytes(data)}


def _tree(data: bytes, least: m.Tree) -> m.Tree:
    if not least <= data[0] <= m.Tree.EVERYBODY:
        raise BadField(f"d: no tree is {data[0]}")
    return m.Tree(data[0])


def _read_graft(fields: Fields) -> m.Graft:
    head = 1 + HASH_BYTES
    data = fields.bytes("d", head, head + m.MOST_FETCHED * SHORT_BYTES)
    return m.Graft(data[1:head], _shorts(data[head:]), _tree(data, m.Tree.NOBODY))


def _read_prune(fields: Fields) -> m.Prune:
    data = fields.bytes("d", 1 + HASH_BYTES)
    return m.Prune(data[1:], _tree(data, m.Tree.AUTHOR))


def _hashes(fields: Fields, name: str) -> Iterator[bytes]:
    value = fields.take(name)
    data = b"" if value is None else checked_bytes(value, name, 0, m.MOST_WANTED * HASH_BYTES)
    if len(data) % HASH_BYTES:
        raise BadField(f"{name}: {len(data)} bytes are no multiple of {HASH_BYTES}")
    return (data[at : at + HASH_BYTES] for at in range(0, len(data), HASH_BYTES))


def _read_want(fields: Fields) -> m.Want:
    plain = tuple(map(m.WantEntry, _hashes(fields, "a")))
    # One limit for both: in the long form they are one list.
    floors = map(want_entry_with_floor, listed(fields, "f", m.MOST_WANTED - len(plain)))
    return m.Want(
        fields.integer("n", 1, COUNT),
        fields.optional_integer("b", 0, COUNT) or 0,
        (*plain, *floors),
        tuple(_hashes(fields, "d")),
        flag(fields, "m"),
    )


def _write_want(want: m.Want) -> dict[str, Value]:
    fields: dict[str, Value] = {"n": want.number}
    if want.base:
        fields["b"] = want.base
    if plain := [entry.author for entry in want.add if entry.floor is None]:
        fields["a"] = b"".join(plain)
    if floors := [write_want_entry(entry) for entry in want.add if entry.floor is not None]:
        fields["f"] = floors
    if want.drop:
        fields["d"] = b"".join(want.drop)
    if want.more:
        fields["m"] = True
    return fields


COMPACT: Table = (
    ("a", Row(m.Announce, 32 * KIB, Stage.OPEN, _read_announce, _write_announce)),
    (
        "g",
        Row(
            m.Graft,
            4 * KIB,
            Stage.OPEN,
            _read_graft,
            lambda x: {"d": bytes((x.tree,)) + x.author + b"".join(x.shorts)},
        ),
    ),
    (
        "x",
        Row(m.Prune, KIB, Stage.OPEN, _read_prune, lambda x: {"d": bytes((x.tree,)) + x.author}),
    ),
    (
        "p",
        Row(
            m.Push,
            256 * KIB,
            Stage.OPEN,
            lambda f: m.Push(
                f.bytes("a", HASH_BYTES), blocks(f, "b"), f.optional_integer("h", 0, m.MOST_HOPS) or 0
            ),
            lambda x: {"a": x.author, "b": list(x.blocks)} | ({"h": x.hops} if x.hops else {}),
        ),
    ),
    ("w", Row(m.Want, LARGEST_MESSAGE, Stage.OPEN, _read_want, _write_want)),
    (
        "c",
        Row(
            m.Compare,
            KIB,
            Stage.OPEN,
            lambda f: m.Compare(
                f.integer("n", 1, COUNT),
                f.integer("a", 0, TIME_MOST),
                f.integer("m", 0, COUNT),
                f.integer("y", 0, COUNT),
                f.bytes("o", m.ROOT_BYTES),
            ),
            lambda x: {"n": x.number, "a": x.at, "m": x.mine, "y": x.yours, "o": x.root},
        ),
    ),
    (
        "s",
        Row(
            m.Same,
            KIB,
            Stage.OPEN,
            lambda f: m.Same(f.integer("n", 1, COUNT)),
            lambda x: {"n": x.number},
        ),
    ),
)
"""By short names; who speaks version 1 alone is sent the long ones."""
