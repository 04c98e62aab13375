"""What peers answer: scored here, from signed records, and only what may be shown."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from pkn_protocol.records.ids import Cid
from pkn_protocol.records.model import Item, Record
from pkn_protocol.search.documents import text_score, without_sketch
from pkn_protocol.search.rank import Weights, rank
from pknd.environment import Environment
from pknd.people.view import PeopleView
from pknd.search.admission import admits, taken_back
from pknd.search.asking import Found
from pknd.search.local import TextOf, is_claim, phrase_verdict
from pknd.search.ratings import Ratings
from pknd.search.results import Findings
from pknd.store.records import Held, get
from pknd.store.versions import PUBLIC_SCOPE


@dataclass(frozen=True, slots=True)
class _LookedUp:
    """Of answers: what is held here of them; `hidden` may not be shown whoever sends them, or lack a phrase
    as what is here of them says, and `confirmed` have all of them; `claims` are strangers' of long texts;
    and what people think of them."""

    held: Mapping[Cid, Held]
    hidden: Collection[Cid]
    claims: Collection[Cid]
    confirmed: Collection[Cid]
    ratings: Mapping[Cid, Sequence[tuple[float, int]]]


class Incoming:
    def __init__(
        self,
        env: Environment,
        *,
        view: Callable[[], PeopleView],
        rank_weights: Callable[[], Weights],
        text_of: TextOf,
    ) -> None:
        self._env = env
        self._view = view
        self._rank_weights = rank_weights
        self._text_of = text_of

    async def scored(self, state: Findings, found: Sequence[Found]) -> dict[Cid, float]:
        """The scores of what a peer sent, computed here from signed records; only of what may be shown."""
        new = [one.record for one in found if one.record.id not in state.held]
        looked_up = await self._env.store.read(lambda db: self._looked_up(db, new, state))
        view, now, weights = self._view(), self._env.now(), self._rank_weights()
        scores = {}
        for one in found:
            cid = one.record.id
            if cid in state.ranks:
                state.enter(state.held[cid], state.ranks[cid], one.passage, confirmed=one.confirmed)
                scores[cid] = state.ranks[cid].score
                continue
            held = looked_up.held.get(cid) or _passing(one.record, now)
            record = held.record
            if cid in looked_up.hidden or record.author in view.blocked or not admits(state.wanted, record):
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
                claimed_long=cid in looked_up.claims,
                ratings=looked_up.ratings.get(cid, ()),
                weights=weights,
            )
            seen = one.confirmed or cid in looked_up.confirmed
            state.enter(held, ranked, one.passage, confirmed=seen)
            scores[cid] = ranked.score
        return scores

    def _looked_up(self, db: sqlite3.Connection, records: Sequence[Record], state: Findings) -> _LookedUp:
        held = {record.id: found for record in records if (found := get(db, record.id)) is not None}
        hidden = {cid for cid, found in held.items() if not (found.head and found.shown)}
        hidden |= taken_back(db, (record for record in records if record.id not in held))
        claims, confirmed, now, view = set(), set(), self._env.now(), self._view()
        ratings = Ratings(db, view.distances, view.weights, now)
        for record in records:
            one = held.get(record.id) or _passing(record, now)
            if is_claim(db, one, view.distances):
                claims.add(record.id)
            if not (state.query.phrases or state.query.excluded_phrases):
                confirmed.add(record.id)
            elif isinstance(record.body, Item):
                text = self._text_of(db, one) if one.rowid else None
                verdict = phrase_verdict(record.body, text, state.query)
                if verdict is False:
                    hidden.add(record.id)
                elif verdict:
                    confirmed.add(record.id)
        return _LookedUp(
            held, hidden, claims, confirmed, {record.id: ratings.of(record) for record in records}
        )


def _passing(record: Record, now: int) -> Held:
    """A record that an answer brought, and that is not kept."""
    return Held(0, record, now, head=True, shown=True, scope=PUBLIC_SCOPE)
