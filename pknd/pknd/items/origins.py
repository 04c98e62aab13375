"""What an own file was published as, and whether it is still the same."""

from __future__ import annotations

import sqlite3
from hashlib import blake2b
from pathlib import Path

from pkn_protocol.records.ids import Cid, cid_text
from pkn_protocol.records.limits import REPLACES
from pkn_protocol.records.model import Item, Record
from pknd.capture.captured import Captured
from pknd.capture.files import shown
from pknd.store.blocks import is_complete
from pknd.store.records import Held, get, versions
from pknd.store.sources import Source, paths_of, source_at, sources_with

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


def note_on_edit(db: sqlite3.Connection, item: Cid, given: str | None) -> tuple[str, ...]:
    """What to say when an item is edited other than by its own file; `given` is the file it is edited by."""
    # A file that was renamed has left its earlier names.
    path = next((one for one in paths_of(db, {item})[item] if one.exists()), None)
    if path is None or (given is not None and Path(given) == path):
        return ()
    return (f"it came from {shown(path)}: once that is changed, importing it puts its text in place of this",)


def note_on_import(source: Source, newest: Record) -> str | None:
    """What to say when a file's next version follows one that was written beside it."""
    if newest.id == source.record:
        return None
    return (
        "it takes the place of a version that was made with pkn edit: "
        f"pkn history {cid_text(source.item)} shows that"
    )


def is_here(db: sqlite3.Connection, held: Held) -> bool:
    """Whether a version has not let go of its content since."""
    item = held.record.body
    return not isinstance(item, Item) or item.payload is None or is_complete(db, held.rowid)


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
