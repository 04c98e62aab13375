"""Messages that carry records, and the questions for blocks."""

from __future__ import annotations

from pkn_protocol.channel import messages as m
from pkn_protocol.channel.families.table import (
    HASH_BYTES,
    KIB,
    Row,
    Stage,
    Table,
    any_links,
    blocks,
    flag,
    links,
    listed,
)
from pkn_protocol.records.cbor import Link, Value
from pkn_protocol.records.fields import BadField, Fields, checked_bytes, checked_list
from pkn_protocol.records.ids import SHORT_BYTES, ShortId


def _short_ids(value: Value) -> m.ShortIds:
    author, joined = checked_list(value, "shorts", 2, 2)
    data = checked_bytes(joined, "shorts", SHORT_BYTES, m.MOST_FETCHED * SHORT_BYTES)
    if len(data) % SHORT_BYTES:
        raise BadField(f"shorts: {len(data)} bytes are no multiple of {SHORT_BYTES}")
    return m.ShortIds(
        checked_bytes(author, "shorts", HASH_BYTES, HASH_BYTES),
        tuple(ShortId(data[at : at + SHORT_BYTES]) for at in range(0, len(data), SHORT_BYTES)),
    )


def _fetch(fields: Fields) -> m.Fetch:
    fetch = m.Fetch(
        links(fields, "ids", m.MOST_FETCHED),
        flag(fields, "devices"),
        tuple(map(_short_ids, listed(fields, "shorts", m.MOST_FETCHED))),
    )
    if len(fetch.ids) + sum(len(part.shorts) for part in fetch.shorts) > m.MOST_FETCHED:
        raise BadField(f"more than {m.MOST_FETCHED} records are asked for")
    return fetch


def _write_fetch(fetch: m.Fetch) -> dict[str, Value]:
    fields: dict[str, Value] = {"ids": list(map(Link, fetch.ids)), "devices": fetch.devices}
    if fetch.shorts:
        fields["shorts"] = [[part.author, b"".join(part.shorts)] for part in fetch.shorts]
    return fields


RECORDS: Table = (
    (
        "fetch",
        Row(m.Fetch, 32 * KIB, Stage.OPEN, _fetch, _write_fetch),
    ),
    (
        "records",
        Row(
            m.Records,
            256 * KIB,
            Stage.OPEN,
            lambda f: m.Records(blocks(f), links(f, "missing", m.MOST_FETCHED), flag(f, "more")),
            lambda x: {"blocks": list(x.blocks), "missing": list(map(Link, x.missing)), "more": x.more},
        ),
    ),
    (
        "push",
        Row(
            m.Push,
            256 * KIB,
            Stage.OPEN,
            lambda f: m.Push(
                f.bytes("author", HASH_BYTES), blocks(f), f.optional_integer("hops", 0, m.MOST_HOPS) or 0
            ),
            lambda x: {"author": x.author, "blocks": list(x.blocks)} | ({"hops": x.hops} if x.hops else {}),
        ),
    ),
    (
        "grants",
        Row(
            m.Grants,
            256 * KIB,
            Stage.OPEN,
            lambda f: m.Grants(blocks(f)),
            lambda x: {"blocks": list(x.blocks)},
        ),
    ),
    (
        "refused",
        Row(
            m.Refused,
            32 * KIB,
            Stage.OPEN,
            lambda f: m.Refused(links(f, "ids", m.MOST_FETCHED), f.text("reason", m.REASON_BYTES, least=0)),
            lambda x: {"ids": list(map(Link, x.ids)), "reason": x.reason},
        ),
    ),
    (
        "have",
        Row(
            m.Have,
            32 * KIB,
            Stage.OPEN,
            lambda f: m.Have(any_links(f, "cids", m.MOST_HAVE)),
            lambda x: {"cids": list(map(Link, x.cids))},
        ),
    ),
    (
        "holds",
        Row(
            m.Holds,
            KIB,
            Stage.OPEN,
            lambda f: m.Holds(f.bytes("held", 0, m.MOST_HAVE)),
            lambda x: {"held": x.held},
        ),
    ),
)
