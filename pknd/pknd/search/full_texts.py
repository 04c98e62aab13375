"""The best matches scored again by their whole texts, where these are here (SPEC, Search, The text score).

A sketch says of a word that it occurs three or four times, or five and more; the text says how often. Among
the first results that decides.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Sequence
from dataclasses import replace

from pkn_protocol.records.ids import AuthorId
from pkn_protocol.records.model import Item
from pkn_protocol.search.documents import full_text_score
from pkn_protocol.search.query import Query
from pkn_protocol.search.scoring import Statistics
from pknd.search.local import LocalHit
from pknd.search.texts import TextOf

MOST_READ = 20
"""Of the matches so many are read: on two collections forty and a hundred gave the same first ten."""
MOST_TEXT_BYTES = 64 * 1024
"""What is fetched unasked is no longer; reading it takes a few milliseconds."""
MOST_BYTES = 512 * 1024
"""Of all texts together: some tens of milliseconds."""


def scored_by_texts(
    db: sqlite3.Connection,
    hits: Sequence[LocalHit],
    query: Query,
    statistics: Statistics,
    *,
    text_of: TextOf,
    doubted: Collection[AuthorId] = (),
) -> list[LocalHit]:
    """The same hits, the first ones with the scores of their texts; `hits` are best first.

    Authors whose sketches are not believed (`doubted`) are scored by titles and tags as before.
    """
    left = MOST_BYTES
    found = []
    for place, hit in enumerate(hits):
        item = hit.held.record.body
        if place >= MOST_READ or not isinstance(item, Item) or hit.held.record.author in doubted:
            found.append(hit)
            continue
        size = 0 if item.payload is None else item.payload.size
        text = text_of(db, hit.held) if 0 < size <= min(left, MOST_TEXT_BYTES) else None
        score = None if text is None else full_text_score(item, text, query, statistics)
        if score is None:
            found.append(hit)
            continue
        left -= size
        found.append(replace(hit, text_score=score, rank=replace(hit.rank, text=score)))
    return found
