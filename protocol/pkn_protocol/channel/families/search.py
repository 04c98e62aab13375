"""Messages of queries and answers."""

from __future__ import annotations

from pkn_protocol.channel import messages as m
from pkn_protocol.channel.families.table import (
    COUNT,
    HASH_BYTES,
    KEY_BYTES,
    KIB,
    Row,
    Stage,
    Table,
    flag,
    listed,
    texts,
)
from pkn_protocol.records.cbor import Link, Value
from pkn_protocol.records.fields import (
    BadField,
    Fields,
    checked_bytes,
    checked_integer,
    checked_list,
    checked_record,
    checked_text,
)
from pkn_protocol.records.ids import AuthorId
from pkn_protocol.records.limits import KIND_BYTES, TAG_BYTES, TAGS, TIME_MOST

_QUERY_ID_BYTES = 16
_WORD_BYTES = 256
_TEXT_BYTES = 4096


def _term(value: Value) -> m.QueryTerm:
    word, stems, frequency = checked_list(value, "terms", 3, 3)
    return m.QueryTerm(
        checked_text(word, "terms", _WORD_BYTES, 1),
        tuple(checked_integer(s, "terms", 0, 2**24 - 1) for s in checked_list(stems, "terms", 0, 32)),
        checked_integer(frequency, "terms", 0, COUNT),
    )


def _write_terms(terms: tuple[m.QueryTerm, ...]) -> Value:
    return [[term.word, list(term.stems), term.frequency] for term in terms]


def _phrases(f: Fields, name: str) -> tuple[tuple[str, ...], ...]:
    return tuple(texts(part, name, m.MOST_TERMS, _WORD_BYTES) for part in listed(f, name, m.MOST_TERMS))


def _read_ask(f: Fields) -> m.Ask:
    author = f.optional_bytes("author", KEY_BYTES, KEY_BYTES)
    return m.Ask(
        query_id=f.bytes("id", _QUERY_ID_BYTES),
        text=f.text("text", _TEXT_BYTES, least=0),
        terms=tuple(map(_term, listed(f, "terms", m.MOST_TERMS * 8))),
        phrases=_phrases(f, "phrases"),
        excluded_phrases=_phrases(f, "excluded_phrases"),
        excluded=tuple(map(_term, listed(f, "excluded", m.MOST_TERMS * 8))),
        documents=f.integer("documents", 0, COUNT),
        mean_length=f.integer("mean_length", 0, COUNT),
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
            checked_bytes(part, "seen", HASH_BYTES, HASH_BYTES) for part in listed(f, "seen", m.MOST_SEEN)
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


SEARCH: Table = (
    ("query", Row(m.Ask, 64 * KIB, Stage.OPEN, _read_ask, _write_ask)),
    (
        "answers",
        Row(
            m.Answers,
            256 * KIB,
            Stage.OPEN,
            lambda f: m.Answers(
                tuple(map(_hit, listed(f, "hits", m.MOST_HITS))), f.integer("asked", 0, 1024), flag(f, "more")
            ),
            lambda x: {
                "hits": [[Link(h.id), h.score, h.passage, list(h.marks), h.confirmed] for h in x.hits],
                "asked": x.asked,
                "more": x.more,
            },
        ),
    ),
)
