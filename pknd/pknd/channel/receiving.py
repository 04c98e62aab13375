"""A block while it comes: where its bytes go, and the digest of those that are there."""

from __future__ import annotations

from hashlib import sha256
from typing import Protocol

from pkn_protocol.records.ids import Cid, cid_digest


class Receiving(Protocol):
    """Used by one thread at a time; others may look at `length` and `had`."""

    @property
    def length(self) -> int:
        """Bytes that are there."""
        ...

    @property
    def had(self) -> int:
        """Bytes that were there before anything was taken."""
        ...

    def begin(self) -> None:
        """Called before anything else, in the thread that takes; raises OSError."""
        ...

    def take(self, piece: memoryview) -> None:
        """Append bytes; raises OSError where there is no room."""
        ...

    def clear(self) -> None:
        """Begin anew."""
        ...

    def is_block(self, cid: Cid) -> bool:
        """Whether what is there is the block of that name."""
        ...

    def end(self) -> None:
        """Called when the block has come in full and is verified, in the same thread."""
        ...


class InMemory:
    """For blocks that are worked on at once: manifests, short texts."""

    def __init__(self) -> None:
        self._data = bytearray()

    @property
    def length(self) -> int:
        return len(self._data)

    @property
    def had(self) -> int:
        return 0

    def begin(self) -> None:
        return

    def end(self) -> None:
        return

    @property
    def block(self) -> bytes:
        return bytes(self._data)

    def take(self, piece: memoryview) -> None:
        self._data += piece

    def clear(self) -> None:
        self._data.clear()

    def is_block(self, cid: Cid) -> bool:
        return sha256(self._data).digest() == cid_digest(cid)
