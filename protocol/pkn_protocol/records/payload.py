"""Payloads: raw blocks, manifests over them, chunks encrypted for circles (SPEC, Payloads).

Up to 1 MiB a payload is one raw block. Above, it is cut into chunks of 1 MiB (the last one shorter) under
the lowest tree of manifests with a fan-out of 1,024 that holds it. A size has one shape; no other is valid.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import nacl.bindings
import nacl.exceptions

from pkn_protocol.records.cbor import BadEncoding, Link, decode, encode
from pkn_protocol.records.fields import BadField, Fields, checked_integer, checked_link, checked_list
from pkn_protocol.records.ids import Cid, dag_cbor_cid, is_raw_cid, is_record_cid

BLOCK_BYTES = 1024 * 1024
"""A chunk: large enough that headers do not matter, small enough to verify before it is kept."""
FAN_OUT = 1024
MANIFEST_BYTES = 64 * 1024
"""1,024 entries of a link (41 bytes) and a length (at most 9), and the envelope."""
SEAL_BYTES = 16
SEALED_CHUNK_BYTES = BLOCK_BYTES - SEAL_BYTES
"""Plaintext in a sealed chunk: with its authentication tag it fills a block."""
_CHUNK_DOMAIN = b"pkn payload chunk v1"
_NONCE_BYTES = 24


class BadManifest(ValueError):
    """A manifest that is not the one its size demands."""

    code = "bad-manifest"


class BadChunk(ValueError):
    """A sealed chunk that its key does not open."""

    code = "bad-chunk"


@dataclass(frozen=True, slots=True)
class Entry:
    """A block below a manifest: `length` counts the payload's (ciphertext) bytes under it."""

    cid: Cid
    length: int


def stored_size(size: int, *, sealed: bool) -> int:
    """The bytes that are cut into blocks: the plaintext, or the ciphertext with 16 bytes more a chunk."""
    if not sealed:
        return size
    return size + SEAL_BYTES * max(1, -(-size // SEALED_CHUNK_BYTES))


def chunk_count(stored: int) -> int:
    """How many leaves `stored` bytes are cut into; an empty payload has one, empty."""
    return max(1, -(-stored // BLOCK_BYTES))


def tree_levels(stored: int) -> int:
    """Levels of manifests above the leaves; 0 is a single raw block."""
    levels, count = 0, chunk_count(stored)
    while count > 1:
        levels, count = levels + 1, -(-count // FAN_OUT)
    return levels


def build_tree(leaves: Sequence[Entry]) -> tuple[Cid, list[tuple[Cid, bytes]]]:
    """The root over the leaves in order, and the manifests as (cid, block), lowest level first."""
    manifests: list[tuple[Cid, bytes]] = []
    level = list(leaves)
    while len(level) > 1:
        above: list[Entry] = []
        for start in range(0, len(level), FAN_OUT):
            part = level[start : start + FAN_OUT]
            block = encode({"entries": [[Link(entry.cid), entry.length] for entry in part], "v": 1})
            cid = dag_cbor_cid(block)
            manifests.append((cid, block))
            above.append(Entry(cid, sum(entry.length for entry in part)))
        level = above
    return level[0].cid, manifests


def decode_manifest(block: bytes, *, stored: int, level: int) -> tuple[Entry, ...]:
    """The entries of a manifest `level` levels above the leaves (1 or more) with `stored` bytes below it.

    Raises:
        BadManifest: any other shape than the one that these figures demand, so nothing can unfold further.
    """
    try:
        fields = Fields(decode(block, most_bytes=MANIFEST_BYTES))
        fields.integer("v", 1, 1)
        pairs = checked_list(fields.take("entries"), "entries", 1, FAN_OUT)
        entries = []
        for pair in pairs:
            cid, length = checked_list(pair, "entries", 2, 2)
            entries.append(Entry(checked_link(cid, "entries"), checked_integer(length, "entries", 0, stored)))
    except (BadEncoding, BadField) as error:
        raise BadManifest(f"not a manifest: {error}") from error
    if fields.rest:
        raise BadManifest("a field that is not known")
    span = BLOCK_BYTES * FAN_OUT ** (level - 1)
    expected = [span] * (stored // span) + ([stored % span] if stored % span else [])
    if [entry.length for entry in entries] != expected:
        raise BadManifest("its lengths are not those of the tree for this size")
    if not all(is_raw_cid(e.cid) if level == 1 else is_record_cid(e.cid) for e in entries):
        raise BadManifest("an entry of the wrong kind for its level")
    return tuple(entries)


def seal_chunk(key: bytes, number: int, plaintext: bytes) -> bytes:
    """Encrypt chunk `number` of a payload under the payload's own key.

    A key serves one payload, so the chunk's number is a nonce that is never used twice, and the same chunk
    of an original file always gives the same block.
    """
    nonce = number.to_bytes(_NONCE_BYTES, "little")
    return bytes(
        nacl.bindings.crypto_aead_xchacha20poly1305_ietf_encrypt(plaintext, _CHUNK_DOMAIN, nonce, key)
    )


def open_chunk(key: bytes, number: int, block: bytes) -> bytes:
    """Decrypt chunk `number`.

    Raises:
        BadChunk: the block was not sealed with this key and number.
    """
    nonce = number.to_bytes(_NONCE_BYTES, "little")
    try:
        return bytes(
            nacl.bindings.crypto_aead_xchacha20poly1305_ietf_decrypt(block, _CHUNK_DOMAIN, nonce, key)
        )
    except (nacl.exceptions.CryptoError, ValueError, TypeError) as error:
        raise BadChunk("a chunk does not open with its payload's key") from error


def cut(data: bytes, *, key: bytes | None) -> list[bytes]:
    """The leaves of a payload that is held in memory, sealed where there is a key."""
    step = BLOCK_BYTES if key is None else SEALED_CHUNK_BYTES
    parts = [data[at : at + step] for at in range(0, len(data), step)] or [b""]
    if key is None:
        return parts
    return [seal_chunk(key, number, part) for number, part in enumerate(parts)]
