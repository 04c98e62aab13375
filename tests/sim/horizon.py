"""Whom a node knows: its horizon and quotas, by the functions that the daemon uses too."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from pkn_protocol.records.ids import AuthorId
from pkn_protocol.sync.facts import Horizon
from pkn_protocol.trust.graph import distances
from pkn_protocol.trust.quotas import Quota, author_quotas, stranger_quota
from tests.sim.held import Floor


class People:
    """What follows from a person's opinions, and from the vouches that are known at an instant. `max_disk` in
    bytes."""

    def __init__(
        self,
        me: AuthorId,
        trusted: Collection[AuthorId],
        blocked: Collection[AuthorId],
        vouches: Mapping[AuthorId, frozenset[AuthorId]],
        *,
        max_disk: int,
    ) -> None:
        self.blocked = frozenset(blocked)
        self.distances = distances(me, trusted, blocked, vouches)
        self._me = me
        self._trusted = trusted
        self._vouches = vouches
        self._max_disk = max_disk
        self._quotas: Mapping[AuthorId, Quota] | None = None

    def horizon(self, floors: Mapping[AuthorId, Floor]) -> Horizon:
        """What the machines are told; `floors` are those of the store."""
        return Horizon(self._me, self.distances, self.blocked, dict(floors))

    def quota(self, author: AuthorId, strangers: int) -> Quota | None:
        """How much of an author may be held, where that is divided among so many strangers; None: all."""
        if author == self._me:
            return None
        if self._quotas is None:
            self._quotas = author_quotas(
                self._me, self._trusted, self.blocked, self._vouches, max_disk=self._max_disk
            )
        if author in self._quotas:
            return self._quotas[author]
        return stranger_quota(strangers, max_disk=self._max_disk)
