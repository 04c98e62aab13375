"""Queries: the own disk at once, then the people around."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import TypeAlias

from pkn_protocol.control.errors import ErrorCode
from pkn_protocol.control.query import QueryRequest, QueryResult, Scope
from pkn_protocol.control.status import LogLevel
from pkn_protocol.records.ids import AuthorId, Cid, DeviceId
from pkn_protocol.search.budget import Budget
from pkn_protocol.search.fanout import AskPeer, FanOut, Finished, TopChanged
from pkn_protocol.search.filters import TypedFilters, split_filters
from pkn_protocol.search.patience import Candidate
from pkn_protocol.search.query import BadQuery, EmptyQuery, parse_query
from pkn_protocol.search.rank import DEFAULT_WEIGHTS, Weights
from pknd import log
from pknd.control.services import QueryUpdate
from pknd.environment import Environment
from pknd.errors import DomainError
from pknd.items.summaries import Holders
from pknd.people.view import PeopleView
from pknd.search.asking import Found, ask_message, ask_peer, seen_hash
from pknd.search.filtering import wanted_by
from pknd.search.full_texts import scored_by_texts
from pknd.search.hints import listing_of
from pknd.search.incoming import Incoming
from pknd.search.index import IndexReader, query_languages
from pknd.search.local import local_query, statistics_of
from pknd.search.results import Asked, Findings, Results
from pknd.search.strangers import Strangers
from pknd.search.suggesting import unknown_words
from pknd.search.texts import Texts, once_read
from pknd.sync.link import LinkClosed, PeerLink

_MORE_THAN_SHOWN = 4
"""Matches are looked at for each that is shown: several may be one text."""
_MOST_MATCHES = 4000
"""… and where most of them are, so many at most."""
_ANSWERS_WAITING = 64
_Inbox: TypeAlias = asyncio.Queue[tuple[DeviceId, list[Found] | None, bool]]
"""Who answered, with what (None: not at all), and whether more may follow."""


class Queries:
    """`links` are the connections there are; `holders` says who is online; `in_step` whether all summaries
    that are wanted of a device have come; `in_vain` which documents have a text that is withheld, by row."""

    def __init__(
        self,
        env: Environment,
        *,
        view: Callable[[], PeopleView],
        holders: Callable[[], Holders],
        links: Callable[[], Mapping[DeviceId, PeerLink]],
        in_step: Callable[[DeviceId], bool],
        default_lang: Callable[[], str],
        rank_weights: Callable[[], Weights] = lambda: DEFAULT_WEIGHTS,
        in_vain: Callable[[], Mapping[int, Cid]] = dict,
    ) -> None:
        self._env = env
        self._view = view
        self._links = links
        self._in_step = in_step
        self._default_lang = default_lang
        self._rank_weights = rank_weights
        self._in_vain = in_vain
        self._strangers = Strangers()
        texts = Texts(env.store.files)
        self._text_of = texts.of
        self._results = Results(env, view=view, holders=holders)
        self._incoming = Incoming(env, view=view, rank_weights=rank_weights, in_vain=in_vain)
        self._silences: dict[DeviceId, int] = {}
        self._slow: set[DeviceId] = set()

    async def query(self, request: QueryRequest) -> AsyncGenerator[QueryUpdate, None]:
        """A snapshot from the disk at once, then as answers change the top; the last one is final."""
        began = self._env.monotonic()
        state = await self._local(request)
        fan = FanOut(request.limit, {cid: r.score for cid, r in state.ranks.items()})
        candidates = [] if request.scope is Scope.LOCAL else self._candidates(state, request)
        complete = True
        query_id = self._env.random_bytes(16)
        inbox: _Inbox = asyncio.Queue(_ANSWERS_WAITING)
        tasks: dict[DeviceId, asyncio.Task[None]] = {}
        if candidates:
            # Where nobody is asked the final one follows at once.
            yield QueryUpdate(await self._result(request, state, fan, began), final=False)
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
                            yield QueryUpdate(await self._result(request, state, fan, began), final=False)
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
            self._slow -= fan.slow.keys()
            self._slow |= {device for device, slow in fan.slow.items() if slow}
        yield QueryUpdate(
            await self._result(request, state, fan, began, final=True, complete=complete), final=True
        )

    async def _local(self, request: QueryRequest) -> Findings:
        view, in_vain = self._view(), self._in_vain()

        def work(db: sqlite3.Connection) -> Findings:
            typed = TypedFilters()
            try:
                words, typed = split_filters(request.query)
                langs = query_languages(db, self._default_lang())
                query = parse_query(words, langs)
            except BadQuery as error:
                if isinstance(error, EmptyQuery) and (listing := listing_of(request, typed)):
                    message = "there are filters, and no word to look for"
                    raise DomainError(
                        ErrorCode.BAD_QUERY, message, f"{listing} lists what they let through"
                    ) from error
                raise DomainError(
                    ErrorCode.BAD_QUERY, str(error), "as in: pkn query boundary layer"
                ) from error
            wanted = wanted_by(db, view, request, typed, self._env.now())
            index = IndexReader(db)
            statistics = statistics_of(
                db, query, index, self._strangers.left_out(db, view.distances, in_vain)
            )
            limit = request.limit * _MORE_THAN_SHOWN
            # What is read for the score is shown too.
            text_of = once_read(self._text_of)
            while True:
                unknown = unknown_words(query, index)
                found = Findings(query, statistics, wanted, langs, unknown, text_of=text_of)
                hits = local_query(
                    db,
                    query,
                    statistics,
                    wanted,
                    index=index,
                    limit=limit,
                    text_of=text_of,
                    distances=view.distances,
                    weights=view.weights,
                    shown=0,
                    rank_weights=self._rank_weights(),
                    in_vain=in_vain,
                )
                for hit in scored_by_texts(
                    db, hits, query, statistics, text_of=text_of, doubted=view.doubted
                ):
                    found.enter(hit.held, hit.rank, None, confirmed=hit.confirmed)
                texts = len(found.groups(view, request))
                if texts >= request.limit or len(found.held) < limit or limit >= _MOST_MATCHES:
                    return found
                # Copies of a few texts must not keep all others out.
                limit *= _MORE_THAN_SHOWN

        return await self._env.store.read(work)

    def _candidates(self, state: Findings, request: QueryRequest) -> list[Candidate]:
        view, scope = self._view(), request.scope
        # They have the texts that are not here.
        confirming = state.unconfirmed_authors(request.limit)
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
                    confirms=author in confirming,
                    slow=device in self._slow,
                )
            )
        return found

    async def _ask(
        self,
        device: DeviceId,
        state: Findings,
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
                state.statistics.as_told(),
                state.wanted,
                budget,
                request,
                query_id=query_id,
                # In an order that does not say who asks.
                seen=tuple(sorted(seen_hash(one, query_id) for one in everybody)),
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
        state: Findings,
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
        scores = await self._incoming.scored(state, found)
        fan.confirm(state.unconfirmed_authors(request.limit))
        return [*fan.answered(device, scores, now, more=more)]

    async def _result(
        self,
        request: QueryRequest,
        found: Findings,
        fan: FanOut,
        began: float,
        *,
        final: bool = False,
        complete: bool = False,
    ) -> QueryResult:
        asked = Asked(
            known=len(self._links()),
            asked=fan.asked,
            answered=fan.answers,
            elapsed_ms=(self._env.monotonic() - began) * 1000,
            complete=complete,
        )
        return await self._results.result(request, found, fan.sources, asked, final=final)
