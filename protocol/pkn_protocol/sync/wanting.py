"""What both sides of a connection want and may see, and so what they compare (SPEC, Sync)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pkn_protocol.channel.errors import ChannelError, CloseCode
from pkn_protocol.channel.handshake import CLIENT, SERVER
from pkn_protocol.channel.messages import MOST_PROOFS, Want
from pkn_protocol.channel.messages import Circles as CirclesShown
from pkn_protocol.records.circles import membership_proof
from pkn_protocol.records.ids import AuthorId, Cid
from pkn_protocol.sync.facts import (
    PUBLIC_SCOPE,
    Circles,
    Horizon,
    Meeting,
    RecordFacts,
    RowName,
    RowsQuery,
)
from pkn_protocol.sync.wants import PeerWant, Wanted, changed_by, common, want_changes, whole_want

MOST_INSTANTS = 2
"""The own one, and that of a peer whose clock is about to pass the hour, or has."""
MOST_REFUSED = 4096
"""Records that are held here and that one peer refuses: its limits should be floors, which cost one entry."""


def wanted_from(horizon: Horizon, author: AuthorId) -> Wanted:
    """Oneself, the peer itself, and from those within the horizon everybody within it."""
    authors = {horizon.me, author}
    if author in horizon.distances:
        authors |= horizon.distances.keys()
    return {one: horizon.floors.get(one) for one in authors - horizon.blocked}


class Wanting:
    """One connection's wants, proofs and refusals. `query` is what follows from them."""

    def __init__(self, meeting: Meeting) -> None:
        self._meeting = meeting
        self._pair = meeting.pair
        self.wanted: Wanted = {}
        self.number = 0
        self.peer = PeerWant()
        self.proven: frozenset[bytes] = frozenset()
        self._shown: tuple[bytes, ...] = ()
        self._shown_there: frozenset[bytes] = frozenset()
        self._owners: Mapping[bytes, AuthorId] = {}
        self._refused: dict[RowName, frozenset[Cid]] = {}
        self._refused_count = 0
        self._authors: dict[bytes, AuthorId] = {}
        self._queries: dict[int, RowsQuery] = {}

    @property
    def ready(self) -> bool:
        """Whether both sides have said what they want."""
        return self.number > 0 and self.peer.number > 0 and not self.peer.partial

    def tell(self, wanted: Wanted) -> list[Want]:
        """What is to be said so that the other side knows what is wanted now."""
        if self.number and wanted == self.wanted:
            return []
        before, self.wanted = self.wanted, wanted
        self._authors = {self._pair.hash(author): author for author in wanted}
        self._queries.clear()
        self.number += 1
        if self.number > 1:
            change = want_changes(self.number - 1, before, wanted, self._pair)
            if change is not None:
                return [change]
        return list(whole_want(self.number, wanted, self._pair))

    def tell_again(self) -> list[Want]:
        """All of it, as the other side seems not to know it."""
        self.number += 1
        self._queries.clear()
        return list(whole_want(self.number, self.wanted, self._pair))

    def hear(self, message: Want) -> bool:
        """Whether all of what the other side wants is told now. Raises ChannelError."""
        self.peer = changed_by(self.peer, message)
        self._queries.clear()
        return not self.peer.partial

    def proofs(self, circles: Circles) -> CirclesShown | None:
        """What shows that the keys that are known here are; None where all was shown before."""
        role = CLIENT if self._meeting.outbound else SERVER
        # In the order of their bytes, which nobody can foresee.
        proofs = tuple(
            sorted(membership_proof(c.key, self._meeting.transcript, role) for c in circles.values())
        )
        if not proofs or proofs == self._shown:
            return None
        self._shown = proofs
        return self.proofs_again()

    def proofs_again(self) -> CirclesShown | None:
        """What was shown last; None: nothing was."""
        return CirclesShown(self._shown[:MOST_PROOFS]) if self._shown else None

    def shown(self, proofs: CirclesShown) -> None:
        """What the other side shows. It is kept: it may prove an epoch whose key comes here only later."""
        self._shown_there = frozenset(proofs.proofs)

    def verify(self, circles: Circles) -> bool:
        """Whether what the other side has shown proves a membership that was not proven before."""
        role = SERVER if self._meeting.outbound else CLIENT
        proven = {
            tag
            for tag, circle in circles.items()
            if tag not in self.proven
            and membership_proof(circle.key, self._meeting.transcript, role) in self._shown_there
        }
        self.proven |= proven
        self._owners = {tag: circles[tag].owner for tag in self.proven if tag in circles}
        if proven:
            self._queries.clear()
        return bool(proven)

    def refuse(self, places: Mapping[Cid, RowName]) -> None:
        """The other side does not take these, which are held here.

        Raises:
            ChannelError: it refuses too much.
        """
        for cid, name in places.items():
            refused = self._refused.get(name, frozenset())
            self._refused[name] = refused | {cid}
            self._refused_count += len(self._refused[name]) - len(refused)
        if self._refused_count > MOST_REFUSED:
            raise ChannelError(CloseCode.OVER_BUDGET, f"more than {MOST_REFUSED} records are refused")
        if places:
            self._queries.clear()

    def query(self, at: int) -> RowsQuery:
        """What is compared at an instant; the same object as long as nothing changes."""
        if at not in self._queries:
            scopes: dict[AuthorId, tuple[bytes, ...]] = {}
            for tag, owner in self._owners.items():
                scopes[owner] = (*scopes.get(owner, ()), tag)
            shared = common(self.wanted, self.peer, self._pair)
            if len(self._queries) >= MOST_INSTANTS:
                self._queries.clear()
            self._queries[at] = RowsQuery(at, shared, scopes, dict(self._refused), self._pair)
        return self._queries[at]

    def author_of(self, hashed: bytes) -> AuthorId | None:
        """The author that is wanted here under a hash."""
        return self._authors.get(hashed)

    def may_see(self, scope: bytes) -> bool:
        return scope == PUBLIC_SCOPE or scope in self.proven

    def may_have(self, record: RecordFacts) -> bool:
        """Whether the other side wants a record and may see it."""
        hashed = self._pair.hash(record.author)
        return self.may_see(record.scope) and self.peer.covers(
            hashed, record.time, record.id, standing=record.standing
        )

    def wanted_there(self, records: Iterable[RecordFacts]) -> dict[bytes, list[RecordFacts]]:
        """Those that the other side may have, by the author's hash."""
        found: dict[bytes, list[RecordFacts]] = {}
        for record in records:
            if self.may_have(record):
                found.setdefault(self._pair.hash(record.author), []).append(record)
        return found
