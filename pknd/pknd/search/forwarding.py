"""Passing a peer's query on to those whom the asker does not reach (SPEC, Search, Forwarding)."""

from __future__ import annotations

import asyncio
import sqlite3
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

from pkn_protocol.channel import messages as m
from pkn_protocol.records.ids import AuthorId, Cid, DeviceId
from pkn_protocol.search.budget import Budget, SeenQueries
from pkn_protocol.search.documents import text_score
from pkn_protocol.search.fanout import FORWARDED_MS
from pknd.environment import Environment
from pknd.search.admission import taken_back
from pknd.search.asking import Found, ask_peer, query_of, seen_hash
from pknd.sync.link import LinkClosed, PeerLink

MOST_PASSED_ON = 2000
"""Records of others that are kept in memory for an asker to fetch: some 2 MiB."""
_PATIENCE_S = 0.8 * FORWARDED_MS / 1000
"""The asker waits for all that comes from behind; what is late is lost, and so would be what waits for it."""
_TIME_SHARE = 0.6
"""Of the asker's time, what those behind a forwarder may take."""


class Forwarder:
    """Asks own peers on behalf of another, once a query, within the budget that came with it. Public records
    alone: sealed ones are answered only to a member's device itself."""

    def __init__(
        self,
        env: Environment,
        *,
        links: Callable[[], Mapping[DeviceId, PeerLink]],
        near: Callable[[], frozenset[AuthorId]],
    ) -> None:
        self._env = env
        self._links = links
        self._near = near
        self._seen = SeenQueries()
        self._passed_on: OrderedDict[Cid, tuple[bytes, bytes]] = OrderedDict()

    def passed_on(self, cid: Cid) -> tuple[bytes, bytes] | None:
        """The blocks of a record that was an answer lately, and of its author's device."""
        return self._passed_on.get(cid)

    async def forward(self, link: PeerLink, ask: m.Ask) -> tuple[list[m.AnswerHit], int]:
        """What those behind this machine answer, and how many were asked."""
        others = self._others(link, ask)
        if not others or not self._seen.is_new(ask.query_id):
            return [], 0
        budget = Budget(ask.nodes, ask.most_bytes, ask.hops).capped().divided(len(others))
        seen = sorted({*ask.seen, *(seen_hash(other.peer.device, ask.query_id) for other in others)})
        message = replace(
            ask,
            nodes=budget.nodes,
            most_bytes=budget.bytes,
            hops=budget.hops,
            seen=tuple(seen[: m.MOST_SEEN]),
            timeout_ms=max(1, int(ask.timeout_ms * _TIME_SHARE)),
        )
        heard = await self._heard(others, message)
        hits: dict[Cid, m.AnswerHit] = {}
        # In a thread: it decodes a sketch of each, and of all who were asked there may be hundreds.
        for found, score in await self._env.store.read(lambda db: _scored(db, heard, ask)):
            self._keep(found)
            passage = found.passage
            hits[found.record.id] = m.AnswerHit(
                found.record.id,
                int(score * 1000),
                passage.text if passage is not None else "",
                tuple(place for mark in passage.marks for place in mark) if passage is not None else (),
                confirmed=found.confirmed,
            )
        ordered = sorted(hits.values(), key=lambda hit: (-hit.score, hit.id))
        return ordered[: ask.limit], len(others)

    async def _heard(self, others: Sequence[PeerLink], message: m.Ask) -> list[Found]:
        """What those who were asked answer, but for those who are slower than the asker is patient, once
        somebody has answered."""
        began = self._env.monotonic()
        waiting = {asyncio.create_task(self._ask(other, message)) for other in others}
        heard: list[Found] = []
        left: float | None = None
        try:
            while waiting:
                done, waiting = await asyncio.wait(waiting, timeout=left, return_when=asyncio.FIRST_COMPLETED)
                if not done:
                    break
                heard += [one for task in done for one in task.result()]
                left = max(0.0, began + _PATIENCE_S - self._env.monotonic())
        finally:
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
        return heard

    def _others(self, link: PeerLink, ask: m.Ask) -> Sequence[PeerLink]:
        if ask.hops <= 0 or ask.nodes <= 0:
            return ()
        near, asked = self._near(), set(ask.seen)
        others = [
            other
            for device, other in self._links().items()
            if device != link.peer.device
            and other.peer.author in near
            and seen_hash(device, ask.query_id) not in asked
        ]
        return sorted(others, key=lambda other: other.rtt_ms or 0.0)[: ask.nodes]

    async def _ask(self, link: PeerLink, message: m.Ask) -> list[Found]:
        found: list[Found] = []
        with suppress(LinkClosed, TimeoutError):
            async for part, _ in ask_peer(self._env, link, message, timeout_s=message.timeout_ms / 1000):
                found += part
        return found

    def _keep(self, found: Found) -> None:
        if found.device_block:
            self._passed_on[found.record.id] = (found.record.block, found.device_block)
            while len(self._passed_on) > MOST_PASSED_ON:
                self._passed_on.popitem(last=False)


def _scored(db: sqlite3.Connection, heard: Sequence[Found], ask: m.Ask) -> list[tuple[Found, float]]:
    """Those of what was heard that match and may be passed on, with their text scores."""
    query, statistics = query_of(ask)
    gone = taken_back(db, (one.record for one in heard))
    scores: dict[Cid, float | None] = {}
    for one in heard:
        record = one.record
        if record.audience is None and record.id not in gone and record.id not in scores:
            scores[record.id] = text_score(record, query, statistics)
    return [(one, score) for one in heard if (score := scores.get(one.record.id)) is not None]
