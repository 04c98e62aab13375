"""What peers answer: scored here, from signed records, and only what may be shown."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence

from pkn_protocol.records.ids import Cid
from pkn_protocol.records.model import Item, Record
from pkn_protocol.search.documents import text_score, without_sketch
from pkn_protocol.search.rank import Weights, rank
from pknd.environment import Environment
from pknd.people.view import PeopleView
from pknd.search.admission import admits, taken_back
from pknd.search.asking import Found
from pknd.search.local import TextOf, is_claim, phrase_verdict
from pknd.search.results import Findings
from pknd.store.records import Held, get
from pknd.store.versions import PUBLIC_SCOPE


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
        known, refused, claims = await self._env.store.read(lambda db: self._looked_up(db, new, state))
        view, now, weights = self._view(), self._env.now(), self._rank_weights()
        scores = {}
        for one in found:
            cid = one.record.id
            if cid in state.ranks:
                state.enter(state.held[cid], state.ranks[cid], one.passage)
                scores[cid] = state.ranks[cid].score
                continue
            held = known.get(cid) or _passing(one.record, now)
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
                claimed_long=cid in claims,
                weights=weights,
            )
            state.enter(held, ranked, one.passage)
            scores[cid] = ranked.score
        return scores

    def _looked_up(
        self, db: sqlite3.Connection, records: Sequence[Record], state: Findings
    ) -> tuple[dict[Cid, Held], set[Cid], set[Cid]]:
        """Which records are held here; which of all may not be shown whoever sends them, or lack a phrase as
        what is here of them says; and which are strangers' claims of long texts."""
        held = {record.id: found for record in records if (found := get(db, record.id)) is not None}
        hidden = {cid for cid, found in held.items() if not (found.head and found.shown)}
        hidden |= taken_back(db, (record for record in records if record.id not in held))
        claims, now, near = set(), self._env.now(), self._view().distances
        for record in records:
            one = held.get(record.id) or _passing(record, now)
            if is_claim(db, one, near):
                claims.add(record.id)
            if state.query.phrases or state.query.excluded_phrases:
                text = self._text_of(db, one) if one.rowid else None
                if isinstance(record.body, Item) and phrase_verdict(record.body, text, state.query) is False:
                    hidden.add(record.id)
        return held, hidden, claims


def _passing(record: Record, now: int) -> Held:
    """A record that an answer brought, and that is not kept."""
    return Held(0, record, now, head=True, shown=True, scope=PUBLIC_SCOPE)
