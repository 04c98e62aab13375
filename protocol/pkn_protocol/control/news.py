"""Shapes of `/v1/news`, `/v1/watch` and `/v1/watches`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from pkn_protocol.control.items import Comment
from pkn_protocol.control.kinds import Kind
from pkn_protocol.control.summaries import ItemSummary

DEFAULT_LINES = 100
MOST_LINES = 1_000
MOST_WATCHES = 100
"""Saved questions: each is looked at for whatever comes."""
WATCH_NAME_CHARS = 64


class NewsReason(StrEnum):
    """Why something is news. `version`: a new version of what you wrote or took part in; `comment`: on that,
    and `cutting`: of that, both by somebody within your horizon; `question`: of somebody you trust, on what
    you may know about; `match`: of a saved question; `published`: by somebody you trust."""

    VERSION = "version"
    COMMENT = "comment"
    CUTTING = "cutting"
    QUESTION = "question"
    MATCH = "match"
    PUBLISHED = "published"


@dataclass(frozen=True, slots=True)
class NewsLine:
    """One line of news: it stands for `count` items, of which `item` is the newest. `changed`: the item is a
    later version of one that is no longer news. `watches` are the saved questions that it matches; of several
    matches the one that they share. Of a `comment` the item is the one that it is about, as it is now."""

    reason: NewsReason
    item: ItemSummary
    count: int
    changed: bool
    watches: tuple[str, ...] = ()
    comment: Comment | None = None


@dataclass(frozen=True, slots=True)
class News:
    """What came since news were last marked as seen, at `looked` (null: never): first what concerns you most.

    `total` counts items. `left` lines found no room, and come when these are seen. Whoever has shown the
    lines marks all up to `upto` as seen.
    """

    lines: tuple[NewsLine, ...]
    total: int
    left: int
    upto: int
    looked: int | None = None


@dataclass(frozen=True, slots=True)
class SeenRequest:
    upto: int


@dataclass(frozen=True, slots=True)
class Seen:
    """`total` items are news still."""

    total: int
    looked: int


@dataclass(frozen=True, slots=True)
class WatchRequest:
    """What to look for in what comes, as in `QueryRequest`; where there are filters `query` may be empty."""

    query: str = ""
    tags: tuple[str, ...] = ()
    author: str | None = None
    kind: Kind | None = None
    since: int | None = None


@dataclass(frozen=True, slots=True)
class Watch:
    """A saved question. `query` is as typed; `tags`, `author`, `kind` and `since` are its filters, from words
    and options. `new` counts the matches among the news."""

    name: str
    query: str
    tags: tuple[str, ...]
    author: str | None
    author_name: str | None
    kind: str | None
    since: int | None
    made: int
    new: int


@dataclass(frozen=True, slots=True)
class Watches:
    """In the order in which they were saved; at most `most`."""

    watches: tuple[Watch, ...]
    most: int = MOST_WATCHES


@dataclass(frozen=True, slots=True)
class WatchMatch(ItemSummary):
    """An item that came and matches. `confirmed`: phrases were found in its text, not only their words in its
    summary."""

    confirmed: bool
