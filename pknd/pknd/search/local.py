"""Answering a query from the own disk: for the user, and for peers who ask."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from heapq import heappush, heapreplace
from itertools import islice
from types import MappingProxyType

from pkn_protocol.records.ids import AuthorId, Cid
from pkn_protocol.records.model import Item
from pkn_protocol.search.passages import Passage
from pkn_protocol.search.phrases import has_any_phrase, has_phrases
from pkn_protocol.search.query import Query
from pkn_protocol.search.rank import DEFAULT_WEIGHTS, Rank, Weights, claims_much, rank
from pkn_protocol.search.scoring import Statistics
from pknd.search.index import IndexReader, collection
from pknd.search.plain import plain_passage
from pknd.search.ratings import Ratings
from pknd.search.scores import Matches
from pknd.search.strangers import LeftOut
from pknd.search.texts import TextOf, without_heading
from pknd.store.blocks import is_complete
from pknd.store.records import ITEM_KIND_LIST, Filter, Held, filter_clauses, get_row

Admit = Callable[[Held], bool]
"""Which items the asker may see, where that is not the user."""
_EXAMINED_AT_ONCE = 64
"""Scored documents whose rows are looked at together: filters leave some out."""
NONE_IN_VAIN: Mapping[int, Cid] = MappingProxyType({})
_MOST_BEHIND = 1000
"""Matches whose text is withheld, among which better ones are looked for."""
_MOST_TEXTS = 1000
"""Texts that are read to confirm phrases; what comes after them stays unconfirmed."""


@dataclass(frozen=True, slots=True)
class LocalHit:
    """`confirmed`: phrases were found in the text, title or excerpt, not only their words in the summary.

    `rank` is by text alone where nobody's trust was given.
    """

    held: Held
    text_score: float
    passage: Passage | None
    confirmed: bool
    rank: Rank


def statistics_of(
    db: sqlite3.Connection,
    query: Query,
    index: IndexReader | None = None,
    left_out: LeftOut | None = None,
) -> Statistics:
    """The asker's own statistics: of public summaries alone, without those of strangers where they are known.
    Others are told less of them (`Statistics.as_told`)."""
    index = index or IndexReader(db)
    whole = collection(db, public_only=True) if left_out is None else left_out.others
    frequencies = tuple(_frequency(index, term.stems, left_out) for term in query.terms)
    return Statistics(whole.documents, whole.mean_length, frequencies)


def _frequency(index: IndexReader, stems: frozenset[int], left_out: LeftOut | None) -> int:
    if left_out is None:
        return index.frequency(stems, public_only=True)
    return left_out.frequency(stems, index)


def search(
    db: sqlite3.Connection,
    query: Query,
    statistics: Statistics,
    wanted: Filter,
    *,
    limit: int,
    text_of: TextOf,
    admit: Admit | None = None,
    in_vain: Mapping[int, Cid] = NONE_IN_VAIN,
) -> list[LocalHit]:
    """The best documents by text score, phrases and exclusions applied: what a peer is answered with.

    `admit`: which items the asker may see; None is all. `in_vain`: documents whose text is withheld, by row;
    they are put where half their score would.
    """
    hits: list[LocalHit] = []
    behind = 0
    for hit in _matches(db, query, Matches(db, query, statistics), wanted, text_of, admit=admit):
        vain = was_in_vain(db, hit.held, in_vain)
        hits.append(replace(hit, rank=replace(hit.rank, claim=DEFAULT_WEIGHTS.in_vain)) if vain else hit)
        behind += vain
        if len(hits) - behind >= limit or behind >= _MOST_BEHIND:
            break
    hits.sort(key=lambda hit: -hit.rank.score)
    return [_with_passage(db, hit, query, statistics, text_of) for hit in hits[:limit]]


def local_query(
    db: sqlite3.Connection,
    query: Query,
    statistics: Statistics,
    wanted: Filter,
    *,
    limit: int,
    text_of: TextOf,
    distances: Mapping[AuthorId, int],
    weights: Mapping[AuthorId, float] | None = None,
    shown: int | None = None,
    index: IndexReader | None = None,
    rank_weights: Weights = DEFAULT_WEIGHTS,
    in_vain: Mapping[int, Cid] = NONE_IN_VAIN,
) -> list[LocalHit]:
    """The best documents by final rank, best first, at `wanted.now`: what the user is shown.

    The first `shown` (None: all) and those that equal the last of them have passages, which cost far more
    than finding the documents. `distances` and `weights` are the reader's (`pkn_protocol.trust.graph`),
    `rank_weights` what each factor counts. `in_vain`: documents whose text is withheld, by row.
    Exact: documents are looked at by falling text score until no later one could reach the rank of the last
    hit.
    """
    weights = {} if weights is None else weights
    ratings = Ratings(db, distances, weights, wanted.now)
    best = _Best(limit, ratings, rank_weights)
    for hit in _matches(db, query, Matches(db, query, statistics, index), wanted, text_of, best=best):
        vain = was_in_vain(db, hit.held, in_vain)
        ranked = _ranked(db, hit, wanted.now, distances, weights, ratings, rank_weights, vain)
        best.enter(replace(hit, rank=ranked))
    ordered = best.ordered()
    # Who is shown of equals is decided elsewhere.
    last = ordered[: limit if shown is None else shown][-1:]
    return [
        _with_passage(db, hit, query, statistics, text_of)
        if last and hit.rank.score >= last[0].rank.score
        else hit
        for hit in ordered
    ]


class _Best:
    """The best hits by rank so far, and which documents may still come among them."""

    def __init__(self, limit: int, ratings: Ratings, weights: Weights) -> None:
        self._limit = limit
        self.ratings = ratings
        self._unrated = weights.most(rated=False)
        self._rated = weights.most(rated=ratings.are_any)
        self._held: list[tuple[float, int, LocalHit]] = []

    def reaches(self, score: float) -> bool:
        """Whether any document of this text score may come among them."""
        return len(self._held) < self._limit or score * self._rated >= self._held[0][0]

    def may_take(self, doc: int, score: float) -> bool:
        """Whether this document may: beyond what others could add only those that somebody has rated."""
        if len(self._held) < self._limit or score * self._unrated >= self._held[0][0]:
            return True
        return self.reaches(score) and self.ratings.may_have(doc)

    def enter(self, hit: LocalHit) -> None:
        entry = (hit.rank.score, -hit.held.rowid, hit)
        if len(self._held) < self._limit:
            heappush(self._held, entry)
        elif entry[:2] > self._held[0][:2]:
            heapreplace(self._held, entry)

    def ordered(self) -> list[LocalHit]:
        return [hit for *_, hit in sorted(self._held, key=lambda entry: entry[:2], reverse=True)]


def _ranked(
    db: sqlite3.Connection,
    hit: LocalHit,
    now: int,
    distances: Mapping[AuthorId, int],
    weights: Mapping[AuthorId, float],
    ratings: Ratings,
    rank_weights: Weights,
    asked_in_vain: bool,
) -> Rank:
    record = hit.held.record
    return rank(
        hit.text_score,
        distance=distances.get(record.author),
        weight=weights.get(record.author),
        claimed_long=is_claim(db, hit.held, distances),
        asked_in_vain=asked_in_vain,
        kind=record.kind,
        claimed=record.time if record.dated is None else record.dated,
        received=hit.held.received,
        now=now,
        ratings=ratings.of(record),
        weights=rank_weights,
    )


def is_claim(db: sqlite3.Connection, held: Held, distances: Mapping[AuthorId, int]) -> bool:
    """Whether a stranger's summary says that a text is long which is not here, and the reader trusts somebody
    (who trusts nobody has only strangers' word)."""
    record = held.record
    return (
        record.author not in distances
        and len(distances) > 1
        and claims_much(record)
        and not (held.rowid and is_complete(db, held.rowid))
    )


def was_in_vain(db: sqlite3.Connection, held: Held, in_vain: Mapping[int, Cid]) -> bool:
    """Whether an item's text is withheld, and not here. The id decides: its row may have been another's."""
    return in_vain.get(held.rowid) == held.record.id and not is_complete(db, held.rowid)


def _matches(
    db: sqlite3.Connection,
    query: Query,
    matches: Iterable[tuple[int, float]],
    wanted: Filter,
    text_of: TextOf,
    *,
    admit: Admit | None = None,
    best: _Best | None = None,
) -> Iterator[LocalHit]:
    """Documents by falling text score, without passages; `best`: only those that may come among these."""
    ordered = iter(matches)
    needs_text = bool(query.phrases or query.excluded_phrases)
    texts_read = 0
    while part := list(islice(ordered, _EXAMINED_AT_ONCE)):
        if best is not None:
            if not best.reaches(part[0][1]):
                return
            best.ratings.look_at([doc for doc, _ in part])
            part = [(doc, score) for doc, score in part if best.may_take(doc, score)]
        allowed = admitted(db, [doc for doc, _ in part], wanted)
        for doc, score in part:
            if best is not None and not best.may_take(doc, score):
                continue
            held = get_row(db, doc) if doc in allowed else None
            if held is None or not isinstance(held.record.body, Item):
                continue
            if admit is not None and not admit(held):
                continue
            confirmed = True
            if needs_text:
                texts_read += 1
                text = text_of(db, held) if texts_read <= _MOST_TEXTS else None
                verdict = phrase_verdict(held.record.body, text, query)
                if verdict is False:
                    continue
                confirmed = verdict is True
            yield LocalHit(held, score, None, confirmed, Rank(score, 1.0, 1.0, 1.0))


def phrase_verdict(item: Item, text: str | None, query: Query) -> bool | None:
    """Whether an item has all phrases and none that is excluded; None where only its text could say."""
    fields = [item.title, item.excerpt, *([] if text is None else [text])]
    if any(has_any_phrase(field, query.excluded_phrases) for field in fields):
        return False
    if all(any(has_phrases(field, [phrase]) for field in fields) for phrase in query.phrases):
        return True
    whole = text is not None and (item.payload is None or len(text.encode()) >= item.payload.size)
    return False if whole else None


def _with_passage(
    db: sqlite3.Connection, hit: LocalHit, query: Query, statistics: Statistics, text_of: TextOf
) -> LocalHit:
    return replace(hit, passage=passage_of(db, hit.held, query, statistics, text_of))


def passage_of(
    db: sqlite3.Connection, held: Held, query: Query, statistics: Statistics, text_of: TextOf
) -> Passage | None:
    """The passage of an item's text, or of its excerpt where the text is not here."""
    item = held.record.body
    if not isinstance(item, Item):
        return None
    text = text_of(db, held)
    shown = item.excerpt if text is None else without_heading(text, item.title)
    return plain_passage(shown, item, query, statistics.weights()) if shown else None


def admitted(db: sqlite3.Connection, docs: Collection[int], wanted: Filter) -> set[int]:
    """Of documents, those that may be shown and that a filter admits."""
    clause, values = filter_clauses(wanted)
    marks = ",".join("?" * len(docs))
    return {
        doc
        for (doc,) in db.execute(
            f"SELECT rowid FROM record WHERE rowid IN ({marks}) AND kind IN ({ITEM_KIND_LIST}) AND {clause}",  # noqa: S608
            (*docs, *values),
        )
    }
