"""Shapes of one item: publishing, editing, retracting, showing; and of `/v1/tags`. Units: `summaries`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from pkn_protocol.control.kinds import Kind
from pkn_protocol.control.people import Trust


@dataclass(frozen=True, slots=True)
class PublishRequest:
    """Exactly one of `path` (absolute), `text` and `url` (a bookmark; `text` may go with it as a note)."""

    path: str | None = None
    text: str | None = None
    url: str | None = None
    title: str | None = None
    tags: tuple[str, ...] = ()
    kind: Kind | None = None
    audience: str | None = None
    lang: str | None = None
    dated: int | None = None


@dataclass(frozen=True, slots=True)
class EditRequest:
    """At least one field; what is absent stays as it was. `tags` replaces all of them. Without `kind` an item
    that is a text takes no content that is none. Without `title` a new text's front matter may say one, and
    its heading does where the old text's heading was the title."""

    path: str | None = None
    text: str | None = None
    title: str | None = None
    tags: tuple[str, ...] | None = None
    lang: str | None = None
    kind: Kind | None = None


@dataclass(frozen=True, slots=True)
class Published:
    """The record that was written; after an edit `id` is the new version's, `item` the first one's.

    `readers` is how many people can read it, null for public. `unchanged`: nothing was written, since this
    version of the file's or the bookmark's item says it all already.
    """

    id: str
    kind: str
    title: str
    time: int
    size: int
    audience: str
    item: str
    readers: int | None = None
    warnings: tuple[str, ...] = ()
    unchanged: bool = False


@dataclass(frozen=True, slots=True)
class Retracted:
    """`id` is the item's, `retraction` the record that says so, `versions` how many were deleted here."""

    id: str
    retraction: str
    versions: int


class TextState(StrEnum):
    """Why `text` is there or not: `cut` when it is longer than a reply carries (`/payload` has all of it),
    `none` when the content is not a text, `unreachable` when nobody online holds it.
    """

    WHOLE = "whole"
    CUT = "cut"
    NONE = "none"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True, slots=True)
class Contributor:
    author: str
    author_name: str
    author_claimed: bool
    own: bool = False


@dataclass(frozen=True, slots=True)
class Comment:
    id: str
    author: str
    author_name: str
    author_claimed: bool
    time: int
    text: str
    own: bool = False


@dataclass(frozen=True, slots=True)
class Ratings:
    """`mean` of 1 to 5; None without ratings."""

    mean: float | None
    count: int


@dataclass(frozen=True, slots=True)
class Reference:
    """Another item, named."""

    id: str
    title: str


@dataclass(frozen=True, slots=True)
class ItemDetail:
    """The record's fields, what others said about the item, and its text.

    `id` is the version shown, `item` the first version's, `by` the device that signed, `heads` every
    current version (two when two people wrote at once), `related` are items here that are like it.
    `lost_original` says what has become of the own file that the content is read from, if it is not what it
    was when it was published.
    """

    id: str
    item: str
    kind: str
    title: str
    author: str
    author_name: str
    author_claimed: bool
    by: str
    trust: Trust
    distance: int | None
    time: int
    dated: int | None
    expires: int | None
    tags: tuple[str, ...]
    lang: str | None
    excerpt: str
    audience: str
    url: str | None
    name: str | None
    media_type: str | None
    size: int
    payload_cid: str | None
    have_payload: bool
    sources: tuple[str, ...]
    verified: bool
    replaces: tuple[str, ...]
    derived_from: str | None
    links: tuple[str, ...]
    heads: tuple[str, ...]
    versions: int
    contributors: tuple[Contributor, ...]
    comments: tuple[Comment, ...]
    ratings: Ratings
    backlinks: tuple[Reference, ...]
    text: str | None
    text_state: TextState
    related: tuple[Reference, ...] = ()
    lost_original: str | None = None


@dataclass(frozen=True, slots=True)
class Version:
    """`head`: one of the item's current versions; `own`: written by the user; `ref`: what to type for it."""

    id: str
    time: int
    author: str
    author_name: str
    author_claimed: bool
    title: str
    size: int
    replaces: tuple[str, ...]
    head: bool
    own: bool = False
    ref: str = ""


@dataclass(frozen=True, slots=True)
class History:
    """Newest first."""

    item: str
    versions: tuple[Version, ...]


@dataclass(frozen=True, slots=True)
class TagCount:
    tag: str
    items: int


@dataclass(frozen=True, slots=True)
class Tags:
    """Most used first."""

    tags: tuple[TagCount, ...]


@dataclass(frozen=True, slots=True)
class FetchSummary:
    """The end of a fetch: whether the content of `size` bytes is here now, and how many of them, sealed ones
    counted as they are stored."""

    complete: bool
    size: int
    here: int
