"""Fetching a payload: which blocks are wanted next, given those that came (SPEC, Payloads).

Sans-I/O: the owner asks `wanted` for the next block, or `ahead` for several that may come in any order, and
hands each to `receive`. Every block is checked against its CID, its length and its place before the walk goes
below it, so at most `size` bytes are ever asked for.
"""

from __future__ import annotations

from dataclasses import dataclass

from pkn_protocol.records.ids import Cid, is_raw_cid, is_record_cid, matches
from pkn_protocol.records.model import Payload
from pkn_protocol.records.payload import (
    MANIFEST_BYTES,
    BadManifest,
    decode_manifest,
    stored_size,
    tree_levels,
)


class BadBlock(ValueError):
    """A block that is not the one that was asked for: its sender is at fault."""

    code = "bad-block"


@dataclass(frozen=True, slots=True)
class WantedBlock:
    """`level` 0 is a chunk, above are manifests; `stored` bytes of the payload lie at or below it from
    `offset` on; the block itself has at most `most_bytes`."""

    cid: Cid
    level: int
    offset: int
    stored: int
    most_bytes: int


def check_block(wanted: WantedBlock, block: bytes) -> None:
    """Whether bytes are the block that was wanted.

    Raises:
        BadBlock: another digest. BadManifest: as `check_length`.
    """
    if not matches(wanted.cid, block):
        raise BadBlock("a block does not have the digest that its name says")
    check_length(wanted, len(block))


def check_length(wanted: WantedBlock, length: int) -> None:
    """Whether a block with the right digest has the length of its place.

    Raises:
        BadManifest: it has not. Whoever named it there is at fault, not who sent it.
    """
    if wanted.level == 0 and length != wanted.stored:
        raise BadManifest(f"a chunk of {length} bytes where the tree says {wanted.stored}")


def check_place(wanted: WantedBlock, block: bytes) -> None:
    """Whether a block with the right digest can stand in its place: a chunk's length, a manifest's shape.

    Raises:
        BadManifest: as `check_length`.
    """
    if wanted.level == 0:
        check_length(wanted, len(block))
    else:
        decode_manifest(block, stored=wanted.stored, level=wanted.level)


class PayloadWalk:
    """The blocks of one payload, manifests before what is below them, chunks in order.

    `first` and `last` (exclusive) bound the walk to what holds those bytes of the stored payload.
    """

    def __init__(self, payload: Payload, *, first: int = 0, last: int | None = None) -> None:
        stored = stored_size(payload.size, sealed=payload.key is not None)
        levels = tree_levels(stored)
        if not (is_raw_cid(payload.cid) if levels == 0 else is_record_cid(payload.cid)):
            raise BadManifest("the root is not of the kind that the size demands")
        self._first = first
        self._last = stored if last is None else last
        # What is to come, the next one last.
        self._stack = [_wanted(payload.cid, levels, 0, stored)]

    @property
    def wanted(self) -> WantedBlock | None:
        """The next block; None when all were received."""
        return self._stack[-1] if self._stack else None

    def ahead(self, most: int, *, begin: int = 0) -> list[WantedBlock]:
        """The next blocks in order, at most so many; from the one that holds the stored byte `begin` on, then
        those before it. No chunk is among them whose manifest has not come."""
        stack = self._stack
        start = len(stack)
        if begin:
            start = next((n for n in range(len(stack), 0, -1) if _end(stack[n - 1]) > begin), len(stack))
        found = stack[max(0, start - most) : start][::-1]
        if len(found) < most and start < len(stack):
            found += stack[max(start, len(stack) - (most - len(found))) :][::-1]
        return found

    def receive(self, block: bytes, wanted: WantedBlock | None = None) -> WantedBlock:
        """Take a block that was wanted (None: the next one), checked; returns what it was.

        Raises:
            BadBlock: it is not that block. BadManifest: it is, and its author's tree is invalid.
        """
        wanted = wanted or self._stack[-1]
        check_block(wanted, block)
        self._descend(block, wanted)
        return wanted

    def chunks_below(self, manifest: bytes, wanted: WantedBlock | None = None) -> None:
        """Take a manifest from the own disk, whose digest was checked when it was stored."""
        self._descend(manifest, wanted or self._stack[-1])

    def pass_over(self, wanted: WantedBlock | None = None) -> WantedBlock:
        """Leave out a chunk that is already held."""
        return self._stack.pop(self._place(wanted or self._stack[-1]))

    def _place(self, wanted: WantedBlock) -> int:
        for place in range(len(self._stack) - 1, -1, -1):
            if self._stack[place] == wanted:
                return place
        raise LookupError("this block is not wanted")

    def _descend(self, block: bytes, wanted: WantedBlock) -> None:
        place = self._place(wanted)
        if wanted.level == 0:
            del self._stack[place]
            return
        try:
            entries = decode_manifest(block, stored=wanted.stored, level=wanted.level)
        except BadManifest:
            self._stack.clear()
            raise
        offset = wanted.offset
        below = []
        for entry in entries:
            one = _wanted(entry.cid, wanted.level - 1, offset, entry.length)
            offset += entry.length
            if offset > self._first and one.offset < self._last:
                below.append(one)
        self._stack[place : place + 1] = reversed(below)


def _end(wanted: WantedBlock) -> int:
    return wanted.offset + wanted.stored


def _wanted(cid: Cid, level: int, offset: int, stored: int) -> WantedBlock:
    return WantedBlock(cid, level, offset, stored, stored if level == 0 else MANIFEST_BYTES)
