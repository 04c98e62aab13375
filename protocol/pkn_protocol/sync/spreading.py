"""To whom of the neighbours a new record is offered, and how: the place where a broadcast is put in."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Protocol, TypeAlias

from pkn_protocol.channel.messages import Message
from pkn_protocol.records.ids import AuthorId, Cid, ShortId
from pkn_protocol.sync.facts import ConnectionId, Meeting, RecordFacts


class How(Enum):
    """How a record came here."""

    PUBLISHED = auto()
    PUSHED = auto()
    FETCHED = auto()


@dataclass(frozen=True, slots=True)
class Eager:
    """Push these where they are wanted and may be seen."""

    conn: ConnectionId
    records: tuple[RecordFacts, ...]
    hops: int = 0


@dataclass(frozen=True, slots=True)
class Give:
    """The neighbour asked for these: read them, and push what it may see."""

    conn: ConnectionId
    author: AuthorId
    shorts: tuple[ShortId, ...]
    hops: int = 0


@dataclass(frozen=True, slots=True)
class LookUp:
    """Which of these are held? Answered with `looked_up`."""

    conn: ConnectionId
    author: AuthorId
    shorts: tuple[ShortId, ...]


@dataclass(frozen=True, slots=True)
class Say:
    """A message of the broadcast's own."""

    conn: ConnectionId
    message: Message


@dataclass(frozen=True, slots=True)
class CompareDue:
    """More happened than can be told one by one."""

    conn: ConnectionId


Spread: TypeAlias = Eager | Give | LookUp | Say | CompareDue


class Neighbours(Protocol):
    """What may be asked of the connections there are."""

    def may_have(self, conn: ConnectionId, record: RecordFacts) -> bool:
        """Whether the neighbour wants a record and may see it."""
        ...

    def brings(self, conn: ConnectionId, author: AuthorId) -> bool:
        """Whether an author is wanted here of the neighbour, and by it too."""
        ...

    def is_coming(self, author: AuthorId, short: ShortId, now: int) -> bool:
        """Whether a record is being fetched, over whichever connection."""
        ...

    def asked(self, author: AuthorId, shorts: Sequence[ShortId], now: int) -> None:
        """A neighbour is asked for announced records, so that nobody fetches them for a while."""
        ...

    def hash_of(self, conn: ConnectionId, author: AuthorId) -> bytes:
        """How an author is called on a connection."""
        ...

    def author_of(self, conn: ConnectionId, hashed: bytes) -> AuthorId | None:
        """The author that is wanted here under a hash."""
        ...


class Spreading(Protocol):
    """Told of connections, of records that are new here, and of its own messages; times are in ms."""

    @property
    def messages(self) -> tuple[type[Message], ...]:
        """The types of messages that are its own."""
        ...

    def attach(self, neighbours: Neighbours) -> None:
        """Once, before anything else."""
        ...

    def joined(self, conn: ConnectionId, meeting: Meeting, now: int) -> Sequence[Spread]:
        """A connection is there, and both sides have said what they want."""
        ...

    def left(self, conn: ConnectionId, now: int) -> Sequence[Spread]: ...

    def pushed(
        self, conn: ConnectionId, author: AuthorId, blocks: Sequence[bytes], hops: int, now: int
    ) -> Sequence[Spread]:
        """These came; nothing of them is checked yet. `fresh` or `settled` follow, if they are valid."""
        ...

    def fresh(
        self, records: Sequence[RecordFacts], source: ConnectionId | None, how: How, now: int
    ) -> Sequence[Spread]:
        """Records that are on disk, are new here and may be passed on; source None: written here."""
        ...

    def settled(self, ids: Collection[Cid], source: ConnectionId, now: int) -> Sequence[Spread]:
        """What was pushed and is not passed on: it is held already, was refused, or is a stranger's."""
        ...

    def received(self, conn: ConnectionId, message: Message, now: int) -> Sequence[Spread]:
        """Raises ChannelError."""
        ...

    def looked_up(
        self,
        conn: ConnectionId,
        author: AuthorId,
        asked: Sequence[ShortId],
        held: Collection[ShortId],
        now: int,
    ) -> Sequence[Spread]: ...

    def timer(self, now: int) -> Sequence[Spread]: ...

    def deadline(self) -> int | None: ...


class Everybody:
    """All neighbours get all in full, but for the one that it came from: right for a handful of them."""

    messages: tuple[type[Message], ...] = ()

    def __init__(self) -> None:
        self._neighbours: dict[ConnectionId, None] = {}

    def attach(self, neighbours: Neighbours) -> None:
        return None

    def joined(self, conn: ConnectionId, meeting: Meeting, now: int) -> Sequence[Spread]:
        self._neighbours[conn] = None
        return ()

    def left(self, conn: ConnectionId, now: int) -> Sequence[Spread]:
        self._neighbours.pop(conn, None)
        return ()

    def pushed(
        self, conn: ConnectionId, author: AuthorId, blocks: Sequence[bytes], hops: int, now: int
    ) -> Sequence[Spread]:
        return ()

    def fresh(
        self, records: Sequence[RecordFacts], source: ConnectionId | None, how: How, now: int
    ) -> Sequence[Spread]:
        return [Eager(conn, tuple(records)) for conn in self._neighbours if conn != source]

    def settled(self, ids: Collection[Cid], source: ConnectionId, now: int) -> Sequence[Spread]:
        return ()

    def received(self, conn: ConnectionId, message: Message, now: int) -> Sequence[Spread]:
        return ()

    def looked_up(
        self,
        conn: ConnectionId,
        author: AuthorId,
        asked: Sequence[ShortId],
        held: Collection[ShortId],
        now: int,
    ) -> Sequence[Spread]:
        return ()

    def timer(self, now: int) -> Sequence[Spread]:
        return ()

    def deadline(self) -> int | None:
        return None
