"""How lists and query results show an item: shapes of `GET /v1/items`, and the base of a hit.

Ids of items and records are CIDs as text, of people did:keys, of devices 64 hexadecimal digits. Times are
milliseconds since the epoch, sizes bytes. `audience` is public, trusted, private or a circle's name.
"""

from __future__ import annotations

from dataclasses import dataclass

from pkn_protocol.control.kinds import Kind
from pkn_protocol.control.people import Trust


@dataclass(frozen=True, slots=True)
class ItemSummary:
    """One item as lists show it: what its current record says, and where it stands with us.

    `author_name` is the petname where there is one, else the claimed name, and then `author_claimed` is
    true. `sources` are the devices known to hold the content. `verified`: the record's signature was
    checked, and the passage (if any) against the content's digest. `doubted`: the author's sketches are not
    believed (see `Person`).
    """

    id: str
    item: str
    kind: str
    title: str
    author: str
    author_name: str
    author_claimed: bool
    trust: Trust
    distance: int | None
    time: int
    tags: tuple[str, ...]
    excerpt: str
    audience: str
    lang: str | None
    media_type: str | None
    size: int
    have_payload: bool
    sources: tuple[str, ...]
    verified: bool
    doubted: bool


@dataclass(frozen=True, slots=True)
class ListFilter:
    """`author` is a reference to a person; `since` in ms; `cursor` from the page before."""

    tags: tuple[str, ...] = ()
    author: str | None = None
    kind: Kind | None = None
    since: int | None = None
    audience: str | None = None
    mine: bool = False
    limit: int = 50
    cursor: str | None = None


@dataclass(frozen=True, slots=True)
class ItemList:
    """Newest first; `cursor` asks for the next page, None at the end."""

    items: tuple[ItemSummary, ...]
    cursor: str | None = None
