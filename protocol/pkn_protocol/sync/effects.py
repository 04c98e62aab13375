"""What the machines of synchronisation want done. The owner carries effects out in their order.

Those with a `number` are answered with it; answers may come at once or later, and in any order.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TypeAlias

from pkn_protocol.channel import messages as m
from pkn_protocol.channel.errors import CloseCode
from pkn_protocol.records.ids import AuthorId, Cid, ShortId
from pkn_protocol.sync.compare import Effects
from pkn_protocol.sync.facts import ConnectionId, RowsQuery
from pkn_protocol.sync.kept_root import RootsRead
from pkn_protocol.sync.rows import Key

Computed: TypeAlias = Effects | RootsRead
"""What the work of `Compute` comes to; only the machine looks into it."""


@dataclass(frozen=True, slots=True)
class Send:
    """`droppable`: where much waits for a slow peer it may be left out, which `dropped` then tells."""

    conn: ConnectionId
    message: m.Message
    droppable: bool = False


@dataclass(frozen=True, slots=True)
class Request:
    """A request to the peer; `replied` for each reply, or `request_failed`."""

    conn: ConnectionId
    number: int
    fetch: m.Fetch


@dataclass(frozen=True, slots=True)
class Reply:
    """A reply to the peer's request of that number; the last one says that there are no more."""

    conn: ConnectionId
    number: int
    records: m.Records


@dataclass(frozen=True, slots=True)
class Close:
    conn: ConnectionId
    code: CloseCode
    reason: str


@dataclass(frozen=True, slots=True)
class StoreBatch:
    """Verify and store; answered with `stored`. Batches of a connection that are under way at once do not
    depend on each other. `wanted` is not changed while it is read."""

    conn: ConnectionId
    number: int
    blocks: tuple[bytes, ...]
    wanted: Collection[AuthorId]


@dataclass(frozen=True, slots=True)
class ReadRows:
    """Answered with `rows_read`."""

    conn: ConnectionId
    number: int
    query: RowsQuery


@dataclass(frozen=True, slots=True)
class ReadIds:
    """The ids of these rows, newest first; answered with `ids_read`. Rows that the query does not cover have
    none."""

    conn: ConnectionId
    number: int
    rows: tuple[Key, ...]
    query: RowsQuery


@dataclass(frozen=True, slots=True)
class Compute:
    """Up to 0.1 s of pure computing, in a thread or at once; answered with `computed`. It raises ChannelError
    where the peer is at fault, which goes to `compute_failed`."""

    conn: ConnectionId
    number: int
    work: Callable[[], Computed]


@dataclass(frozen=True, slots=True)
class ReadRecords:
    """What the peer asked for, of what it may see (`scopes`, the public one included): answered with
    `records_read`. `devices`: with the `device` records of the authors."""

    conn: ConnectionId
    number: int
    ids: tuple[Cid, ...]
    named: tuple[tuple[AuthorId, tuple[ShortId, ...]], ...]
    devices: bool
    scopes: frozenset[bytes]


@dataclass(frozen=True, slots=True)
class Place:
    """Which of these are held and travel, and in which rows they lie; answered with `placed`."""

    conn: ConnectionId
    number: int
    ids: tuple[Cid, ...]


@dataclass(frozen=True, slots=True)
class LookUpShorts:
    """Which records of an author, named by short ids, are held; answered with `looked_up`."""

    conn: ConnectionId
    number: int
    author: AuthorId
    shorts: tuple[ShortId, ...]


@dataclass(frozen=True, slots=True)
class ReadGrants:
    """The own grants that are meant for this peer; answered with `grants_read`."""

    conn: ConnectionId


@dataclass(frozen=True, slots=True)
class OpenGrants:
    """Grants that the peer gave; where keys are new, `circles_changed` follows. Answered with
    `grants_opened`."""

    conn: ConnectionId
    blocks: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class InStep:
    """Both sides were found to hold the same, or what was lacking here has been stored."""

    conn: ConnectionId


@dataclass(frozen=True, slots=True)
class WakeAt:
    """Call `timer` at this time (ms); replaces what was said before."""

    time: int


WorkEffect: TypeAlias = (
    Request
    | StoreBatch
    | ReadRows
    | ReadIds
    | Compute
    | ReadRecords
    | Place
    | LookUpShorts
    | ReadGrants
    | OpenGrants
)
"""What takes time, and has an answer."""
ConnectionEffect: TypeAlias = Send | Reply | Close | InStep | WorkEffect
Effect: TypeAlias = ConnectionEffect | WakeAt
