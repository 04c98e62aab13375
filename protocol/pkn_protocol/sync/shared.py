"""What all connections of a node have in common."""

from __future__ import annotations

from dataclasses import dataclass, field

from pkn_protocol.records.ids import AuthorId
from pkn_protocol.sync.facts import Circles, Horizon
from pkn_protocol.sync.fetching import Claims
from pkn_protocol.sync.wanting import wanted_from
from pkn_protocol.sync.wants import Wanted


@dataclass(slots=True)
class Shared:
    """What all connections of a node have in common."""

    horizon: Horizon
    circles: Circles
    claims: Claims = field(default_factory=Claims)
    _near: tuple[Horizon, Wanted] | None = None

    def wanted_from(self, author: AuthorId) -> Wanted:
        """What is wanted of a peer; one mapping for all peers that everybody is wanted of."""
        horizon = self.horizon
        if author not in horizon.distances or author in horizon.blocked:
            return wanted_from(horizon, author)
        if self._near is None or self._near[0] is not horizon:
            self._near = horizon, wanted_from(horizon, author)
        return self._near[1]
