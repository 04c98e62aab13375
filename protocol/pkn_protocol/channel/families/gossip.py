"""Messages about new records beside those that carry them."""

from __future__ import annotations

from pkn_protocol.channel import messages as m
from pkn_protocol.channel.families.table import HASH_BYTES, KIB, Row, Stage, Table, listed
from pkn_protocol.records.cbor import Value
from pkn_protocol.records.fields import BadField, Fields, checked_bytes, checked_integer, checked_list
from pkn_protocol.records.ids import SHORT_BYTES, ShortId


def _shorts(value: Value | None, least: int, most: int) -> tuple[ShortId, ...]:
    data = checked_bytes(value, "shorts", least * SHORT_BYTES, most * SHORT_BYTES)
    if len(data) % SHORT_BYTES:
        raise BadField(f"shorts: {len(data)} bytes are no multiple of {SHORT_BYTES}")
    return tuple(ShortId(data[at : at + SHORT_BYTES]) for at in range(0, len(data), SHORT_BYTES))


def _list(value: Value) -> m.Announced:
    author, data, hops = checked_list(value, "lists", 3, 3)
    return m.Announced(
        checked_bytes(author, "lists", HASH_BYTES, HASH_BYTES),
        _shorts(data, 1, m.MOST_ANNOUNCED),
        checked_integer(hops, "lists", 0, m.MOST_HOPS),
    )


def _announce(fields: Fields) -> m.Announce:
    lists = tuple(map(_list, listed(fields, "lists", m.MOST_ANNOUNCED_AUTHORS)))
    if sum(len(part.shorts) for part in lists) > m.MOST_ANNOUNCED:
        raise BadField(f"more than {m.MOST_ANNOUNCED} records are announced")
    return m.Announce(lists)


def _tree(fields: Fields, least: m.Tree) -> m.Tree:
    return m.Tree(fields.integer("tree", least, m.Tree.EVERYBODY))


GOSSIP: Table = (
    (
        "announce",
        Row(
            m.Announce,
            32 * KIB,
            Stage.OPEN,
            _announce,
            lambda x: {"lists": [[part.author, b"".join(part.shorts), part.hops] for part in x.lists]},
        ),
    ),
    (
        "graft",
        Row(
            m.Graft,
            4 * KIB,
            Stage.OPEN,
            lambda f: m.Graft(
                f.bytes("author", HASH_BYTES),
                _shorts(f.take("shorts"), 0, m.MOST_FETCHED),
                _tree(f, m.Tree.NOBODY),
            ),
            lambda x: {"author": x.author, "shorts": b"".join(x.shorts), "tree": int(x.tree)},
        ),
    ),
    (
        "prune",
        Row(
            m.Prune,
            KIB,
            Stage.OPEN,
            lambda f: m.Prune(f.bytes("author", HASH_BYTES), _tree(f, m.Tree.AUTHOR)),
            lambda x: {"author": x.author, "tree": int(x.tree)},
        ),
    ),
)
