"""What a query has found so far, and how it is shown: each text once, older versions never beside newer."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from heapq import nsmallest
from typing import Any

from pkn_protocol.control.query import (
    MOST_VARIANTS,
    Hit,
    Mark,
    QueryRequest,
    QueryResult,
    Suggestion,
    Variant,
)
from pkn_protocol.records.ids import AuthorId, Cid, DeviceId
from pkn_protocol.search.documents import best_class, terms_of, without_sketch
from pkn_protocol.search.passages import Passage
from pkn_protocol.search.query import Query
from pkn_protocol.search.rank import Rank
from pkn_protocol.search.scoring import Statistics
from pkn_protocol.search.variants import Group, Ranked, Variants, outdated
from pknd.environment import Environment
from pknd.items.summaries import Holders, fields_of, summary_of
from pknd.people.view import PeopleView
from pknd.search.hints import hint_for
from pknd.search.local import passage_of
from pknd.search.suggesting import suggestions
from pknd.search.texts import TextOf
from pknd.store.records import Filter, Held

Sources = Mapping[Cid, Collection[DeviceId]]
"""Who answered with what."""


@dataclass(slots=True)
class Findings:
    """One query under way: what was found, by id, and where passages came from. `unknown`: the words that no
    document here has; `langs`: the languages of what is held."""

    query: Query
    statistics: Statistics
    wanted: Filter
    langs: Collection[str]
    unknown: Collection[str] = ()
    held: dict[Cid, Held] = field(default_factory=dict)
    ranks: dict[Cid, Rank] = field(default_factory=dict)
    passages: dict[Cid, Passage | None] = field(default_factory=dict)
    variants: Variants = field(default_factory=Variants)
    text_of: TextOf = lambda _db, _held: None
    confirmed: set[Cid] = field(default_factory=set)
    """Those of which all phrases were seen, here or by somebody who holds them."""

    def enter(self, held: Held, ranked: Rank, passage: Passage | None, *, confirmed: bool) -> None:
        self.held[held.record.id] = held
        if confirmed:
            self.confirmed.add(held.record.id)
        self.ranks[held.record.id] = ranked
        if passage is not None and self.passages.get(held.record.id) is None:
            self.passages[held.record.id] = passage

    def unconfirmed_authors(self, most: int) -> set[AuthorId]:
        """Who wrote those of so many of the best of which not all phrases were seen. Called for each answer,
        on the event loop."""
        if not (self.query.phrases or self.query.excluded_phrases):
            return set()
        best = nsmallest(most, self.ranks, key=lambda cid: (-self.ranks[cid].score, cid))
        return {self.held[cid].record.author for cid in best if cid not in self.confirmed}

    def groups(self, view: PeopleView, request: QueryRequest) -> list[Group]:
        """What is shown, best first: each text once, or each match where that was asked for."""
        held = {cid for cid, one in self.held.items() if one.rowid}
        old = outdated([one.record for one in self.held.values()], view.near, held)
        shown = []
        for cid, rank in sorted(self.ranks.items(), key=lambda entry: (-entry[1].score, entry[0])):
            if cid not in old and rank.score > 0:
                record = self.held[cid].record
                believed = without_sketch(record) if record.author in view.doubted else record
                shown.append(Ranked(believed, rank.distance * rank.crowd))
        if request.each:
            return [Group(one) for one in shown[: request.limit]]
        return self.variants.grouped(shown, request.limit)

    def still_unknown(self) -> list[str]:
        """The words that nothing which was found has."""
        terms = {term.word: term for term in self.query.terms if term.word in self.unknown}
        documents = [terms_of(held.record).classes for held in self.held.values() if not held.rowid]
        return [
            word
            for word, term in terms.items()
            if all(best_class(term, classes) is None for classes in documents)
        ]


@dataclass(frozen=True, slots=True)
class Asked:
    """How far the asking is: peers there are, asked, and those who answered; ms since it began."""

    known: int
    asked: int
    answered: int
    elapsed_ms: float
    complete: bool


class Results:
    def __init__(
        self,
        env: Environment,
        *,
        view: Callable[[], PeopleView],
        holders: Callable[[], Holders],
    ) -> None:
        self._env = env
        self._view = view
        self._holders = holders

    async def result(
        self, request: QueryRequest, findings: Findings, sources: Sources, asked: Asked, *, final: bool
    ) -> QueryResult:
        """The result so far; the final one says too what may have been meant by unknown words."""

        def work(db: sqlite3.Connection) -> tuple[tuple[Hit, ...], tuple[Suggestion, ...]]:
            groups = findings.groups(self._view(), request)
            hits = tuple(self._hit(db, findings, group, sources, request) for group in groups)
            unknown = findings.still_unknown() if final and findings.unknown else ()
            meant = (
                suggestions(db, unknown, findings.langs, now=self._env.now(), text_of=findings.text_of)
                if unknown
                else ()
            )
            return hits, meant

        hits, meant = await self._env.store.read(work)
        return QueryResult(
            query=request.query,
            complete=asked.complete,
            peers_known=asked.known,
            peers_asked=asked.asked,
            peers_answered=asked.answered,
            elapsed_ms=asked.elapsed_ms,
            hits=hits,
            hint=hint_for(findings.query, found=bool(hits)),
            did_you_mean=meant,
        )

    def _hit(
        self,
        db: sqlite3.Connection,
        findings: Findings,
        group: Group,
        sources: Sources,
        request: QueryRequest,
    ) -> Hit:
        cid = group.shown.record.id
        rank, passage = findings.ranks[cid], self._passage(db, findings, cid)
        return Hit(
            **self._summary(db, findings, cid, sources),
            score=rank.score,
            passage=None if passage is None else passage.text,
            marks=() if passage is None else tuple(Mark(start, end) for start, end in passage.marks),
            explain=rank.explained() if request.explain else None,
            confirmed=cid in findings.confirmed,
            variants=tuple(
                Variant(
                    **self._summary(db, findings, one.record.id, sources),
                    score=findings.ranks[one.record.id].score,
                    likeness=likeness.value,
                )
                for one, likeness in group.variants[:MOST_VARIANTS]
            ),
        )

    def _summary(
        self, db: sqlite3.Connection, findings: Findings, cid: Cid, sources: Sources
    ) -> dict[str, Any]:
        summary = summary_of(db, findings.held[cid], self._view(), self._holders())
        values = fields_of(summary)
        found = dict.fromkeys((*summary.sources, *(device.hex() for device in sources.get(cid, ()))))
        values["sources"] = tuple(found)
        return values

    def _passage(self, db: sqlite3.Connection, findings: Findings, cid: Cid) -> Passage | None:
        if cid not in findings.passages:
            # What came up because those above it turned out to be one text.
            held, query, statistics = findings.held[cid], findings.query, findings.statistics
            findings.passages[cid] = passage_of(db, held, query, statistics, findings.text_of)
        return findings.passages[cid]
