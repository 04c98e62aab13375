"""What was said of a file beside it, when it was published or edited, is said of its next version as well.

A file may say its title, kind, language, date and tags itself; then what it says now counts.
"""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path

from pkn_protocol.records.model import Item, Record
from pkn_protocol.search.believed import is_text
from pkn_protocol.text.languages import guess_language
from pkn_protocol.text.sketch import item_text
from pknd.capture.captured import REFERENCE_ABOVE_BYTES, Captured, ItemKind
from pknd.capture.files import capture_text
from pknd.errors import DomainError
from pknd.items.content import read_whole
from pknd.items.drafts import analysed_part
from pknd.items.origins import digest_of
from pknd.store.files import BlockFiles
from pknd.store.originals import OriginalChanged

_TITLED = ("text/markdown", "text/html")
"""Texts of these types can say their title; of others it is the first line or the name."""


def carried(
    db: sqlite3.Connection,
    files: BlockFiles,
    captured: Captured,
    path: Path,
    *,
    before: Record,
    digest: bytes,
    default_lang: str,
) -> Captured:
    """A file as it is now, with what was said beside it: `before` is the version to go on from, `digest` that
    of the file alone when it was published."""
    item = before.body
    if not isinstance(item, Item):
        return captured
    old = _alone(db, files, item)
    if old is None:
        # Such a file says nothing of itself; its title is its name.
        name = captured.title if captured.url is not None else item.name
        old = replace(captured, title=name or captured.title)
    elif _said_it_all(old, before, item, path, digest):
        return captured
    is_titled = captured.media_type in _TITLED and captured.title != old.title
    was_called, was = item.title != " ".join(old.title.split()), ItemKind(before.kind)
    return replace(
        captured,
        title=item.title if was_called and not is_titled else captured.title,
        kind=was if captured.kind is old.kind else captured.kind,
        tags=captured.tags or item.tags,
        lang=captured.lang or _given_language(old, item, default_lang),
        dated=before.dated if captured.dated is None else captured.dated,
    )


def _alone(db: sqlite3.Connection, files: BlockFiles, item: Item) -> Captured | None:
    """What the content of a text says by itself, without the front matter that it had; None for others."""
    payload = item.payload
    if payload is None or payload.size > REFERENCE_ABOVE_BYTES or not is_text(payload):
        return None
    try:
        data = read_whole(db, files, payload)
        return replace(capture_text(Path(item.name or ""), data, len(data)), data=data)
    except (DomainError, LookupError, ValueError, OriginalChanged):
        return None


def _said_it_all(old: Captured, before: Record, item: Item, path: Path, digest: bytes) -> bool:
    """Whether a version had nothing that its file did not say: the file with all that has its digest."""
    said = replace(
        old,
        kind=ItemKind(before.kind),
        title=item.title,
        tags=item.tags,
        dated=before.dated,
        url=item.url,
    )
    return any(digest_of(path, replace(said, lang=lang)) == digest for lang in (None, item.lang))


def _given_language(old: Captured, item: Item, default_lang: str) -> str | None:
    """The language of a version, unless it was found by reading."""
    if old.text is None or item.lang is None:
        return item.lang
    found = guess_language(item_text(item.title, analysed_part(old.text), item.url), default_lang)
    return None if found == item.lang else item.lang
