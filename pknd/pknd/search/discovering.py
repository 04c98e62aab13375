"""Who knows about something, and what is like an item: answered from the summaries on this disk."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

from pkn_protocol.control.discovering import Expert, Experts, Related, WhoRequest
from pkn_protocol.control.errors import ErrorCode
from pkn_protocol.records.ids import AuthorId, Cid, did_key
from pkn_protocol.records.model import Item
from pkn_protocol.search.documents import terms_of
from pkn_protocol.search.experts import Expert as Ranked
from pkn_protocol.search.experts import experts, may_know
from pkn_protocol.search.query import BadQuery, Query, parse_query
from pkn_protocol.search.rank import DEFAULT_WEIGHTS, Weights
from pkn_protocol.search.related import query_of_stems, telling_stems
from pknd.environment import Environment
from pknd.errors import DomainError
from pknd.items.references import find_item
from pknd.items.summaries import Holders, summary_of
from pknd.people.view import PeopleView
from pknd.search.index import IndexReader, collection, query_languages
from pknd.search.local import LocalHit, local_query, statistics_of
from pknd.search.strangers import Strangers
from pknd.store.records import Filter, Held

MATCHES = 200
"""The best items on a subject, from which its experts are known."""
SHOWN_ITEMS = 3
_OWN_VERSIONS = 4


class Discovering:
    def __init__(
        self,
        env: Environment,
        *,
        view: Callable[[], PeopleView],
        holders: Callable[[], Holders],
        default_lang: Callable[[], str],
        rank_weights: Callable[[], Weights] = lambda: DEFAULT_WEIGHTS,
    ) -> None:
        self._env = env
        self._view = view
        self._holders = holders
        self._default_lang = default_lang
        self._rank_weights = rank_weights
        self._strangers = Strangers()

    async def who(self, request: WhoRequest) -> Experts:
        """People by what they published on something.

        Raises:
            DomainError: the query cannot be read.
        """
        view, holders = self._view(), self._holders()

        def work(db: sqlite3.Connection) -> Experts:
            ranked, held = self._experts(db, self._parsed(db, request.query), view)
            return Experts(
                request.query,
                tuple(
                    _expert(db, one.author, one.score, one.items, held, view, holders)
                    for one in ranked[: request.limit]
                ),
            )

        return await self._env.store.read(work)

    async def related(self, ref: str, *, limit: int) -> Related:
        """What is like an item, by its most telling words.

        Raises:
            DomainError: no such item.
        """
        view, holders = self._view(), self._holders()

        def work(db: sqlite3.Connection) -> Related:
            found = self.related_to(db, find_item(db, ref), limit)
            return Related(tuple(summary_of(db, held, view, holders) for held in found))

        return await self._env.store.read(work)

    def related_to(self, db: sqlite3.Connection, held: Held, limit: int) -> list[Held]:
        """What is like an item, most alike first."""
        # Two people's current versions of one page are both documents.
        hits = self._matches(db, _query_like(db, held), self._view(), limit + _OWN_VERSIONS)
        others = [hit.held for hit in hits if hit.held.record.item_id != held.record.item_id]
        return others[:limit]

    def may_know(self, db: sqlite3.Connection, question: Held) -> bool:
        """Whether the user is one of those who know most about a question, by its own words."""
        view = self._view()
        ranked, _ = self._experts(db, _query_like(db, question), view)
        return may_know(ranked, view.me, question.record.author)

    def _experts(
        self, db: sqlite3.Connection, query: Query, view: PeopleView
    ) -> tuple[list[Ranked], dict[Cid, Held]]:
        """People by what they published, and those items; to ask is not to know."""
        hits = self._matches(db, query, view, MATCHES)
        known = [hit for hit in hits if hit.held.record.kind != "question"]
        ranked = experts((h.held.record.author, h.held.record.id, h.rank.score) for h in known)
        return ranked, {hit.held.record.id: hit.held for hit in known}

    def _parsed(self, db: sqlite3.Connection, text: str) -> Query:
        try:
            return parse_query(text, query_languages(db, self._default_lang()))
        except BadQuery as error:
            raise DomainError(ErrorCode.BAD_QUERY, str(error), "as in: pkn who boundary layer") from error

    def _matches(self, db: sqlite3.Connection, query: Query, view: PeopleView, limit: int) -> list[LocalHit]:
        if not query.terms:
            return []
        index = IndexReader(db)
        return local_query(
            db,
            query,
            statistics_of(db, query, index, self._strangers.left_out(db, view.distances)),
            Filter(now=self._env.now()),
            limit=limit,
            text_of=lambda _db, _held: None,
            distances=view.distances,
            weights=view.weights,
            shown=0,
            index=index,
            rank_weights=self._rank_weights(),
        )


def _query_like(db: sqlite3.Connection, held: Held) -> Query:
    classes = terms_of(held.record).classes
    index = IndexReader(db)
    frequencies = {stem: index.frequency([stem], public_only=False) for stem in classes}
    documents = collection(db, public_only=False).documents
    return query_of_stems(telling_stems(classes, frequencies, documents))


def _expert(
    db: sqlite3.Connection,
    author: AuthorId,
    score: float,
    items: tuple[Cid, ...],
    held: dict[Cid, Held],
    view: PeopleView,
    holders: Holders,
) -> Expert:
    name, claimed = view.name(author)
    return Expert(
        author=did_key(author),
        author_name=name,
        author_claimed=claimed,
        trust=view.trust(author),
        distance=view.distances.get(author),
        score=score,
        matching=len(items),
        items=tuple(
            summary_of(db, held[item], view, holders)
            for item in items[:SHOWN_ITEMS]
            if isinstance(held[item].record.body, Item)
        ),
    )
