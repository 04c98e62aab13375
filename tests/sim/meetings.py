"""What two nodes know of each other after a handshake; secrets of their devices, found once for both ends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256

from pkn_protocol.records.ids import AuthorId
from pkn_protocol.sync.facts import Meeting
from pkn_protocol.sync.wants import PairKey
from tests.sim.library import Library
from tests.sim.network import Connection
from tests.sim.people import Author


@dataclass(frozen=True, slots=True)
class KnownPair(PairKey):
    """Remembers its hashes."""

    _hashes: dict[AuthorId, bytes] = field(default_factory=dict, compare=False, repr=False)

    def hash(self, author: AuthorId) -> bytes:
        found = self._hashes.get(author)
        if found is None:
            found = self._hashes[author] = PairKey.hash(self, author)
        return found


class Meetings:
    """Of all nodes. `seed`: that of the run."""

    def __init__(self, authors: Sequence[Author], library: Library, seed: int) -> None:
        self._authors = authors
        self._library = library
        self._seed = seed
        self._pairs: dict[tuple[int, int], KnownPair] = {}

    def of(self, connection: Connection, side: int) -> Meeting:
        """As one side of a connection sees it."""
        other = self._authors[connection.nodes[1 - side]]
        return Meeting(
            device=other.device,
            author=other.author,
            outbound=side == 0,
            # What a handshake would have agreed: the same for both sides, and for no other connection.
            transcript=sha256(f"{self._seed} {connection.number}".encode()).digest(),
            pair=self._pair(*connection.nodes),
            device_block=self._library.devices[other.author],
        )

    def _pair(self, one: int, other: int) -> PairKey:
        ends = (min(one, other), max(one, other))
        found = self._pairs.get(ends)
        if found is None:
            mine, theirs = (self._authors[end] for end in ends)
            found = self._pairs[ends] = KnownPair(PairKey.of(mine.device_key, theirs.device).secret)
        return found
