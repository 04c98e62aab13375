"""The people around the user, as one immutable snapshot: trust, distance, names, quotas."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass

from pkn_protocol.control.people import Trust
from pkn_protocol.records.ids import AuthorId, did_key
from pkn_protocol.trust.graph import distances, weights
from pkn_protocol.trust.quotas import Quota, author_quotas
from pknd.store.doubted import all_doubted
from pknd.store.people import Opinion, claimed_names, opinions, vouches


@dataclass(frozen=True, slots=True)
class PeopleView:
    """Made anew whenever trust, a vouch or a profile changes; read by everybody, changed by nobody."""

    me: AuthorId
    opinions: Mapping[AuthorId, Opinion]
    names: Mapping[AuthorId, str]
    distances: Mapping[AuthorId, int]
    vouches: Mapping[AuthorId, frozenset[AuthorId]]
    quotas: Mapping[AuthorId, Quota]
    weights: Mapping[AuthorId, float]
    doubted: frozenset[AuthorId] = frozenset()
    """Those whose sketches are not believed."""

    def trust(self, author: AuthorId) -> Trust:
        if author == self.me:
            return Trust.SELF
        opinion = self.opinions.get(author)
        return Trust.NONE if opinion is None else Trust(opinion.trust)

    def petname(self, author: AuthorId) -> str | None:
        opinion = self.opinions.get(author)
        return None if opinion is None else opinion.petname

    def name(self, author: AuthorId) -> tuple[str, bool]:
        """What to call somebody, and whether that is only claimed; the key's beginning where nothing is."""
        petname = self.petname(author)
        if petname is not None:
            return petname, False
        claimed = self.names.get(author)
        if claimed is None:
            return did_key(author)[8:20], False
        return claimed, author != self.me

    @property
    def trusted(self) -> frozenset[AuthorId]:
        return frozenset(a for a, opinion in self.opinions.items() if opinion.trust == Trust.TRUSTED)

    @property
    def blocked(self) -> frozenset[AuthorId]:
        return frozenset(a for a, opinion in self.opinions.items() if opinion.trust == Trust.BLOCKED)

    @property
    def near(self) -> frozenset[AuthorId]:
        """Everybody within the horizon, oneself included."""
        return frozenset(self.distances)


def read_view(db: sqlite3.Connection, me: AuthorId, *, max_disk: int) -> PeopleView:
    """The snapshot as the store has it now."""
    held = opinions(db)
    trusted = {author for author, opinion in held.items() if opinion.trust == Trust.TRUSTED}
    blocked = {author for author, opinion in held.items() if opinion.trust == Trust.BLOCKED}
    given = vouches(db)
    return PeopleView(
        me=me,
        opinions=held,
        names=claimed_names(db),
        distances=distances(me, trusted, blocked, given),
        vouches=given,
        quotas=author_quotas(me, trusted, blocked, given, max_disk=max_disk),
        weights=weights(me, trusted, blocked, given),
        doubted=all_doubted(db),
    )
