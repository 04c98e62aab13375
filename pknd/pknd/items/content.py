"""Reading an item's content from the disk: chunk by chunk, opened where it is sealed."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

from pkn_protocol.records.ids import Cid
from pkn_protocol.records.model import Item, Payload
from pkn_protocol.records.payload import BadChunk, BadManifest, open_chunk
from pkn_protocol.records.walk import PayloadWalk, WantedBlock, check_length
from pkn_protocol.search.believed import is_text
from pknd.store.blocks import block_size, get_block
from pknd.store.files import BlockFiles
from pknd.store.originals import OriginalChanged
from pknd.store.records import Held

SHOWN_TEXT_BYTES = 2 * 1024 * 1024
"""Text beyond this is cut in `show`; `get` gives all of it."""


def missing_block(db: sqlite3.Connection, files: BlockFiles, payload: Payload) -> WantedBlock | None:
    """The first block of a payload that is not held; None if all are. Walks the manifests that are here.

    Raises:
        BadManifest: the tree is not that of the payload's size.
    """
    walk = PayloadWalk(payload)
    while (wanted := walk.wanted) is not None:
        if wanted.level == 0:
            if (size := block_size(db, wanted.cid)) is None or wanted.cid in files.spoiled:
                return wanted
            check_length(wanted, size)
            walk.pass_over()
            continue
        block = get_block(db, files, wanted.cid)
        if block is None:
            return wanted
        walk.chunks_below(block)
    return None


def chunks(db: sqlite3.Connection, payload: Payload, files: BlockFiles) -> list[Cid]:
    """The CIDs of a complete payload's chunks, in order."""
    walk = PayloadWalk(payload)
    found = []
    while (wanted := walk.wanted) is not None:
        if wanted.level == 0:
            found.append(walk.pass_over().cid)
            continue
        block = get_block(db, files, wanted.cid)
        if block is None:
            raise LookupError("a manifest of the payload is not here")
        walk.chunks_below(block)
    return found


def opened(payload: Payload, number: int, block: bytes) -> bytes:
    """The plaintext of a chunk; raises BadChunk where the key does not open it."""
    return block if payload.key is None else open_chunk(payload.key, number, block)


def read_chunk(db: sqlite3.Connection, files: BlockFiles, payload: Payload, number: int, cid: Cid) -> bytes:
    """The plaintext of one chunk.

    Raises:
        LookupError: it is not here. BadChunk: the key does not open it. OriginalChanged.
    """
    block = get_block(db, files, cid)
    if block is None:
        raise LookupError("a chunk of the payload is not here")
    return opened(payload, number, block)


def read_whole(db: sqlite3.Connection, files: BlockFiles, payload: Payload) -> bytes:
    """The plaintext of a payload that is not large.

    Raises:
        LookupError: it is not here. BadManifest, BadChunk, OriginalChanged.
    """
    return b"".join(
        read_chunk(db, files, payload, number, cid) for number, cid in enumerate(chunks(db, payload, files))
    )


def read_text(db: sqlite3.Connection, files: BlockFiles, held: Held, *, most: int) -> str | None:
    """The beginning of an item's text, at most `most` bytes; None where there is none or it is not here."""
    item = held.record.body
    if not isinstance(item, Item) or item.payload is None or not is_text(item.payload):
        return None
    try:
        data = b"".join(_upto(db, files, item.payload, most))
    except (LookupError, OriginalChanged, BadManifest, BadChunk):
        # What the author signed need not fit together: such an item has no text, and does no harm.
        return None
    return data[:most].decode("utf-8", errors="ignore" if len(data) > most else "replace")


def _upto(db: sqlite3.Connection, files: BlockFiles, payload: Payload, most: int) -> Iterator[bytes]:
    length = 0
    for number, cid in enumerate(chunks(db, payload, files)):
        part = read_chunk(db, files, payload, number, cid)
        length += len(part)
        yield part
        if length > most:
            return
