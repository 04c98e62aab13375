"""What a query may cost everybody together, and the queries that were passed on (SPEC, Search)."""

from __future__ import annotations

from dataclasses import dataclass

MOST_NODES = 32
MOST_BYTES = 64 * 1024
MOST_HOPS = 2
"""The whole budget of a query, whoever forwards it."""
_MOST_SEEN = 4096


@dataclass(frozen=True, slots=True)
class Budget:
    """What a query may still cost: nodes that answer, bytes of answers, hops to go."""

    nodes: int = MOST_NODES
    bytes: int = MOST_BYTES
    hops: int = MOST_HOPS

    def divided(self, parts: int) -> Budget:
        """What each of `parts` peers may spend: one node is the peer itself, one hop the way to it."""
        each = max(1, parts)
        return Budget(max(0, self.nodes // each - 1), self.bytes // each, max(0, self.hops - 1))

    def capped(self) -> Budget:
        """No more than a whole query may cost, whatever a peer's message says."""
        return Budget(min(self.nodes, MOST_NODES), min(self.bytes, MOST_BYTES), min(self.hops, MOST_HOPS))


class SeenQueries:
    """The ids of queries that were answered lately; a query that comes round again is not answered twice."""

    def __init__(self, most: int = _MOST_SEEN) -> None:
        self._most = most
        self._seen: dict[bytes, None] = {}

    def is_new(self, query_id: bytes) -> bool:
        """Whether the id was not seen before; remembers it."""
        if query_id in self._seen:
            return False
        self._seen[query_id] = None
        while len(self._seen) > self._most:
            del self._seen[next(iter(self._seen))]
        return True
