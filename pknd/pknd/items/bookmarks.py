"""A bookmark that is published again: the same address is the same item, as the same file is."""

from __future__ import annotations

import sqlite3
from dataclasses import replace

from pkn_protocol.control.errors import ErrorCode
from pkn_protocol.records.ids import AuthorId
from pkn_protocol.records.model import Item
from pknd.capture.captured import Captured, CaptureError, ItemKind
from pknd.capture.front_matter import read_front_matter
from pknd.errors import DomainError
from pknd.items.content import read_whole
from pknd.people.circles import PUBLIC
from pknd.store.files import BlockFiles
from pknd.store.originals import OriginalChanged
from pknd.store.records import Held, get_row

_NOTE = "text/markdown"


def bookmark(url: str, note: str | None, title: str | None) -> Captured:
    """A web address, with a note in Markdown.

    Raises:
        CaptureError: it is no web address, or the note's front matter cannot be read.
    """
    if not url.startswith(("http://", "https://")):
        raise CaptureError("bad-url", f"{url!r} is not a web address", "begin it with https://")
    data = note.encode("utf-8") if note else None
    audience = read_front_matter(note or "").audience
    return Captured(
        kind=ItemKind.BOOKMARK,
        title=title or url.split("://", 1)[1].rstrip("/"),
        media_type=_NOTE,
        text=note or "",
        excerpt=(note or "") + "\n" + url,
        data=data,
        size=len(data or b""),
        url=url,
        audience=audience,
    )


def own_bookmark(
    db: sqlite3.Connection, me: AuthorId, url: str, *, kind: str, audience: str | None
) -> Held | None:
    """The newest own bookmark of an address (also one that was published as that kind), one for that audience
    before others; None where there is none."""
    rows = db.execute(
        # Most records are told apart by their bytes, without being decoded.
        "SELECT rowid FROM record WHERE author = ? AND kind IN (?, ?) AND head AND shown AND instr(block, ?)"
        " ORDER BY time DESC, rowid DESC",
        (me, ItemKind.BOOKMARK.value, kind, url.encode("utf-8", errors="replace")),
    ).fetchall()
    found = [held for (row,) in rows if (held := get_row(db, row)) is not None and _is_of(held, url)]
    return next(
        (one for one in found if audience == (one.record.audience or PUBLIC)), next(iter(found), None)
    )


def _is_of(held: Held, url: str) -> bool:
    item = held.record.body
    # A page may have an address as well; its content is no note.
    return isinstance(item, Item) and item.url == url and (item.payload is None or item.payload.type == _NOTE)


def note_of(db: sqlite3.Connection, files: BlockFiles, item: Item) -> str:
    """What is noted with a bookmark.

    Raises:
        DomainError: it is not to be read here.
    """
    if item.payload is None:
        return ""
    try:
        return read_whole(db, files, item.payload).decode("utf-8", errors="replace")
    except (LookupError, ValueError, OriginalChanged) as error:
        raise DomainError(
            ErrorCode.UNREACHABLE, "the note of this bookmark cannot be read any more", "pkn get looks for it"
        ) from error


def carried_bookmark(before: Held, item: Item, note: str, *, is_new: bool) -> Captured:
    """The next version of a bookmark: what was said of the former stays. `is_new`: the note is another."""
    return replace(
        bookmark(item.url or "", note, item.title),
        kind=ItemKind(before.record.kind),
        name=item.name,
        tags=item.tags,
        lang=None if is_new else item.lang,
        dated=before.record.dated,
    )
