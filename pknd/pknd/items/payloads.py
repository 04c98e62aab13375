"""From bytes or a file to the blocks of a payload, sealed where the audience is not public."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pkn_protocol.records.ids import Cid, raw_cid
from pkn_protocol.records.model import Payload
from pkn_protocol.records.payload import (
    BLOCK_BYTES,
    SEALED_CHUNK_BYTES,
    Entry,
    build_tree,
    cut,
    seal_chunk,
)
from pknd.capture.captured import Captured, CaptureError
from pknd.capture.files import shown

PAYLOAD_KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class FileReference:
    """An own file that stays where it lies: what must be unchanged for its chunks to be served."""

    path: Path
    size: int
    mtime_ns: int
    key: bytes | None
    chunks: tuple[Cid, ...]


@dataclass(frozen=True, slots=True)
class PlannedPayload:
    """A payload and what has to be stored for it: blocks, and a reference where the file stays."""

    payload: Payload
    blocks: tuple[tuple[Cid, bytes], ...]
    reference: FileReference | None = None


def plan_payload(
    captured: Captured, *, sealed: bool, random_bytes: Callable[[int], bytes]
) -> PlannedPayload | None:
    """The payload of a captured item; None where it has none. Reads and hashes, so for a thread.

    Raises:
        CaptureError: the file cannot be read, or changed while it was read.
    """
    key = random_bytes(PAYLOAD_KEY_BYTES) if sealed else None
    if captured.path is not None:
        return _plan_file(captured.path, captured.media_type, key)
    if captured.data is None:
        return None
    leaves = cut(captured.data, key=key)
    entries = [Entry(raw_cid(leaf), len(leaf)) for leaf in leaves]
    root, manifests = build_tree(entries)
    payload = Payload(captured.media_type, len(captured.data), root, key)
    return PlannedPayload(
        payload, (*((e.cid, leaf) for e, leaf in zip(entries, leaves, strict=True)), *manifests)
    )


def _plan_file(path: Path, media_type: str, key: bytes | None) -> PlannedPayload:
    try:
        with path.open("rb") as file:
            before = os.fstat(file.fileno())
            entries = [Entry(raw_cid(leaf), len(leaf)) for leaf in _leaves(file.read, key)]
            after = os.fstat(file.fileno())
            length = file.tell()
    except OSError as error:
        raise CaptureError("unreadable", f"{shown(path)} cannot be read: {error.strerror}") from error
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns) or length != after.st_size:
        raise CaptureError(
            "changed", f"{shown(path)} changed while it was read", "publish it again when it is at rest"
        )
    root, manifests = build_tree(entries)
    reference = FileReference(path, length, after.st_mtime_ns, key, tuple(entry.cid for entry in entries))
    return PlannedPayload(Payload(media_type, length, root, key), tuple(manifests), reference)


def _leaves(read: Callable[[int], bytes], key: bytes | None) -> Iterator[bytes]:
    step = BLOCK_BYTES if key is None else SEALED_CHUNK_BYTES
    number = 0
    while part := read(step):
        yield part if key is None else seal_chunk(key, number, part)
        number += 1
