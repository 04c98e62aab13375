"""The next version of an own item by hand: another content, or other fields; what is not said anew stays."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path

from pkn_protocol.control.errors import ErrorCode
from pkn_protocol.control.items import EditRequest
from pkn_protocol.records import limits
from pkn_protocol.records.ids import Cid
from pkn_protocol.records.model import Item
from pkn_protocol.records.payload import BadChunk, BadManifest
from pkn_protocol.search.believed import is_text
from pknd.capture.captured import REFERENCE_ABOVE_BYTES, Captured, ItemKind
from pknd.capture.files import capture_file
from pknd.capture.html import title_and_text
from pknd.capture.markdown import capture_markdown, heading_of, links_of
from pknd.capture.tags import clean_tags
from pknd.errors import DomainError
from pknd.items.content import read_whole
from pknd.items.drafts import clipped
from pknd.items.linking import linked_items
from pknd.items.publishing import given_language
from pknd.people.circles import PUBLIC
from pknd.store.originals import OriginalChanged
from pknd.store.records import Held
from pknd.store.sources import path_of
from pknd.store.store import Store


def edited(store: Store, held: Held, item: Item, request: EditRequest) -> Captured:
    """What the next version is to be; blocking, for a thread.

    Raises:
        DomainError: a file cannot be captured, or the item cannot become that.
    """
    written = request.path is not None or request.text is not None
    captured = _written(item, request) if written else _unchanged(store, held, item)
    if captured.audience is not None and captured.audience != (held.record.audience or PUBLIC):
        raise DomainError(
            ErrorCode.CONFLICT,
            "an edit cannot change who an item is for",
            "retract it and publish it anew for the other audience",
        )
    was_text = item.payload is None or is_text(item.payload)
    if was_text and captured.text is None and request.kind is None:
        raise DomainError(
            ErrorCode.CONFLICT,
            f"{item.title!r} is a text, and {captured.name or 'the file'} is {captured.media_type}",
            "publish the file as an item of its own, or say --kind file if it shall become one",
        )
    return replace(
        captured,
        kind=ItemKind(held.record.kind if request.kind is None else request.kind),
        title=request.title or (_title(store, item, captured) if written else item.title),
        # A draft from anywhere may become the next version; what it was called is nobody's business.
        name=item.name,
        tags=clean_tags(request.tags) if request.tags is not None else (captured.tags or item.tags),
        lang=given_language(request.lang) or captured.lang or item.lang,
        url=captured.url or item.url,
    )


def links_after(
    db: sqlite3.Connection, held: Held, item: Item, captured: Captured, request: EditRequest
) -> tuple[Cid, ...]:
    """What an edited item links to: as before where the text stayed, else as from where its file lies."""
    if request.path is None and request.text is None:
        return item.links
    path = path_of(db, held.record.item_id) if request.path is None else Path(request.path)
    return linked_items(db, captured, path)


def _written(item: Item, request: EditRequest) -> Captured:
    if request.path is not None:
        return capture_file(Path(request.path))
    captured = capture_markdown(request.text or "", fallback_title=item.title, name=item.name)
    if item.payload is not None and item.payload.type == "text/plain":
        # Which has no headings.
        return replace(captured, media_type="text/plain", heading=None)
    return captured


def _title(store: Store, item: Item, captured: Captured) -> str:
    """The title that a new text states; its heading where the old text's was the title; else as it was."""
    if captured.stated_title:
        return captured.stated_title
    if captured.heading and _is_headed(store, item):
        return captured.heading
    return item.title


def _is_headed(store: Store, item: Item) -> bool:
    """Whether an item is called by the heading of its text."""
    payload, files = item.payload, store.files
    if payload is None or payload.size > REFERENCE_ABOVE_BYTES or not is_text(payload):
        return False
    try:
        data = store.read_now(lambda db: read_whole(db, files, payload))
    except (LookupError, OriginalChanged, BadManifest, BadChunk):
        return False
    text = data.decode("utf-8", errors="replace")
    heading = title_and_text(text)[0] if payload.type == "text/html" else heading_of(text)
    return bool(item.title) and clipped(" ".join((heading or "").split()), limits.TITLE_BYTES) == item.title


def _unchanged(store: Store, held: Held, item: Item) -> Captured:
    """The content as it is, for an edit of title or tags alone."""
    payload, files = item.payload, store.files
    data = b"" if payload is None else store.read_now(lambda db: read_whole(db, files, payload))
    media_type = payload.type if payload is not None else "text/plain"
    text = data.decode("utf-8", errors="replace") if media_type.startswith("text/") else None
    return Captured(
        kind=ItemKind(held.record.kind),
        title=item.title,
        media_type=media_type,
        text=text,
        data=data if payload is not None else None,
        size=len(data),
        name=item.name,
        links=links_of(text or ""),
    )
