"""Fetching a payload: which blocks are wanted next, given those that came (SPEC, Payloads).

Sans-I/O: the owner asks `wanted`, fetches, hands each block to `receive`. Every block is checked against its
CID, its length and its place before the walk goes below it, so at most `size` bytes are ever asked for.
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
        BadBlock: another length or digest.
    """
    if wanted.level == 0 and len(block) != wanted.stored:
        raise BadBlock(f"{len(block)} bytes arrived for a chunk of {wanted.stored}")
    if not matches(wanted.cid, block):
        raise BadBlock("a block does not have the digest that its name says")


class PayloadWalk:
    """The blocks of one payload, manifests before what is below them, chunks in order."""

    def __init__(self, payload: Payload) -> None:
        stored = stored_size(payload.size, sealed=payload.key is not None)
        levels = tree_levels(stored)
        if not (is_raw_cid(payload.cid) if levels == 0 else is_record_cid(payload.cid)):
            raise BadManifest("the root is not of the kind that the size demands")
        self._stack = [_wanted(payload.cid, levels, 0, stored)]

    @property
    def wanted(self) -> WantedBlock | None:
        """The next block; None when all were received."""
        return self._stack[-1] if self._stack else None

    def receive(self, block: bytes) -> WantedBlock:
        """Take the block that was wanted, checked; returns what it was.

        Raises:
            BadBlock: it is not that block. BadManifest: it is, and its author's tree is invalid.
        """
        wanted = self._stack[-1]
        check_block(wanted, block)
        self._descend(block)
        return wanted

    def chunks_below(self, manifest: bytes) -> None:
        """Take a manifest from the own disk, whose digest was checked when it was stored."""
        self._descend(manifest)

    def pass_over(self) -> WantedBlock:
        """Leave out a chunk that is already held."""
        return self._stack.pop()

    def _descend(self, block: bytes) -> None:
        wanted = self._stack.pop()
        if wanted.level == 0:
            return
        try:
            entries = decode_manifest(block, stored=wanted.stored, level=wanted.level)
        except BadManifest:
            self._stack.clear()
            raise
        offset = wanted.offset
        below = []
        for entry in entries:
            below.append(_wanted(entry.cid, wanted.level - 1, offset, entry.length))
            offset += entry.length
        self._stack.extend(reversed(below))


def _wanted(cid: Cid, level: int, offset: int, stored: int) -> WantedBlock:
    return WantedBlock(cid, level, offset, stored, stored if level == 0 else MANIFEST_BYTES)
