"""Which authors a side wants, told without naming them to those who do not know them (SPEC, Sync).

An author goes over the wire as 8 bytes, keyed by a secret that the two devices share: the X25519 agreement of
their device keys. It is the same at every meeting and neither side has to remember it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import TypeAlias

from pkn_protocol.channel.errors import ChannelError, CloseCode
from pkn_protocol.channel.messages import Want, WantEntry
from pkn_protocol.records.ids import AuthorId, Cid, DeviceId
from pkn_protocol.records.signing import Ed25519Key

Floor: TypeAlias = tuple[int, Cid]
"""The lowest (time, id) that is wanted of an author."""
Wanted: TypeAlias = Mapping[AuthorId, Floor | None]
MOST_AUTHORS = 65_536
"""Authors in a peer's want: the horizon of 10,000 several times over."""
_ENTRIES_A_MESSAGE = 4096
_HASH_PERSON = b"pkn want author1"
_KEY_PERSON = b"pkn want key   1"


@dataclass(frozen=True, slots=True)
class PairKey:
    """The secret of two devices under which authors are hashed."""

    secret: bytes

    @classmethod
    def of(cls, mine: Ed25519Key, theirs: DeviceId) -> PairKey:
        """Raises ValueError: the other key is not valid."""
        return cls(blake2b(mine.agree(theirs), digest_size=32, person=_KEY_PERSON).digest())

    def hash(self, author: AuthorId) -> bytes:
        return blake2b(author, digest_size=8, key=self.secret, person=_HASH_PERSON).digest()


@dataclass(frozen=True, slots=True)
class PeerWant:
    """What the other side wants: version `number`, floors by author's hash. Number 0: not told yet."""

    number: int = 0
    floors: Mapping[bytes, Floor | None] = field(default_factory=dict)
    partial: bool = False

    def covers(self, author: bytes, time: int, cid: Cid, *, standing: bool) -> bool:
        """Whether a record is wanted; standing ones have no floor."""
        if author not in self.floors:
            return False
        floor = self.floors[author]
        return standing or floor is None or (time, cid) >= floor


def changed_by(known: PeerWant, message: Want) -> PeerWant:
    """What the other side wants after its message; as before where that changes a version that is not known,
    since one before it was lost: comparisons are stale then, and the other side tells all anew.

    Raises:
        ChannelError: too many authors.
    """
    if known.partial and message.number == known.number:
        floors = dict(known.floors)
    elif message.base == 0:
        floors = {}
    elif message.base == known.number and not known.partial:
        floors = dict(known.floors)
    else:
        return known
    for author in message.drop:
        floors.pop(author, None)
    floors.update({entry.author: entry.floor for entry in message.add})
    if len(floors) > MOST_AUTHORS:
        raise ChannelError(CloseCode.OVER_BUDGET, f"more than {MOST_AUTHORS} authors are wanted")
    return PeerWant(message.number, floors, message.more)


def whole_want(number: int, wanted: Wanted, key: PairKey) -> Iterator[Want]:
    """The messages that tell a want from the start."""
    entries = [WantEntry(key.hash(author), floor) for author, floor in wanted.items()]
    # In the order of the hashes, which says nothing about the authors.
    entries.sort(key=lambda entry: entry.author)
    for start in range(0, max(1, len(entries)), _ENTRIES_A_MESSAGE):
        part = entries[start : start + _ENTRIES_A_MESSAGE]
        yield Want(number, 0, tuple(part), more=start + _ENTRIES_A_MESSAGE < len(entries))


def want_changes(base: int, before: Wanted, after: Wanted, key: PairKey) -> Want | None:
    """One message from version `base` to the next; None where it would not fit, so that all is told anew."""
    add = [
        WantEntry(key.hash(a), floor) for a, floor in after.items() if a not in before or before[a] != floor
    ]
    drop = [key.hash(author) for author in before if author not in after]
    if len(add) + len(drop) > _ENTRIES_A_MESSAGE:
        return None
    return Want(base + 1, base, tuple(sorted(add, key=lambda e: e.author)), tuple(sorted(drop)))


def common(wanted: Wanted, peer: PeerWant, key: PairKey) -> dict[AuthorId, Floor | None]:
    """The authors that both sides want, each from the higher of the two floors on."""
    found: dict[AuthorId, Floor | None] = {}
    for author, mine in wanted.items():
        hashed = key.hash(author)
        if hashed not in peer.floors:
            continue
        theirs = peer.floors[hashed]
        found[author] = max(mine, theirs) if mine is not None and theirs is not None else mine or theirs
    return found
