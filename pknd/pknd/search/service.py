"""Queries: the own disk at once, then the people around; and the answers to what others ask."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from pkn_protocol.channel import messages as m
from pkn_protocol.control.errors import ErrorCode
from pkn_protocol.control.query import Hit, Mark, QueryRequest, QueryResult, Scope
from pkn_protocol.control.status import LogLevel
from pkn_protocol.records.ids import AuthorId, Cid, DeviceId
from pkn_protocol.records.model import Record
from pkn_protocol.search.documents import text_score, without_sketch
from pkn_protocol.search.fanout import (
    AskPeer,
    Budget,
    Candidate,
    FanOut,
    Finished,
    TopChanged,
)
from pkn_protocol.search.filters import split_filters
from pkn_protocol.search.passages import Passage
from pkn_protocol.search.query import BadQuery, Query, parse_query
from pkn_protocol.search.rank import Rank, rank
from pkn_protocol.search.scoring import Statistics
from pknd import log
from pknd.control.services import QueryUpdate
from pknd.environment import Environment
from pknd.errors import DomainError
from pknd.items.content import read_text
from pknd.items.summaries import Holders, summary_of
from pknd.people.view import PeopleView
from pknd.search.admission import admits, taken_back
from pknd.search.asking import Found, ask_message, ask_peer, query_of, seen_hash
from pknd.search.filtering import wanted_by
from pknd.search.forwarding import Forwarder
from pknd.search.hints import hint_for
from pknd.search.index import IndexReader, languages
from pknd.search.local import LocalHit, local_query, search, statistics_of
from pknd.store.records import Filter, Held, get
from pknd.store.versions import PUBLIC_SCOPE
from pknd.sync.link import LinkClosed, PeerLink

TEXT_BYTES = 512 * 1024
"""Of a held text, what phrases and passages are looked for in."""
_MORE_THAN_SHOWN = 4
_ANSWER_LIMIT = 50
_ANSWERS_WAITING = 64
_Inbox: TypeAlias = asyncio.Queue[tuple[DeviceId, list[Found] | None, bool]]
"""Who answered, with what (None: not at all), and whether more may follow."""


@dataclass(slots=True)
class _State:
    """One query under way: what was found, by id, and where passages came from."""

    query: Query
    statistics: Statistics
    wanted: Filter
    held: dict[Cid, Held] = field(default_factory=dict)
    ranks: dict[Cid, Rank] = field(default_factory=dict)
    passages: dict[Cid, Passage] = field(default_factory=dict)

    def enter(self, held: Held, ranked: Rank, passage: Passage | None) -> None:
        self.held[held.record.id] = held
        self.ranks[held.record.id] = ranked
        if passage is not None:
            self.passages.setdefault(held.record.id, passage)


class Queries:
    """`links` are the connections there are; `holders` says who is online; `in_step` whether all summaries
    that are wanted of a device have come."""

    def __init__(
        self,
        env: Environment,
        *,
        view: Callable[[], PeopleView],
        holders: Callable[[], Holders],
        links: Callable[[], Mapping[DeviceId, PeerLink]],
        may_see: Callable[[PeerLink, bytes], bool],
        in_step: Callable[[DeviceId], bool],
        default_lang: Callable[[], str],
    ) -> None:
        self._env = env
        self._view = view
        self._holders = holders
        self._links = links
        self._may_see = may_see
        self._in_step = in_step
        self._default_lang = default_lang
        self.forwarder = Forwarder(env, links=links, near=lambda: view().near)
        self._silences: dict[DeviceId, int] = {}

    async def query(self, request: QueryRequest) -> AsyncGenerator[QueryUpdate, None]:
        """Snapshots from the disk at once, then as answers change the top; the last one is final."""
        began = self._env.monotonic()
        state = await self._local(request)
        fan = FanOut(request.limit, {cid: r.score for cid, r in state.ranks.items()})
        candidates = [] if request.scope is Scope.LOCAL else self._candidates(state, request.scope)
        complete = True
        query_id = self._env.random_bytes(16)
        inbox: _Inbox = asyncio.Queue(_ANSWERS_WAITING)
        tasks: dict[DeviceId, asyncio.Task[None]] = {}
        yield QueryUpdate(await self._result(request, state, fan, began, complete=False), final=False)
        effects = fan.start(candidates, self._env.monotonic() * 1000)
        try:
            while True:
                for effect in effects:
                    match effect:
                        case AskPeer(device, budget):
                            tasks[device] = asyncio.create_task(
                                self._ask(device, state, budget, request, query_id, inbox)
                            )
                        case TopChanged():
                            yield QueryUpdate(
                                await self._result(request, state, fan, began, complete=False), final=False
                            )
                        case Finished(all_answered):
                            complete = all_answered
                if fan.finished:
                    break
                effects = await self._next(fan, state, inbox, began, request)
        finally:
            for task in tasks.values():
                task.cancel()
            await asyncio.gather(*tasks.values(), return_exceptions=True)
            for device in fan.silent():
                self._silences[device] = self._silences.get(device, 0) + 1
        yield QueryUpdate(await self._result(request, state, fan, began, complete=complete), final=True)

    async def answer(self, link: PeerLink, ask: m.Ask) -> AsyncIterator[m.Answers]:
        """What this machine's disk has for a peer's query, of what that peer may see; then what those have
        whom the asker does not reach, if the asker is within the horizon: each question of a stranger would
        become one to everybody around otherwise."""
        hits = await self._env.store.read(lambda db: self._answer(db, link, ask))
        forwards = ask.hops > 0 and ask.nodes > 0 and link.peer.author in self._view().distances
        yield m.Answers(tuple(hits), asked=1, more=forwards)
        if forwards:
            more, asked = await self.forwarder.forward(link, ask)
            known = {hit.id for hit in hits}
            new = _bounded([hit for hit in more if hit.id not in known], ask.most_bytes)
            yield m.Answers(tuple(new), asked)

    def _answer(self, db: sqlite3.Connection, link: PeerLink, ask: m.Ask) -> list[m.AnswerHit]:
        query, statistics = query_of(ask)
        view = self._view()
        wanted = Filter(ask.tags, ask.author, ask.kind, ask.since, None, self._env.now())
        found = search(
            db,
            query,
            statistics,
            wanted,
            limit=min(ask.limit, _ANSWER_LIMIT),
            text_of=self._text_of,
            admit=lambda held: (
                self._may_see(link, held.scope)
                and (held.record.author in view.distances or held.record.author == link.peer.author)
            ),
        )
        return _bounded([_answer_hit(hit) for hit in found], ask.most_bytes)

    async def _local(self, request: QueryRequest) -> _State:
        view = self._view()

        def work(db: sqlite3.Connection) -> _State:
            try:
                words, typed = split_filters(request.query)
                query = parse_query(words, {*languages(db), self._default_lang()})
            except BadQuery as error:
                raise DomainError(
                    ErrorCode.BAD_QUERY, str(error), "as in: pkn query boundary layer"
                ) from error
            wanted = wanted_by(db, view, request, typed, self._env.now())
            held = IndexReader(db)
            statistics = statistics_of(db, query, held)
            state = _State(query, statistics, wanted)
            for hit in local_query(
                db,
                query,
                statistics,
                wanted,
                index=held,
                limit=request.limit * _MORE_THAN_SHOWN,
                text_of=self._text_of,
                distances=view.distances,
                weights=view.weights,
                shown=request.limit,
            ):
                state.enter(hit.held, hit.rank, hit.passage)
            return state

        return await self._env.store.read(work)

    def _candidates(self, state: _State, scope: Scope) -> list[Candidate]:
        view = self._view()
        promise: dict[AuthorId, float] = {}
        for cid, ranked in state.ranks.items():
            author = state.held[cid].record.author
            promise[author] = promise.get(author, 0.0) + ranked.score
        found = []
        for device, link in self._links().items():
            author = link.peer.author
            if scope is Scope.HORIZON and author not in view.distances:
                continue
            found.append(
                Candidate(
                    device,
                    author,
                    view.distances.get(author),
                    promise.get(author, 0.0),
                    unknown=author not in view.distances or not self._in_step(device),
                    rtt_ms=link.rtt_ms,
                    silences=self._silences.get(device, 0),
                )
            )
        return found

    async def _ask(
        self,
        device: DeviceId,
        state: _State,
        budget: Budget,
        request: QueryRequest,
        query_id: bytes,
        inbox: _Inbox,
    ) -> None:
        link = self._links().get(device)
        if link is not None:
            everybody = (self._env.keys.device, *self._links())
            message = ask_message(
                state.query,
                state.statistics,
                state.wanted,
                budget,
                request,
                query_id=query_id,
                seen=tuple(seen_hash(one, query_id) for one in everybody),
            )
            try:
                async for part, more in ask_peer(
                    self._env, link, message, timeout_s=request.timeout_ms / 1000
                ):
                    await inbox.put((device, part, more))
                return
            except (LinkClosed, TimeoutError) as error:
                log.event("query.unanswered", LogLevel.DEBUG, device=device.hex()[:16], error=str(error))
        await inbox.put((device, None, False))

    async def _next(
        self,
        fan: FanOut,
        state: _State,
        inbox: _Inbox,
        began: float,
        request: QueryRequest,
    ) -> list[AskPeer | TopChanged | Finished]:
        now = self._env.monotonic() * 1000
        deadline = began * 1000 + request.timeout_ms
        wake = min(fan.wake_at(now) or deadline, deadline)
        try:
            async with asyncio.timeout(max(0.0, wake - now) / 1000 + 0.001):
                device, found, more = await inbox.get()
        except TimeoutError:
            now = self._env.monotonic() * 1000
            return [*fan.stop()] if now >= deadline else [*fan.tick(now)]
        now = self._env.monotonic() * 1000
        if found is None:
            return [*fan.failed(device, now)]
        self._silences.pop(device, None)
        scores = await self._scored(state, found)
        return [*fan.answered(device, scores, now, more=more)]

    async def _scored(self, state: _State, found: Sequence[Found]) -> dict[Cid, float]:
        """The scores of what a peer sent, computed here from signed records; only of what may be shown."""
        new = [one.record for one in found if one.record.id not in state.held]
        known, refused = await self._env.store.read(lambda db: _looked_up(db, new)) if new else ({}, set())
        view, now = self._view(), self._env.now()
        scores = {}
        for one in found:
            cid = one.record.id
            held = state.held.get(cid) or known.get(cid)
            if held is None:
                held = Held(0, one.record, now, head=True, shown=True, scope=PUBLIC_SCOPE)
            record = held.record
            if cid in refused or record.author in view.blocked or not admits(state.wanted, record):
                continue
            found_by = without_sketch(record) if record.author in view.doubted else record
            text = text_score(found_by, state.query, state.statistics)
            if text is None:
                continue
            ranked = rank(
                text,
                distance=view.distances.get(record.author),
                weight=view.weights.get(record.author),
                kind=record.kind,
                claimed=record.time if record.dated is None else record.dated,
                received=held.received,
                now=now,
            )
            state.enter(held, ranked, one.passage)
            scores[cid] = ranked.score
        return scores

    async def _result(
        self, request: QueryRequest, state: _State, fan: FanOut, began: float, *, complete: bool
    ) -> QueryResult:
        view, holders = self._view(), self._holders()
        top = fan.top()

        def work(db: sqlite3.Connection) -> tuple[Hit, ...]:
            return tuple(self._hit(db, state, fan, cid, view, holders, request) for cid in top)

        hits = await self._env.store.read(work)
        return QueryResult(
            query=request.query,
            complete=complete,
            peers_known=len(self._links()),
            peers_asked=fan.asked,
            peers_answered=fan.answers,
            elapsed_ms=(self._env.monotonic() - began) * 1000,
            hits=hits,
            hint="" if hits else hint_for(state.query),
        )

    def _hit(
        self,
        db: sqlite3.Connection,
        state: _State,
        fan: FanOut,
        cid: Cid,
        view: PeopleView,
        holders: Holders,
        request: QueryRequest,
    ) -> Hit:
        held, ranked, passage = state.held[cid], state.ranks[cid], state.passages.get(cid)
        summary = summary_of(db, held, view, holders)
        values = {name: getattr(summary, name) for name in summary.__slots__}
        sources = dict.fromkeys((*summary.sources, *(d.hex() for d in fan.sources.get(cid, ()))))
        values["sources"] = tuple(sources)
        return Hit(
            **values,
            score=ranked.score,
            passage=None if passage is None else passage.text,
            marks=() if passage is None else tuple(Mark(start, end) for start, end in passage.marks),
            explain=ranked.explained() if request.explain else None,
        )

    def _text_of(self, db: sqlite3.Connection, held: Held) -> str | None:
        return read_text(db, self._env.store.files, held, most=TEXT_BYTES)


def _answer_hit(hit: LocalHit) -> m.AnswerHit:
    passage = hit.passage.text if hit.passage is not None else ""
    marks = [place for mark in (hit.passage.marks if hit.passage is not None else ()) for place in mark]
    if len(passage.encode("utf-8")) > m.PASSAGE_BYTES:
        passage, marks = "", []
    return m.AnswerHit(
        hit.held.record.id, int(hit.text_score * 1000), passage, tuple(marks[:64]), hit.confirmed
    )


def _bounded(hits: list[m.AnswerHit], most_bytes: int) -> list[m.AnswerHit]:
    """The first hits that fit into the budget of an answer."""
    kept: list[m.AnswerHit] = []
    size = 64
    for hit in hits:
        size += 64 + len(hit.passage.encode("utf-8")) + 4 * len(hit.marks)
        if size > most_bytes:
            break
        kept.append(hit)
    return kept


def _looked_up(db: sqlite3.Connection, records: Sequence[Record]) -> tuple[dict[Cid, Held], set[Cid]]:
    """Which records are held here, and which of all may not be shown whoever sends them."""
    held = {record.id: found for record in records if (found := get(db, record.id)) is not None}
    hidden = {cid for cid, found in held.items() if not (found.head and found.shown)}
    return held, hidden | taken_back(db, (record for record in records if record.id not in held))
