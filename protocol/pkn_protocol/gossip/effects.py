"""What the machines of broadcast are told, and what they ask their owner to do (SPEC, Gossip)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, TypeAlias

from pkn_protocol.channel.messages import Tree
from pkn_protocol.records.ids import AuthorId, Cid, DeviceId, ShortId


@dataclass(frozen=True, slots=True)
class Fresh:
    """A record that has become available here. `size`: bytes of its block; `scope`: empty or a circle's."""

    id: Cid
    author: AuthorId
    size: int
    time: int
    standing: bool
    scope: bytes = b""


class Interests(Protocol):
    """What the owner knows of its neighbours; pure look-ups."""

    def takes(self, device: DeviceId, fresh: Fresh) -> bool:
        """Whether a neighbour wants a record and may see it."""

    def brings(self, device: DeviceId, author: AuthorId) -> bool:
        """Whether an author's records are taken from a neighbour, and the neighbour gets them itself."""


@dataclass(frozen=True, slots=True)
class SendPush:
    """Send these records of one author in full, as one message. `hops`: from whoever published them to that
    neighbour; 0: not known."""

    device: DeviceId
    author: AuthorId
    ids: tuple[Cid, ...]
    hops: int


@dataclass(frozen=True, slots=True)
class Names:
    """Records of one author that can be had; `hops` as in a push of them."""

    author: AuthorId
    shorts: tuple[ShortId, ...]
    hops: int


@dataclass(frozen=True, slots=True)
class SendAnnounce:
    """Tell that these records can be had."""

    device: DeviceId
    lists: tuple[Names, ...]


@dataclass(frozen=True, slots=True)
class SendGraft:
    """Ask for these records, and for the next ones in full as `tree` says."""

    device: DeviceId
    author: AuthorId
    shorts: tuple[ShortId, ...]
    tree: Tree


@dataclass(frozen=True, slots=True)
class SendPrune:
    """Say that of the author's next records, or of everybody's, ids are enough."""

    device: DeviceId
    author: AuthorId
    tree: Tree


@dataclass(frozen=True, slots=True)
class CompareDue:
    """More has happened than can be told one by one: a comparison is cheaper."""

    device: DeviceId


@dataclass(frozen=True, slots=True)
class Charge:
    """A neighbour caused work that brought nothing, `amount` records' worth."""

    device: DeviceId
    reason: str
    amount: int


@dataclass(frozen=True, slots=True)
class WakeAt:
    """Call `timer` at this time; replaces the one before."""

    time: int


Effect: TypeAlias = SendPush | SendAnnounce | SendGraft | SendPrune | CompareDue | Charge | WakeAt
Effects: TypeAlias = tuple[Effect, ...]
