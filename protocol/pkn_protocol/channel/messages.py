"""The messages of a peer channel: typed, bounded, strictly decoded (SPEC, Channel).

A message is a DAG-CBOR map with its type in `t`, a request's number in `q` or the number it replies to in
`r`, and the fields of its type. Unknown fields are ignored, for later versions.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TypeAlias

from pkn_protocol.records.ids import AuthorId, Cid, DeviceId, ShortId

MOST_FETCHED = 256
MOST_PARTS = 4096
"""Groups, asks or parts in one message of a comparison."""
MOST_PERIODS = 256
"""Of one group; rows of more periods make several groups."""
MOST_DATA_BYTES = 256 * 1024
"""Data in one message of a comparison; with what names it the message stays within its limit."""
MOST_RECORD_BYTES = 224 * 1024
"""Blocks in one `records` or `push`; with the envelope they stay within the limit of those messages."""
MOST_ANNOUNCED = 2048
"""Short ids in one `announce`: 16 KiB."""
MOST_ANNOUNCED_AUTHORS = 256
MOST_HOPS = 255
ROOT_BYTES = 16
MOST_HAVE = 256
MOST_HITS = 200
MOST_TERMS = 64
MOST_PROOFS = 4096
MOST_SEEN = 512
MOST_WANTED = 16_384
PASSAGE_BYTES = 1024
REASON_BYTES = 256


@dataclass(frozen=True, slots=True)
class Hello:
    """Opens the handshake on both sides: the range of versions spoken, keys, a nonce of 32 bytes; the
    SHA-256 of the certificate and the port under which blocks can be had (0: none)."""

    least_version: int
    greatest_version: int
    device: DeviceId
    author: AuthorId
    nonce: bytes
    agent: str
    certificate: bytes
    port: int


@dataclass(frozen=True, slots=True)
class Proof:
    """The client's signature over the transcript, its `device` record, the token for its blocks; and whether
    it holds the server's `device` record, which then need not be sent."""

    signature: bytes
    device_record: bytes
    token: bytes
    knows: bool = False


@dataclass(frozen=True, slots=True)
class Welcome:
    """The server's signature, its `device` record (empty: the client holds it), and the token for blocks over
    HTTP."""

    signature: bytes
    device_record: bytes
    token: bytes


@dataclass(frozen=True, slots=True)
class Close:
    code: int
    reason: str


@dataclass(frozen=True, slots=True)
class Ping:
    """A request; answered by `Pong` at once."""


@dataclass(frozen=True, slots=True)
class Pong:
    pass


@dataclass(frozen=True, slots=True)
class WantEntry:
    """An author by its keyed 8-byte hash, and the lowest (time, id) that is wanted of it."""

    author: bytes
    floor: tuple[int, Cid] | None = None


@dataclass(frozen=True, slots=True)
class Want:
    """Which authors are wanted: version `number`, whole (`base` 0) or as changes to version `base`."""

    number: int
    base: int
    add: tuple[WantEntry, ...]
    drop: tuple[bytes, ...] = ()
    more: bool = False


@dataclass(frozen=True, slots=True)
class Circles:
    """Proofs of membership, one a circle's epoch, in random order."""

    proofs: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Compare:
    """Begins comparison `number` at an instant, over the wants of these versions; `root` of all rows."""

    number: int
    at: int
    mine: int
    yours: int
    root: bytes


@dataclass(frozen=True, slots=True)
class Same:
    number: int


@dataclass(frozen=True, slots=True)
class Stale:
    """The comparison named a version of a want that is no longer, or not yet, the one here."""

    number: int


class Form(IntEnum):
    """What the data of a set of rows or ids is."""

    CODE = 0
    """Symbols of 17 bytes, the next of its stream."""
    SHORT = 1
    """All of it: 8 bytes each."""
    WHOLE = 2
    """All of it: the digests of ids, 32 bytes each; for ids whose short ids collide."""
    PRINT = 3
    """A hash of all of it, 16 bytes."""


@dataclass(frozen=True, slots=True)
class Rows:
    """The responder's rows, `total` in all: the next symbols of their code, or their list (SHORT)."""

    number: int
    total: int
    form: Form
    data: bytes
    more: bool = False


@dataclass(frozen=True, slots=True)
class MoreRows:
    """Asks for that many more symbols of the rows' code, or with 0 for their list."""

    number: int
    count: int


@dataclass(frozen=True, slots=True)
class Group:
    """Rows of one author in one scope that differ, and their ids on the sender's side, `total` in all."""

    scope: bytes
    author: bytes
    periods: tuple[int, ...]
    total: int
    form: Form
    data: bytes


@dataclass(frozen=True, slots=True)
class Groups:
    """The initiator's groups, numbered from 0 on over all messages; `rows` are the first 4 bytes of the items
    of those rows that the responder has and the initiator has not, or not so."""

    number: int
    rows: bytes
    groups: tuple[Group, ...]
    more: bool = False


@dataclass(frozen=True, slots=True)
class IdsAsk:
    """Of group number `group`: `count` more symbols, or (count 0) another form of its ids."""

    group: int
    form: Form
    count: int = 0


@dataclass(frozen=True, slots=True)
class MoreIds:
    number: int
    asks: tuple[IdsAsk, ...]
    more: bool = False


@dataclass(frozen=True, slots=True)
class Part:
    """Of group number `group`: what follows of its data in a form."""

    group: int
    form: Form
    data: bytes


