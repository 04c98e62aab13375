"""Asking one peer: the message, its answers, and the signed records behind them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b

from pkn_protocol.channel import messages as m
from pkn_protocol.control.query import QueryRequest
from pkn_protocol.records.cbor import BadEncoding
from pkn_protocol.records.codec import RecordError, decode_record, verify_record
from pkn_protocol.records.ids import Cid, DeviceId
from pkn_protocol.records.model import Device, Item, Record
from pkn_protocol.search.budget import Budget
from pkn_protocol.search.fanout import MOST_PARTS
from pkn_protocol.search.passages import Passage
from pkn_protocol.search.query import Query, Term
from pkn_protocol.search.scoring import Statistics
from pknd.environment import Environment
from pknd.store.records import Filter, get
from pknd.sync.link import PeerLink

_SEEN_PERSON = b"pkn query seen 1"


@dataclass(frozen=True, slots=True)
class Found:
    """A record that a peer answered with, verified, the passage that it showed, and whether it says to have
    seen the phrases. `device_block` joins its device and author; empty where the record is held here."""

    record: Record
    passage: Passage | None
    device_block: bytes = b""
    confirmed: bool = False


def ask_message(
    query: Query,
    statistics: Statistics,
    wanted: Filter,
    budget: Budget,
    request: QueryRequest,
    *,
    query_id: bytes,
    seen: tuple[bytes, ...],
) -> m.Ask:
    frequencies = statistics.frequencies
    return m.Ask(
        query_id=query_id,
        text=query.text,
        terms=tuple(
            m.QueryTerm(term.word, tuple(sorted(term.stems))[:32], frequency)
            for term, frequency in zip(query.terms, frequencies, strict=True)
        ),
        phrases=query.phrases,
        excluded=tuple(m.QueryTerm(term.word, tuple(sorted(term.stems))[:32], 0) for term in query.excluded),
        excluded_phrases=query.excluded_phrases,
        documents=statistics.documents,
        mean_length=int(statistics.mean_length),
        limit=request.limit,
        nodes=budget.nodes,
        most_bytes=budget.bytes,
        hops=budget.hops,
        timeout_ms=request.timeout_ms,
        tags=wanted.tags,
        author=wanted.author,
        kind=wanted.kind,
        since=wanted.since,
        seen=seen[: m.MOST_SEEN],
    )


def seen_hash(device: DeviceId, query_id: bytes) -> bytes:
    """A device as a query names it to forwarders: recognised by who knows it, telling nothing to others."""
    return blake2b(device, digest_size=8, key=query_id, person=_SEEN_PERSON).digest()


def query_of(ask: m.Ask) -> tuple[Query, Statistics]:
    """The query and the statistics in a peer's message."""
    terms = tuple(Term(term.word, frozenset(term.stems)) for term in ask.terms)
    excluded = tuple(Term(term.word, frozenset(term.stems)) for term in ask.excluded)
    frequencies = tuple(term.frequency for term in ask.terms)
    phrases = tuple(phrase for phrase in ask.phrases if phrase)
    return (
        Query(ask.text, terms, phrases, excluded, tuple(filter(None, ask.excluded_phrases))),
        Statistics(ask.documents, float(max(1, ask.mean_length)), frequencies),
    )


async def ask_peer(
    env: Environment, link: PeerLink, message: m.Ask, *, timeout_s: float
) -> AsyncIterator[tuple[list[Found], bool]]:
    """What a peer answers, in two parts at most, each with whether another may follow: first what its own
    disk has, then what it heard from others. Records that are not here are fetched from it and verified.

    Raises:
        LinkClosed, TimeoutError: the peer did not answer.
    """
    replies = link.stream(message, timeout_s=timeout_s)
    try:
        for part in range(1, MOST_PARTS + 1):
            reply = await anext(replies, None)
            if not isinstance(reply, m.Answers):
                return
            more = reply.more and part < MOST_PARTS
            yield await _found(env, link, within_budget(reply.hits, message), timeout_s), more
            if not more:
                return
    finally:
        # What somebody sends beyond is not waited for, and need not be sent.
        if isinstance(replies, AsyncGenerator):
            await replies.aclose()


def within_budget(hits: Sequence[m.AnswerHit], ask: m.Ask) -> list[m.AnswerHit]:
    """The first hits of a part of an answer, as many as were asked for and fit into the budget of bytes: what
    an answerer sends, and all that an asker reads."""
    kept: list[m.AnswerHit] = []
    size = 64
    for hit in hits[: ask.limit]:
        size += 64 + len(hit.passage.encode("utf-8")) + 4 * len(hit.marks)
        if size > ask.most_bytes:
            break
        kept.append(hit)
    return kept


async def _found(
    env: Environment, link: PeerLink, hits: Sequence[m.AnswerHit], timeout_s: float
) -> list[Found]:
    held = await env.store.read(
        lambda db: {hit.id: found.record for hit in hits if (found := get(db, hit.id)) is not None}
    )
    lacking = [hit.id for hit in hits if hit.id not in held]
    fetched = await _fetch_records(link, lacking, timeout_s) if lacking else {}
    found = []
    for hit in hits:
        record, device_block = fetched.get(hit.id) or (held.get(hit.id), b"")
        if record is not None and isinstance(record.body, Item):
            found.append(Found(record, _passage(hit), device_block, hit.confirmed))
    return found


async def _fetch_records(
    link: PeerLink, ids: Sequence[Cid], timeout_s: float
) -> dict[Cid, tuple[Record, bytes]]:
    blocks: list[bytes] = []
    for start in range(0, len(ids), m.MOST_FETCHED):
        part = tuple(ids[start : start + m.MOST_FETCHED])
        async for reply in link.stream(m.Fetch(part, devices=True), timeout_s=timeout_s):
            if isinstance(reply, m.Records):
                blocks += reply.blocks
    return await asyncio.to_thread(_verified, blocks, set(ids))


def _verified(blocks: Sequence[bytes], wanted: set[Cid]) -> dict[Cid, tuple[Record, bytes]]:
    """Of records with the `device` records of their authors, those that are wanted and valid, each with the
    block that joins its device and author."""
    records: list[Record] = []
    for block in blocks:
        try:
            record = decode_record(block)
            verify_record(record)
        except (RecordError, BadEncoding):
            continue
        records.append(record)
    joined = {(r.author, r.body.device): r.block for r in records if isinstance(r.body, Device)}
    return {
        r.id: (r, joined[(r.author, r.by)])
        for r in records
        if r.id in wanted and r.audience is None and (r.author, r.by) in joined
    }


def _passage(hit: m.AnswerHit) -> Passage | None:
    if not hit.passage:
        return None
    pairs = zip(hit.marks[::2], hit.marks[1::2], strict=False)
    marks = tuple((start, end) for start, end in pairs if start < end <= len(hit.passage))
    return Passage(hit.passage, 0, marks)
