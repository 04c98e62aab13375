"""Answering a query from the own disk: for the user, and for peers who ask."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection
from dataclasses import dataclass

from pkn_protocol.records.model import Item
from pkn_protocol.search.passages import Passage, best_passage, has_phrases
from pkn_protocol.search.query import Query, Term
from pkn_protocol.search.scoring import Statistics, rounded, score_documents
from pknd.search.index import collection, document_frequency, lengths, postings
from pknd.store.records import ITEM_KIND_LIST, Filter, Held, filter_clauses, get_row

TextOf = Callable[[sqlite3.Connection, Held], str | None]
"""The text of an item where it is held here, else None."""
_LEAST_EXAMINED = 200
"""Scored documents that are looked at beyond the limit, since filters and phrases leave some out."""


@dataclass(frozen=True, slots=True)
class LocalHit:
    """`confirmed`: phrases were found in the text itself, not only their words in the summary."""

    held: Held
    text_score: float
    passage: Passage | None
    confirmed: bool


def statistics_of(db: sqlite3.Connection, query: Query) -> Statistics:
    """The asker's statistics: of public summaries alone, rounded to four leading bits."""
    whole = collection(db, public_only=True)
    frequencies = tuple(rounded(document_frequency(db, term.stems, public_only=True)) for term in query.terms)
    return Statistics(rounded(whole.documents), float(round(whole.mean_length)), frequencies)


def languages(db: sqlite3.Connection) -> set[str]:
    """The languages of items held here, which the words of a query are stemmed in."""
    return {lang for (lang,) in db.execute("SELECT DISTINCT lang FROM document WHERE lang <> ''")}


def search(
    db: sqlite3.Connection,
    query: Query,
    statistics: Statistics,
    wanted: Filter,
    *,
    limit: int,
    text_of: TextOf,
    admit: Callable[[Held], bool] | None = None,
) -> list[LocalHit]:
    """The best documents by text score, phrases and exclusions applied.

    `admit`: which items the asker may see, where that is not the user; None is all.
    """
    found = [postings(db, term.stems) for term in query.terms]
    docs = set().union(*found) if found else set()
    for term in query.required:
        docs &= set(found[query.terms.index(term)])
    docs -= _with_any(db, query.excluded)
    if not docs:
        return []
    kept = [{doc: kind for doc, kind in part.items() if doc in docs} for part in found]
    scores = score_documents(kept, lengths(db, docs), statistics)
    ordered = sorted(scores.items(), key=lambda entry: (-entry[1], entry[0]))
    weights = statistics.weights()
    hits: list[LocalHit] = []
    for start in range(0, len(ordered), _LEAST_EXAMINED):
        part = ordered[start : start + _LEAST_EXAMINED]
        admitted = _admitted(db, [doc for doc, _ in part], wanted)
        for doc, score in part:
            if doc not in admitted:
                continue
            held = get_row(db, doc)
            if held is None or (admit is not None and not admit(held)):
                continue
            hit = _hit(db, held, score, query, weights, text_of)
            if hit is not None:
                hits.append(hit)
            if len(hits) >= limit:
                return hits
    return hits


def _hit(
    db: sqlite3.Connection,
    held: Held,
    score: float,
    query: Query,
    weights: tuple[float, ...],
    text_of: TextOf,
) -> LocalHit | None:
    item = held.record.body
    if not isinstance(item, Item):
        return None
    text = text_of(db, held)
    if query.phrases and text is not None and not has_phrases(item.title + "\n" + text, query.phrases):
        return None
    shown = text if text is not None else item.excerpt
    passage = best_passage(shown, item.lang or "", query, weights) if shown else None
    return LocalHit(held, score, passage, confirmed=text is not None or not query.phrases)


def _with_any(db: sqlite3.Connection, terms: Collection[Term]) -> set[int]:
    return set().union(*(postings(db, term.stems) for term in terms)) if terms else set()


def _admitted(db: sqlite3.Connection, docs: list[int], wanted: Filter) -> set[int]:
    clause, values = filter_clauses(wanted)
    marks = ",".join("?" * len(docs))
    return {
        doc
        for (doc,) in db.execute(
            f"SELECT rowid FROM record WHERE rowid IN ({marks}) AND kind IN ({ITEM_KIND_LIST}) AND {clause}",  # noqa: S608
            (*docs, *values),
        )
    }