@dataclass(frozen=True, slots=True)
class Parts:
    """The initiator's answer to `MoreIds`."""

    number: int
    parts: tuple[Part, ...]
    more: bool = False


@dataclass(frozen=True, slots=True)
class RowIds:
    """All ids of a row that the other side does not have."""

    scope: bytes
    author: bytes
    period: int
    form: Form
    data: bytes


@dataclass(frozen=True, slots=True)
class Lacks:
    """Ends a comparison: what the responder holds and the initiator lacks."""

    number: int
    groups: tuple[Part, ...]
    rows: tuple[RowIds, ...]
    more: bool = False


@dataclass(frozen=True, slots=True)
class ShortIds:
    """Records of one author, by its hash, named by short ids."""

    author: bytes
    shorts: tuple[ShortId, ...]


@dataclass(frozen=True, slots=True)
class Fetch:
    """A request for records, by id or by author and short id; `devices` asks for the `device` records of
    their authors too."""

    ids: tuple[Cid, ...] = ()
    devices: bool = False
    shorts: tuple[ShortIds, ...] = ()


@dataclass(frozen=True, slots=True)
class Records:
    """Blocks of records; a retracted id is answered with its retraction. `missing` are ids that are not held
    or not for the asker; short ids without a record are passed over."""

    blocks: tuple[bytes, ...]
    missing: tuple[Cid, ...] = ()
    more: bool = False


@dataclass(frozen=True, slots=True)
class Push:
    """New records of one author, for those who want it. `hops`: from whoever published them to the receiver;
    0: not known."""

    author: bytes
    blocks: tuple[bytes, ...]
    hops: int = 0


@dataclass(frozen=True, slots=True)
class Announced:
    """New records of one author that the sender has; `hops` as in a push of them."""

    author: bytes
    shorts: tuple[ShortId, ...]
    hops: int = 0


@dataclass(frozen=True, slots=True)
class Announce:
    """New records that the receiver may have in full for a `graft`."""

    lists: tuple[Announced, ...]


class Tree(IntEnum):
    """Whose next records a link is to carry in full, or to carry no more."""

    NOBODY = 0
    AUTHOR = 1
    EVERYBODY = 2


@dataclass(frozen=True, slots=True)
class Graft:
    """Asks for announced records of an author, none or more, and for the next ones in full as `tree` says."""

    author: bytes
    shorts: tuple[ShortId, ...]
    tree: Tree


@dataclass(frozen=True, slots=True)
class Prune:
    """Of the author's next records ids are enough, or of everybody's."""

    author: bytes
    tree: Tree


@dataclass(frozen=True, slots=True)
class Grants:
    """Grants of the sender's circles, for members."""

    blocks: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Refused:
    """Records that were not taken; they are left out of this connection's sums."""

    ids: tuple[Cid, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class Have:
    """A request: which of these blocks are held, and may be had?"""

    cids: tuple[Cid, ...]


@dataclass(frozen=True, slots=True)
class Holds:
    """A byte for each, 1 or 0."""

    held: bytes


@dataclass(frozen=True, slots=True)
class QueryTerm:
    word: str
    stems: tuple[int, ...]
    frequency: int


@dataclass(frozen=True, slots=True)
class Ask:
    """A request: a query with the asker's statistics and what it may still cost."""

    query_id: bytes
    text: str
    terms: tuple[QueryTerm, ...]
    phrases: tuple[tuple[str, ...], ...]
    excluded: tuple[QueryTerm, ...]
    documents: int
    mean_length: int
    limit: int
    nodes: int
    most_bytes: int
    hops: int
    timeout_ms: int
    tags: tuple[str, ...] = ()
    author: AuthorId | None = None
    kind: str | None = None
    since: int | None = None
    excluded_phrases: tuple[tuple[str, ...], ...] = ()
    seen: tuple[bytes, ...] = ()
    """Those who are asked already, as 8-byte hashes keyed by the query's id: a forwarder leaves them out."""


@dataclass(frozen=True, slots=True)
class AnswerHit:
    """`score` in thousandths; `passage` as the holder shows it, with pairs of places to mark; `confirmed`:
    phrases were found in the text."""

    id: Cid
    score: int
    passage: str
    marks: tuple[int, ...]
    confirmed: bool


@dataclass(frozen=True, slots=True)
class Answers:
    hits: tuple[AnswerHit, ...]
    asked: int
    more: bool = False


@dataclass(frozen=True, slots=True)
class Cancel:
    """The request of this number is no longer waited for."""

    request: int


@dataclass(frozen=True, slots=True)
class Unsupported:
    """The reply to a request of a type that is not known."""

    type: str


Message: TypeAlias = (
    Hello
    | Proof
    | Welcome
    | Close
    | Ping
    | Pong
    | Want
    | Circles
    | Compare
    | Same
    | Stale
    | Rows
    | MoreRows
    | Groups
    | MoreIds
    | Parts
    | Lacks
    | Fetch
    | Records
    | Push
    | Announce
    | Graft
    | Prune
    | Grants
    | Refused
    | Have
    | Holds
    | Ask
    | Answers
    | Cancel
    | Unsupported
)


@dataclass(frozen=True, slots=True)
class Envelope:
    """A message with the number of the request that it is, or that it replies to."""

    message: Message
    request: int | None = None
    reply: int | None = None
