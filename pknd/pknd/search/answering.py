"""The answers to what peers ask: of this machine's disk, and of whom the asker does not reach."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Callable, Mapping

from pkn_protocol.channel import messages as m
from pkn_protocol.records.ids import Cid, DeviceId
from pknd.environment import Environment
from pknd.people.view import PeopleView
from pknd.search.asking import query_of, within_budget
from pknd.search.forwarding import Forwarder
from pknd.search.local import LocalHit, search
from pknd.search.texts import TextOf
from pknd.store.records import Filter
from pknd.sync.link import PeerLink

_ANSWER_LIMIT = 50


class Answering:
    """`links` are the connections there are; `may_see` says what of another scope a peer may see."""

    def __init__(
        self,
        env: Environment,
        *,
        view: Callable[[], PeopleView],
        links: Callable[[], Mapping[DeviceId, PeerLink]],
        may_see: Callable[[PeerLink, bytes], bool],
        text_of: TextOf,
        in_vain: Callable[[], Mapping[int, Cid]] = dict,
    ) -> None:
        self._env = env
        self._view = view
        self._may_see = may_see
        self._text_of = text_of
        self._in_vain = in_vain
        self.forwarder = Forwarder(env, links=links, near=lambda: view().near)

    async def answer(self, link: PeerLink, ask: m.Ask) -> AsyncIterator[m.Answers]:
        """What this machine's disk has for a peer's query, of what that peer may see; then what those have
        whom the asker does not reach, if the asker is within the horizon: each question of a stranger would
        become one to everybody around otherwise."""
        hits = await self._env.store.read(lambda db: self._own(db, link, ask))
        forwards = ask.hops > 0 and ask.nodes > 0 and link.peer.author in self._view().distances
        yield m.Answers(tuple(hits), asked=1, more=forwards)
        if forwards:
            more, asked = await self.forwarder.forward(link, ask)
            known = {hit.id for hit in hits}
            new = within_budget([hit for hit in more if hit.id not in known], ask)
            yield m.Answers(tuple(new), asked)

    def _own(self, db: sqlite3.Connection, link: PeerLink, ask: m.Ask) -> list[m.AnswerHit]:
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
            in_vain=self._in_vain(),
            admit=lambda held: (
                self._may_see(link, held.scope)
                and (held.record.author in view.distances or held.record.author == link.peer.author)
            ),
        )
        return within_budget([_answer_hit(hit) for hit in found], ask)


def _answer_hit(hit: LocalHit) -> m.AnswerHit:
    passage = hit.passage.text if hit.passage is not None else ""
    marks = [place for mark in (hit.passage.marks if hit.passage is not None else ()) for place in mark]
    if len(passage.encode("utf-8")) > m.PASSAGE_BYTES:
        passage, marks = "", []
    return m.AnswerHit(
        hit.held.record.id, int(hit.text_score * 1000), passage, tuple(marks[:64]), hit.confirmed
    )
