"""From the links of a text to the items they mean: `pkn:` ids, and files that were imported."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from urllib.parse import unquote

from pkn_protocol.records.ids import BadId, Cid, is_record_cid, parse_cid
from pknd.capture.captured import Captured
from pknd.store.sources import source_at

_SCHEME = "pkn:"


def linked_items(db: sqlite3.Connection, captured: Captured, path: Path | None) -> tuple[Cid, ...]:
    """The items that a text links to, each once, in order; hrefs that mean nothing here are left out."""
    found: dict[Cid, None] = {}
    for href in captured.links:
        target = _target(db, href, path)
        if target is not None:
            found.setdefault(target)
    return tuple(found)


def neighbour(href: str, path: Path) -> Path | None:
    """The file that a relative href in the file at `path` means."""
    plain = unquote(href.partition("#")[0])
    if not plain or "://" in plain or plain.startswith((_SCHEME, "mailto:", "/")) or "\0" in plain:
        return None
    return Path(os.path.normpath(path.parent / plain))


def _target(db: sqlite3.Connection, href: str, path: Path | None) -> Cid | None:
    if href.startswith(_SCHEME):
        try:
            cid = parse_cid(href.removeprefix(_SCHEME).partition("#")[0])
        except BadId:
            return None
        return cid if is_record_cid(cid) else None
    if path is None or (file := neighbour(href, path)) is None:
        return None
    source = source_at(db, file)
    return None if source is None else source.item
