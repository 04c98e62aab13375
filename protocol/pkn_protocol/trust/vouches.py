"""Which vouches stand at present, as a pure function of the records (SPEC, Trust)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from pkn_protocol.records.ids import AuthorId, Cid
from pkn_protocol.records.model import Record, Vouch
from pkn_protocol.sync.sums import MOST_AHEAD_MS


def standing_vouches(records: Iterable[Record], *, now: int) -> dict[AuthorId, frozenset[AuthorId]]:
    """Who vouches for whom at `now` (ms since 1970), given verified records in any order.

    Of an author's vouches for one person the current one counts: the one that its author has not replaced,
    of several the greatest (time, id). It may say that the vouch is withdrawn. Records that are not
    understood, have expired, or lie too far ahead of `now` say nothing, nor does a vouch for oneself.
    """
    speaking = [(r, r.body) for r in records if isinstance(r.body, Vouch) and _speaks(r, now)]
    replaced = {(record.author, old) for record, _ in speaking for old in record.replaces}
    current: dict[tuple[AuthorId, AuthorId], tuple[int, Cid, bool]] = {}
    for record, vouch in speaking:
        if (record.author, record.id) in replaced:
            continue
        pair = (record.author, vouch.person)
        said = (record.time, record.id, vouch.vouched)
        if pair not in current or said > current[pair]:
            current[pair] = said
    found: dict[AuthorId, set[AuthorId]] = defaultdict(set)
    for (author, person), (_, _, vouched) in current.items():
        if vouched and author != person:
            found[author].add(person)
    return {author: frozenset(people) for author, people in found.items()}


def _speaks(record: Record, now: int) -> bool:
    expired = record.expires is not None and record.expires <= now
    return record.understood and not expired and record.time <= now + MOST_AHEAD_MS
