"""What peers answer: scored here, from signed records, and only what may be shown."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from pkn_protocol.records.ids import Cid
from pkn_protocol.records.model import Item, Record
from pkn_protocol.search.documents import text_score, without_sketch
from pkn_protocol.search.rank import Weights, rank
from pknd.environment import Environment
from pknd.people.view import PeopleView
from pknd.search.admission import admits, taken_back
from pknd.search.asking import Found
from pknd.search.local import is_claim, phrase_verdict, was_in_vain
from pknd.search.ratings import Ratings
from pknd.search.results import Findings
from pknd.store.records import Held, get
from pknd.store.versions import PUBLIC_SCOPE


@dataclass(frozen=True, slots=True)
class _Match:
    """An answer that may be shown, its text score, and what goes into its rank. `claim`: a stranger's of a
    long text; `in_vain`: its text is withheld; `confirmed`: what is here of it has all phrases."""

    held: Held
    text: float
    claim: bool
    in_vain: bool
    confirmed: bool
    ratings: Sequence[tuple[float, int]]


class Incoming:
    def __init__(
        self,
        env: Environment,
        *,
        view: Callable[[], PeopleView],
        rank_weights: Callable[[], Weights],
        in_vain: Callable[[], Mapping[int, Cid]] = dict,
    ) -> None:
        self._env = env
        self._view = view
        self._rank_weights = rank_weights
        self._in_vain = in_vain

    async def scored(self, state: Findings, found: Sequence[Found]) -> dict[Cid, float]:
        """The scores of what a peer sent, computed here from signed records; only of what may be shown."""
        new = {one.record.id: one.record for one in found if one.record.id not in state.held}
        view, now, weights = self._view(), self._env.now(), self._rank_weights()
        # In a thread: it decodes a sketch of each, and reads what is here of them.
        matches = await self._env.store.read(lambda db: self._matches(db, new, state, view, now))
        scores = {}
        for one in found:
            cid = one.record.id
            if cid in state.ranks:
                state.enter(state.held[cid], state.ranks[cid], one.passage, confirmed=one.confirmed)
                scores[cid] = state.ranks[cid].score
                continue
            match = matches.get(cid)
            if match is None:
                continue
            record = match.held.record
            ranked = rank(
                match.text,
                distance=view.distances.get(record.author),
                weight=view.weights.get(record.author),
                kind=record.kind,
                claimed=record.time if record.dated is None else record.dated,
                received=match.held.received,
                now=now,
                claimed_long=match.claim,
                asked_in_vain=match.in_vain,
                ratings=match.ratings,
                weights=weights,
            )
            state.enter(match.held, ranked, one.passage, confirmed=one.confirmed or match.confirmed)
            scores[cid] = ranked.score
        return scores

    def _matches(
        self,
        db: sqlite3.Connection,
        records: Mapping[Cid, Record],
        state: Findings,
        view: PeopleView,
        now: int,
    ) -> dict[Cid, _Match]:
        """Those of some records that match and may be shown, whoever sends them."""
        in_vain = self._in_vain()
        held = {cid: one for cid in records if (one := get(db, cid)) is not None}
        gone = taken_back(db, (record for cid, record in records.items() if cid not in held))
        ratings = Ratings(db, view.distances, view.weights, now)
        found = {}
        for cid, record in records.items():
            one = held.get(cid) or _passing(record, now)
            if cid in gone or not (one.head and one.shown) or record.author in view.blocked:
                continue
            if not admits(state.wanted, record):
                continue
            found_by = without_sketch(record) if record.author in view.doubted else record
            text = text_score(found_by, state.query, state.statistics)
            if text is None:
                continue
            verdict = _verdict(db, one, state)
            if verdict is False:
                continue
            claim = is_claim(db, one, view.distances)
            vain = was_in_vain(db, one, in_vain)
            found[cid] = _Match(one, text, claim, vain, bool(verdict), ratings.of(record))
        return found


def _verdict(db: sqlite3.Connection, one: Held, state: Findings) -> bool | None:
    """Whether it has the phrases, as what is here of it says: see `phrase_verdict`."""
    query, item = state.query, one.record.body
    if not (query.phrases or query.excluded_phrases):
        return True
    if not isinstance(item, Item):
        return None
    return phrase_verdict(item, state.text_of(db, one) if one.rowid else None, query)


def _passing(record: Record, now: int) -> Held:
    """A record that an answer brought, and that is not kept."""
    return Held(0, record, now, head=True, shown=True, scope=PUBLIC_SCOPE)
