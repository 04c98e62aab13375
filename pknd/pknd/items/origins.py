"""What an own file was published as, and whether it is still the same."""

from __future__ import annotations

import sqlite3
from hashlib import blake2b
from pathlib import Path

from pkn_protocol.records.ids import Cid
from pkn_protocol.records.limits import REPLACES
from pknd.capture.captured import Captured
from pknd.store.records import Held, get, versions
from pknd.store.sources import Source, source_at, sources_with

_DIGEST_BYTES = 16


def source_of(db: sqlite3.Connection, path: Path, digest: bytes) -> tuple[Source | None, Held | None]:
    """What a file was published as, at its path or where it lay then; and that version, if it is here."""
    known = source_at(db, path)
    if known is not None:
        return known, get(db, known.record)
    for twin in sources_with(db, digest):
        if not twin.path.exists() and (held := get(db, twin.record)) is not None:
            return twin, held
    return None, None


def replaced_by_next(db: sqlite3.Connection, item: Cid) -> tuple[Cid, ...]:
    """What the next version of an item replaces: all heads that are here, then the nearest behind them."""
    ordered = sorted(versions(db, item), key=lambda version: not version.head)
    return tuple(version.record.id for version in ordered)[:REPLACES]


def digest_of(path: Path, captured: Captured) -> bytes:
    """What must be the same for a file to be unchanged: fields, and content or (in place) size and time."""
    digest = blake2b(digest_size=_DIGEST_BYTES)
    fields = (
        captured.kind,
        captured.title,
        captured.media_type,
        captured.tags,
        captured.lang,
        captured.dated,
        captured.url,
    )
    digest.update(repr(fields).encode("utf-8"))
    if captured.data is not None:
        digest.update(captured.data)
    elif captured.path is not None:
        about = path.stat()
        digest.update(f"{about.st_size} {about.st_mtime_ns}".encode())
    return digest.digest()
