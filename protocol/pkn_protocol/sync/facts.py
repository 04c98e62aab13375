"""What the machines of synchronisation are told: people, peers, records, rows, what became of a batch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

from pkn_protocol.channel.errors import ChannelError
from pkn_protocol.records.circles import EpochKey
from pkn_protocol.records.ids import AuthorId, Cid, DeviceId
from pkn_protocol.sync.rows import RowSum, SumTable
from pkn_protocol.sync.wants import Floor, PairKey

ConnectionId: TypeAlias = int
"""Chosen by the owner; never used twice."""
PUBLIC_SCOPE = b""


class RowName(NamedTuple):
    """A period of one author in one scope: the same on all connections."""

    scope: bytes
    author: AuthorId
    period: int


@dataclass(frozen=True, slots=True)
class RecordFacts:
    """What has to be known of a record to pass it on. `scope`: empty, or a circle's tag."""

    id: Cid
    author: AuthorId
    scope: bytes
    time: int
    standing: bool
    block: bytes


@dataclass(frozen=True, slots=True)
class Horizon:
    """The people around: `distances` of those within the horizon, oneself (0) included; `floors` of authors
    of whom only the newest is kept."""

    me: AuthorId
    distances: Mapping[AuthorId, int]
    blocked: frozenset[AuthorId] = frozenset()
    floors: Mapping[AuthorId, Floor] = field(default_factory=dict)

    def less_kept_than(self, before: Horizon) -> set[AuthorId]:
        """Those of whom records may have been deleted: they left, were blocked, or have another floor."""
        return {
            *(before.distances.keys() - self.distances.keys()),
            *(self.blocked - before.blocked),
            *(author for author, floor in self.floors.items() if before.floors.get(author) != floor),
        }


@dataclass(frozen=True, slots=True)
class Circle:
    """An epoch of a circle whose key is known here, and the circle's owner."""

    key: EpochKey
    owner: AuthorId


Circles: TypeAlias = Mapping[bytes, Circle]
"""Those that are shared with members, by tag."""


@dataclass(frozen=True, slots=True)
class Meeting:
    """An authenticated connection. `outbound`: this side dialled; `transcript` holds the nonces of both."""

    device: DeviceId
    author: AuthorId
    outbound: bool
    transcript: bytes
    pair: PairKey
    device_block: bytes


@dataclass(frozen=True, slots=True)
class RowChange:
    """How one row changed in the store: all its records that travel, whatever floors and instants say.

    `even`: none of its records has expired, or lies ahead, at the instant that a comparison names now, so
    that the row is compared as it stands.
    """

    name: RowName
    old: RowSum | None
    new: RowSum | None
    even: bool = True


@dataclass(frozen=True, slots=True)
class RowsQuery:
    """The rows that a connection compares at an instant: of each author from a floor on, public and in scopes
    of its own, without the records that one side has refused."""

    at: int
    authors: Mapping[AuthorId, Floor | None]
    scopes: Mapping[AuthorId, tuple[bytes, ...]]
    refused: Mapping[RowName, frozenset[Cid]]
    pair: PairKey

    def scopes_of(self, author: AuthorId) -> tuple[bytes, ...]:
        return (PUBLIC_SCOPE, *self.scopes.get(author, ()))


@dataclass(frozen=True, slots=True)
class RowsRead:
    """The answer to a query. `version`: how many commits that changed rows the snapshot contains, None where
    that could not be told; `uneven`: authors with a row that is not compared as it stands in the store."""

    table: SumTable
    version: int | None = None
    uneven: frozenset[AuthorId] = frozenset()


@dataclass(frozen=True, slots=True)
class Stored:
    """What became of a batch. `added` travel, standing ones first; `known` were held already; `retractions`
    are blocks of those that forbid something in it; `unknown` are valid blocks by devices that are not known
    (yet); `fault`: what the sender did wrong, while what was good in the batch is stored all the same."""

    added: tuple[RecordFacts, ...] = ()
    known: tuple[Cid, ...] = ()
    refused: Mapping[str, tuple[Cid, ...]] = field(default_factory=dict)
    retractions: tuple[bytes, ...] = ()
    unknown: tuple[bytes, ...] = ()
    fault: ChannelError | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """Of the records that were found to be lacking since all was last in step: `known`, and `come` so far."""

    come: int = 0
    known: int = 0

    def __add__(self, other: Progress) -> Progress:
        return Progress(self.come + other.come, self.known + other.known)
