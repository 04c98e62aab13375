"""Messages to bytes and back: one row a type, with its size limit and where it is allowed (SPEC, Channel)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Flag, auto
from typing import Any

from pkn_protocol.channel import messages as m
from pkn_protocol.channel.errors import ChannelError, CloseCode
from pkn_protocol.records.cbor import BadEncoding, Link, Value, decode, encode
from pkn_protocol.records.fields import (
    BadField,
    Fields,
    checked_bytes,
    checked_integer,
    checked_link,
    checked_list,
    checked_record,
    checked_text,
)
from pkn_protocol.records.ids import AuthorId, Cid, DeviceId
from pkn_protocol.records.limits import KIND_BYTES, RECORD_BYTES, TAG_BYTES, TAGS, TIME_MOST

KIB = 1024
LARGEST_MESSAGE = 512 * KIB
"""No frame is longer; each type has its own limit within."""
_HASH_BYTES = 8
_KEY_BYTES = 32
_SCOPE_BYTES = 16
_SIGNATURE_BYTES = 64
_NONCE_BYTES = 32
_QUERY_ID_BYTES = 16
_WORD_BYTES = 256
_TEXT_BYTES = 4096
_COUNT = 2**40


class Stage(Flag):
    """When a message may come."""

    HANDSHAKE = auto()
    OPEN = auto()


@dataclass(frozen=True, slots=True)
class _Row:
    kind: type[m.Message]
    most_bytes: int
    stage: Stage
    read: Callable[[Fields], m.Message]
    write: Callable[[Any], dict[str, Value]]


def encode_message(envelope: m.Envelope) -> bytes:
    """The frame of a message."""
    name = _NAMES[type(envelope.message)]
    fields = _TYPES[name].write(envelope.message)
    fields["t"] = name
    if envelope.request is not None:
        fields["q"] = envelope.request
    if envelope.reply is not None:
        fields["r"] = envelope.reply
    return encode(fields)


def decode_message(frame: bytes, stage: Stage) -> m.Envelope:
    """The message in a frame. A type that is not known gives `Unsupported`, to be answered if it is a
    request and else ignored.

    Raises:
        ChannelError: too long, not canonical, a field is wrong, or the type is not allowed at this stage.
    """
    if len(frame) > LARGEST_MESSAGE:
        raise ChannelError(CloseCode.TOO_LARGE, f"a message of {len(frame)} bytes")
    try:
        fields = Fields(decode(frame, most_bytes=LARGEST_MESSAGE))
        name = fields.text("t", KIND_BYTES)
        request = fields.optional_integer("q", 1, _COUNT)
        reply = fields.optional_integer("r", 1, _COUNT)
        row = _TYPES.get(name)
        if row is None:
            if stage is Stage.HANDSHAKE:
                raise ChannelError(CloseCode.BAD_MESSAGE, f"{name} is not a message of the handshake")
            return m.Envelope(m.Unsupported(name), request, reply)
        if len(frame) > row.most_bytes:
            raise ChannelError(CloseCode.TOO_LARGE, f"a {name} of {len(frame)} bytes")
        if stage not in row.stage:
            raise ChannelError(CloseCode.BAD_MESSAGE, f"{name} is not allowed now")
        return m.Envelope(row.read(fields), request, reply)
    except (BadEncoding, BadField) as error:
        raise ChannelError(CloseCode.BAD_MESSAGE, str(error)[: m.REASON_BYTES // 2]) from error


def _list(fields: Fields, name: str, most: int) -> list[Value]:
    value = fields.take(name)
    return [] if value is None else checked_list(value, name, 0, most)


def _links(fields: Fields, name: str, most: int) -> tuple[Cid, ...]:
    return tuple(checked_record(part, name) for part in _list(fields, name, most))


def _any_links(fields: Fields, name: str, most: int) -> tuple[Cid, ...]:
    return tuple(checked_link(part, name) for part in _list(fields, name, most))


def _blocks(fields: Fields) -> tuple[bytes, ...]:
    parts = _list(fields, "blocks", m.MOST_FETCHED * 2)
    return tuple(checked_bytes(part, "blocks", 1, RECORD_BYTES) for part in parts)


def _texts(value: Value, name: str, most: int, most_bytes: int) -> tuple[str, ...]:
    return tuple(checked_text(part, name, most_bytes, 1) for part in checked_list(value, name, 0, most))


def _flag(fields: Fields, name: str) -> bool:
    value = fields.take(name)
    if value is not None and not isinstance(value, bool):
        raise BadField(f"{name}: true or false is expected")
    return bool(value)


def _scope(value: Value) -> bytes:
    scope = checked_bytes(value, "scope", 0, _SCOPE_BYTES)
    if len(scope) not in (0, _SCOPE_BYTES):
        raise BadField("scope: 0 or 16 bytes are expected")
    return scope


def _want_entry(value: Value) -> m.WantEntry:
    parts = checked_list(value, "add", 1, 3)
    author = checked_bytes(parts[0], "add", _HASH_BYTES, _HASH_BYTES)
    if len(parts) == 1:
        return m.WantEntry(author)
    if len(parts) != 3:
        raise BadField("add: an author, or an author with a floor of time and id")
    return m.WantEntry(
        author, (checked_integer(parts[1], "add", 0, TIME_MOST), checked_record(parts[2], "add"))
    )


def _write_want_entry(entry: m.WantEntry) -> Value:
    return [entry.author] if entry.floor is None else [entry.author, entry.floor[0], Link(entry.floor[1])]


def _sum_row(value: Value) -> m.SumRow:
    scope, author, period, count, digest = checked_list(value, "rows", 5, 5)
    return m.SumRow(
        _scope(scope),
        checked_bytes(author, "rows", _HASH_BYTES, _HASH_BYTES),
        checked_integer(period, "rows", 0, 2**32),
        checked_integer(count, "rows", 0, _COUNT),
        checked_bytes(digest, "rows", _KEY_BYTES, _KEY_BYTES),
    )


def _id_list(value: Value) -> m.IdList:
    scope, author, period, ids = checked_list(value, "lists", 4, 4)
    return m.IdList(
        _scope(scope),
        checked_bytes(author, "lists", _HASH_BYTES, _HASH_BYTES),
        checked_integer(period, "lists", 0, 2**32),
        tuple(checked_record(part, "lists") for part in checked_list(ids, "lists", 0, m.MOST_IDS)),
    )


def _term(value: Value) -> m.QueryTerm:
    word, stems, frequency = checked_list(value, "terms", 3, 3)
    return m.QueryTerm(
        checked_text(word, "terms", _WORD_BYTES, 1),
        tuple(checked_integer(s, "terms", 0, 2**24 - 1) for s in checked_list(stems, "terms", 0, 32)),
        checked_integer(frequency, "terms", 0, _COUNT),
    )


def _write_terms(terms: tuple[m.QueryTerm, ...]) -> Value:
    return [[term.word, list(term.stems), term.frequency] for term in terms]


def _phrases(f: Fields, name: str) -> tuple[tuple[str, ...], ...]:
    return tuple(_texts(part, name, m.MOST_TERMS, _WORD_BYTES) for part in _list(f, name, m.MOST_TERMS))


def _read_ask(f: Fields) -> m.Ask:
    author = f.optional_bytes("author", _KEY_BYTES, _KEY_BYTES)
    return m.Ask(
        query_id=f.bytes("id", _QUERY_ID_BYTES),
        text=f.text("text", _TEXT_BYTES, least=0),
        terms=tuple(map(_term, _list(f, "terms", m.MOST_TERMS * 8))),
        phrases=_phrases(f, "phrases"),
        excluded_phrases=_phrases(f, "excluded_phrases"),
        excluded=tuple(map(_term, _list(f, "excluded", m.MOST_TERMS * 8))),
        documents=f.integer("documents", 0, _COUNT),
        mean_length=f.integer("mean_length", 0, _COUNT),
        limit=f.integer("limit", 1, m.MOST_HITS),
        nodes=f.integer("nodes", 0, 1024),
        most_bytes=f.integer("bytes", 0, 2**24),
        hops=f.integer("hops", 0, 16),
        timeout_ms=f.integer("timeout_ms", 1, 60_000),
        tags=f.texts("tags", TAGS, TAG_BYTES),
        author=None if author is None else AuthorId(author),
        kind=f.optional_text("kind", KIND_BYTES),
        since=f.optional_integer("since", 0, TIME_MOST),
        seen=tuple(
            checked_bytes(part, "seen", _HASH_BYTES, _HASH_BYTES) for part in _list(f, "seen", m.MOST_SEEN)
        ),
    )


def _write_ask(a: m.Ask) -> dict[str, Value]:
    fields: dict[str, Value] = {
        "id": a.query_id,
        "text": a.text,
        "terms": _write_terms(a.terms),
        "phrases": [list(phrase) for phrase in a.phrases],
        "excluded": _write_terms(a.excluded),
        "documents": a.documents,
        "mean_length": a.mean_length,
        "limit": a.limit,
        "nodes": a.nodes,
        "bytes": a.most_bytes,
        "hops": a.hops,
        "timeout_ms": a.timeout_ms,
    }
    if a.tags:
        fields["tags"] = list(a.tags)
    if a.excluded_phrases:
        fields["excluded_phrases"] = [list(phrase) for phrase in a.excluded_phrases]
    if a.seen:
        fields["seen"] = list(a.seen)
    optional = {"author": a.author, "kind": a.kind, "since": a.since}
    return fields | {name: value for name, value in optional.items() if value is not None}


def _hit(value: Value) -> m.AnswerHit:
    cid, score, passage, marks, confirmed = checked_list(value, "hits", 5, 5)
    if not isinstance(confirmed, bool):
        raise BadField("hits: true or false is expected")
    return m.AnswerHit(
        checked_record(cid, "hits"),
        checked_integer(score, "hits", 0, 2**40),
        checked_text(passage, "hits", m.PASSAGE_BYTES, 0),
        tuple(
            checked_integer(mark, "hits", 0, m.PASSAGE_BYTES) for mark in checked_list(marks, "hits", 0, 128)
        ),
        confirmed,
    )


def _key(fields: Fields, name: str) -> bytes:
    return fields.bytes(name, _KEY_BYTES)


_ROWS: tuple[tuple[str, _Row], ...] = (
    (
        "hello",
        _Row(
            m.Hello,
            KIB,
            Stage.HANDSHAKE,
            lambda f: m.Hello(
                f.integer("least", 1, 2**16),
                f.integer("greatest", 1, 2**16),
                DeviceId(_key(f, "device")),
                AuthorId(_key(f, "author")),
                f.bytes("nonce", _NONCE_BYTES),
                f.text("agent", 64),
                _key(f, "cert"),
                f.integer("port", 0, 65_535),
            ),
            lambda x: {
                "least": x.least_version,
                "greatest": x.greatest_version,
                "device": x.device,
                "author": x.author,
                "nonce": x.nonce,
                "agent": x.agent,
                "cert": x.certificate,
                "port": x.port,
            },
        ),
    ),
    (
        "proof",
        _Row(
            m.Proof,
            RECORD_BYTES + KIB,
            Stage.HANDSHAKE,
            lambda f: m.Proof(
                f.bytes("sig", _SIGNATURE_BYTES), f.bytes("record", 1, RECORD_BYTES), f.bytes("token", 32)
            ),
            lambda x: {"sig": x.signature, "record": x.device_record, "token": x.token},
        ),
    ),
    (
        "welcome",
        _Row(
            m.Welcome,
            RECORD_BYTES + KIB,
            Stage.HANDSHAKE,
            lambda f: m.Welcome(
                f.bytes("sig", _SIGNATURE_BYTES), f.bytes("record", 1, RECORD_BYTES), f.bytes("token", 32)
            ),
            lambda x: {"sig": x.signature, "record": x.device_record, "token": x.token},
        ),
    ),
    (
        "close",
        _Row(
            m.Close,
            KIB,
            Stage.HANDSHAKE | Stage.OPEN,
            lambda f: m.Close(f.integer("code", 0, 9999), f.text("reason", m.REASON_BYTES, least=0)),
            lambda x: {
                "code": int(x.code),
                "reason": x.reason.encode()[: m.REASON_BYTES].decode(errors="ignore"),
            },
        ),
    ),
    ("ping", _Row(m.Ping, KIB, Stage.OPEN, lambda f: m.Ping(), lambda x: {})),
    ("pong", _Row(m.Pong, KIB, Stage.OPEN, lambda f: m.Pong(), lambda x: {})),
    (
        "want",
        _Row(
            m.Want,
            LARGEST_MESSAGE,
            Stage.OPEN,
            lambda f: m.Want(
                f.integer("number", 1, _COUNT),
                f.integer("base", 0, _COUNT),
                tuple(map(_want_entry, _list(f, "add", m.MOST_WANTED))),
                tuple(
                    checked_bytes(p, "drop", _HASH_BYTES, _HASH_BYTES)
                    for p in _list(f, "drop", m.MOST_WANTED)
                ),
                _flag(f, "more"),
            ),
            lambda x: {
                "number": x.number,
                "base": x.base,
                "add": [_write_want_entry(e) for e in x.add],
                "drop": list(x.drop),
                "more": x.more,
            },
        ),
    ),
    (
        "circles",
        _Row(
            m.Circles,
            LARGEST_MESSAGE,
            Stage.OPEN,
            lambda f: m.Circles(
                tuple(
                    checked_bytes(p, "proofs", _KEY_BYTES, _KEY_BYTES)
                    for p in _list(f, "proofs", m.MOST_PROOFS)
                )
            ),
            lambda x: {"proofs": list(x.proofs)},
        ),
    ),
    (
        "compare",
        _Row(
            m.Compare,
            KIB,
            Stage.OPEN,
            lambda f: m.Compare(
                f.integer("n", 1, _COUNT),
                f.integer("at", 0, TIME_MOST),
                f.integer("mine", 0, _COUNT),
                f.integer("yours", 0, _COUNT),
                _key(f, "root"),
            ),
            lambda x: {"n": x.number, "at": x.at, "mine": x.mine, "yours": x.yours, "root": x.root},
        ),
    ),
    (
        "same",
        _Row(m.Same, KIB, Stage.OPEN, lambda f: m.Same(f.integer("n", 1, _COUNT)), lambda x: {"n": x.number}),
    ),
    (
        "stale",
        _Row(
            m.Stale, KIB, Stage.OPEN, lambda f: m.Stale(f.integer("n", 1, _COUNT)), lambda x: {"n": x.number}
        ),
    ),
    (
        "sums",
        _Row(
            m.Sums,
            LARGEST_MESSAGE,
            Stage.OPEN,
            lambda f: m.Sums(
                f.integer("n", 1, _COUNT),
                tuple(map(_sum_row, _list(f, "rows", m.MOST_ROWS))),
                _flag(f, "more"),
            ),
            lambda x: {
                "n": x.number,
                "rows": [[r.scope, r.author, r.period, r.count, r.digest] for r in x.rows],
                "more": x.more,
            },
        ),
    ),
    (
        "ids",
        _Row(
            m.Ids,
            LARGEST_MESSAGE,
            Stage.OPEN,
            lambda f: m.Ids(
                f.integer("n", 1, _COUNT),
                tuple(map(_id_list, _list(f, "lists", m.MOST_ROWS))),
                _flag(f, "more"),
            ),
            lambda x: {
                "n": x.number,
                "lists": [[e.scope, e.author, e.period, list(map(Link, e.ids))] for e in x.lists],
                "more": x.more,
            },
        ),
    ),
    (
        "fetch",
        _Row(
            m.Fetch,
            32 * KIB,
            Stage.OPEN,
            lambda f: m.Fetch(_links(f, "ids", m.MOST_FETCHED), _flag(f, "devices")),
            lambda x: {"ids": list(map(Link, x.ids)), "devices": x.devices},
        ),
    ),
    (
        "records",
        _Row(
            m.Records,
            256 * KIB,
            Stage.OPEN,
            lambda f: m.Records(_blocks(f), _links(f, "missing", m.MOST_FETCHED), _flag(f, "more")),
            lambda x: {"blocks": list(x.blocks), "missing": list(map(Link, x.missing)), "more": x.more},
        ),
    ),
    (
        "push",
        _Row(
            m.Push,
            256 * KIB,
            Stage.OPEN,
            lambda f: m.Push(f.bytes("author", _HASH_BYTES), _blocks(f)),
            lambda x: {"author": x.author, "blocks": list(x.blocks)},
        ),
    ),
    (
        "grants",
        _Row(
            m.Grants,
            256 * KIB,
            Stage.OPEN,
            lambda f: m.Grants(_blocks(f)),
            lambda x: {"blocks": list(x.blocks)},
        ),
    ),
    (
        "refused",
        _Row(
            m.Refused,
            32 * KIB,
            Stage.OPEN,
            lambda f: m.Refused(_links(f, "ids", m.MOST_FETCHED), f.text("reason", m.REASON_BYTES, least=0)),
            lambda x: {"ids": list(map(Link, x.ids)), "reason": x.reason},
        ),
    ),
    (
        "have",
        _Row(
            m.Have,
            32 * KIB,
            Stage.OPEN,
            lambda f: m.Have(_any_links(f, "cids", m.MOST_HAVE)),
            lambda x: {"cids": list(map(Link, x.cids))},
        ),
    ),
    (
        "holds",
        _Row(
            m.Holds,
            KIB,
            Stage.OPEN,
            lambda f: m.Holds(f.bytes("held", 0, m.MOST_HAVE)),
            lambda x: {"held": x.held},
        ),
    ),
    ("query", _Row(m.Ask, 64 * KIB, Stage.OPEN, _read_ask, _write_ask)),
    (
        "answers",
        _Row(
            m.Answers,
            256 * KIB,
            Stage.OPEN,
            lambda f: m.Answers(
                tuple(map(_hit, _list(f, "hits", m.MOST_HITS))), f.integer("asked", 0, 1024), _flag(f, "more")
            ),
            lambda x: {
                "hits": [[Link(h.id), h.score, h.passage, list(h.marks), h.confirmed] for h in x.hits],
                "asked": x.asked,
                "more": x.more,
            },
        ),
    ),
    (
        "cancel",
        _Row(
            m.Cancel,
            KIB,
            Stage.OPEN,
            lambda f: m.Cancel(f.integer("request", 1, _COUNT)),
            lambda x: {"request": x.request},
        ),
    ),
    (
        "unsupported",
        _Row(
            m.Unsupported,
            KIB,
            Stage.OPEN,
            lambda f: m.Unsupported(f.text("type", KIND_BYTES)),
            lambda x: {"type": x.type},
        ),
    ),
)
_TYPES: dict[str, _Row] = dict(_ROWS)
_NAMES: dict[type, str] = {row.kind: name for name, row in _ROWS}
