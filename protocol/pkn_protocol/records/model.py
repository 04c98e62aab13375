"""The typed, immutable form of records (SPEC, Records)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from pkn_protocol.records.cbor import Value
from pkn_protocol.records.ids import AuthorId, Cid, DeviceId

VERSION = 1
ITEM_KINDS = frozenset({"note", "page", "bookmark", "question", "file"})
ABOUT_KINDS = frozenset({"comment", "rating", "tagging", "share"})
STANDING_KINDS = frozenset({"profile", "device", "vouch", "retraction"})
"""Few a person, needed before anything else, never forgotten: period 0 (SPEC, Sync)."""
PUBLIC_KINDS = frozenset({"profile", "device", "vouch", "grant", "sealed"})
"""Never inside `sealed`: they are about people or circles, or are the envelope itself."""


@dataclass(frozen=True, slots=True)
class Payload:
    """Where an item's content is.

    `size` is that of the plaintext in bytes. `key` (32 bytes, sealed audiences only) encrypts the chunks;
    `cid` is then the root over the ciphertext (SPEC, Payloads).
    """

    type: str
    size: int
    cid: Cid
    key: bytes | None = None


@dataclass(frozen=True, slots=True)
class Vector:
    """An optional vector of a named model, for search by meaning; opaque to those who lack the model."""

    model: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Item:
    """note, page, bookmark, question, file: what people know."""

    title: str
    tags: tuple[str, ...] = ()
    lang: str | None = None
    excerpt: str = ""
    sketch: bytes | None = None
    payload: Payload | None = None
    derived_from: Cid | None = None
    links: tuple[Cid, ...] = ()
    url: str | None = None
    name: str | None = None
    vectors: tuple[Vector, ...] = ()


@dataclass(frozen=True, slots=True)
class Comment:
    about: Cid
    text: str


@dataclass(frozen=True, slots=True)
class Rating:
    about: Cid
    value: int


@dataclass(frozen=True, slots=True)
class Tagging:
    about: Cid
    tags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Share:
    """Passes another's item on to the sharer's readers."""

    about: Cid
    note: str = ""


@dataclass(frozen=True, slots=True)
class Retraction:
    """Of the item that the record's `item` names: all its versions, also those that arrive later."""


@dataclass(frozen=True, slots=True)
class DeviceRetraction:
    """Of a device key, by the author key; `remaining` lists the ids of its records that stay valid."""

    device: DeviceId
    remaining: Payload | None = None


@dataclass(frozen=True, slots=True)
class Profile:
    name: str
    description: str = ""


@dataclass(frozen=True, slots=True)
class Vouch:
    """`vouched` False takes an earlier vouch back."""

    person: AuthorId
    vouched: bool = True


@dataclass(frozen=True, slots=True)
class Device:
    """Joins an author key and a device key: signed by the first, countersigned by the second."""

    device: DeviceId
    name: str
    countersignature: bytes


@dataclass(frozen=True, slots=True)
class Setting:
    """Private to one's own devices: a petname, a trust."""

    key: str
    value: bytes


@dataclass(frozen=True, slots=True)
class Grant:
    """One epoch of a circle: its key in a sealed box for each member's device (SPEC, Circles)."""

    tag: bytes
    epoch: bytes
    boxes: tuple[bytes, ...]
    earlier: bytes = b""
    part: int = 0


@dataclass(frozen=True, slots=True)
class Sealed:
    """An encrypted record: the circle's tag, the nonce, the commitment to the key, the ciphertext."""

    tag: bytes
    nonce: bytes
    commitment: bytes
    box: bytes


@dataclass(frozen=True, slots=True)
class Unknown:
    """A kind of a later program: kept and passed on, not shown."""


Body: TypeAlias = (
    Item
    | Comment
    | Rating
    | Tagging
    | Share
    | Retraction
    | DeviceRetraction
    | Profile
    | Vouch
    | Device
    | Setting
    | Grant
    | Sealed
    | Unknown
)


@dataclass(frozen=True, slots=True)
class Record:
    """A signed block and what it says.

    `time`, `expires`, `dated`: ms since 1970, as claimed. `audience` None is public. `extra` holds fields
    that this program does not know; `understood` is False when one of them must be (`!`).
    """

    id: Cid
    block: bytes
    author: AuthorId
    by: DeviceId
    time: int
    kind: str
    body: Body
    signature: bytes
    audience: str | None = None
    expires: int | None = None
    dated: int | None = None
    item: Cid | None = None
    replaces: tuple[Cid, ...] = ()
    understood: bool = True
    extra: Mapping[str, Value] = field(default_factory=dict)

    @property
    def item_id(self) -> Cid:
        """The name of the item: the id of its first version."""
        return self.id if self.item is None else self.item

    @property
    def is_standing(self) -> bool:
        return self.kind in STANDING_KINDS

    @property
    def is_item(self) -> bool:
        return self.kind in ITEM_KINDS
