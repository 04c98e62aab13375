"""Payloads: one shape for a size, nothing unfolds beyond it, and sealed chunks open for their key alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pkn_protocol.records.cbor import Link, encode
from pkn_protocol.records.ids import Cid, dag_cbor_cid, raw_cid
from pkn_protocol.records.model import Payload
from pkn_protocol.records.payload import (
    BLOCK_BYTES,
    FAN_OUT,
    SEALED_CHUNK_BYTES,
    BadChunk,
    BadManifest,
    Entry,
    build_tree,
    chunk_count,
    cut,
    decode_manifest,
    open_chunk,
    seal_chunk,
    stored_size,
    tree_levels,
)
from pkn_protocol.records.walk import BadBlock, PayloadWalk


def tree(size: int) -> tuple[Payload, dict[Cid, bytes]]:
    """A payload of `size` bytes, with its blocks; equal chunks are one block."""
    whole, rest = divmod(size, BLOCK_BYTES)
    leaves = [bytes(BLOCK_BYTES)] * whole + ([bytes(rest)] if rest or not whole else [])
    entries = [Entry(raw_cid(leaf), len(leaf)) for leaf in leaves]
    root, manifests = build_tree(entries)
    return Payload("x/y", size, root), {
        **{e.cid: b for e, b in zip(entries, leaves, strict=True)},
        **dict(manifests),
    }


@pytest.mark.parametrize(
    ("size", "levels"),
    [
        (0, 0),
        (1, 0),
        (BLOCK_BYTES, 0),
        (BLOCK_BYTES + 1, 1),
        (FAN_OUT * BLOCK_BYTES, 1),
        (FAN_OUT * BLOCK_BYTES + 1, 2),
    ],
)
def test_the_tree_is_the_lowest_that_holds_the_size(size: int, levels: int) -> None:
    assert tree_levels(size) == levels


@pytest.mark.parametrize("size", [0, 1, BLOCK_BYTES, BLOCK_BYTES + 1, 5 * BLOCK_BYTES - 3])
def test_a_walk_asks_for_each_block_once_and_ends(size: int) -> None:
    payload, blocks = tree(size)
    walk = PayloadWalk(payload)
    data = b""
    while (wanted := walk.wanted) is not None:
        block = blocks[wanted.cid]
        got = walk.receive(block)
        if got.level == 0:
            assert got.offset == len(data)
            data += block
    assert len(data) == size


def test_a_walk_refuses_other_bytes_and_other_lengths() -> None:
    payload, _ = tree(10)
    for wrong in (bytes(9), bytes(11), b"\x01" * 10):
        with pytest.raises(BadBlock):
            PayloadWalk(payload).receive(wrong)


def manifest(entries: list[tuple[Cid, int]]) -> bytes:
    return encode({"v": 1, "entries": [[Link(cid), length] for cid, length in entries]})


def test_a_manifest_that_would_unfold_beyond_the_size_is_refused() -> None:
    leaf, deeper = raw_cid(b"x"), dag_cbor_cid(b"x")
    size = 2 * BLOCK_BYTES
    for entries in (
        [(leaf, BLOCK_BYTES)],
        [(leaf, BLOCK_BYTES)] * 3,
        [(leaf, BLOCK_BYTES), (leaf, 2**40)],
        [(leaf, 0)] * 1000 + [(leaf, size)],
        [(deeper, BLOCK_BYTES), (deeper, BLOCK_BYTES)],
    ):
        block = manifest(entries)
        walk = PayloadWalk(Payload("x/y", size, dag_cbor_cid(block)))
        with pytest.raises(BadManifest):
            walk.receive(block)
        assert walk.wanted is None


@given(st.binary(max_size=300), st.integers(1, 2**40), st.integers(1, 4))
def test_any_bytes_are_a_manifest_or_raise_the_typed_error(block: bytes, stored: int, level: int) -> None:
    try:
        decode_manifest(block, stored=stored, level=level)
    except BadManifest:
        return
    raise AssertionError("random bytes became a manifest")


@given(st.binary(max_size=200), st.binary(min_size=32, max_size=32), st.integers(0, 2**40))
def test_a_sealed_chunk_opens_with_its_key_and_number_alone(data: bytes, key: bytes, number: int) -> None:
    block = seal_chunk(key, number, data)
    assert open_chunk(key, number, block) == data
    with pytest.raises(BadChunk):
        open_chunk(key, number + 1, block)
    with pytest.raises(BadChunk):
        open_chunk(bytes(32) if key != bytes(32) else b"\x01" * 32, number, block)


@pytest.mark.parametrize("size", [0, 1, SEALED_CHUNK_BYTES, SEALED_CHUNK_BYTES + 1, 2 * SEALED_CHUNK_BYTES])
def test_sealed_chunks_fill_whole_blocks(size: int) -> None:
    leaves = cut(bytes(size), key=b"k" * 32)
    assert sum(map(len, leaves)) == stored_size(size, sealed=True)
    assert len(leaves) == chunk_count(stored_size(size, sealed=True))
    assert all(len(leaf) == BLOCK_BYTES for leaf in leaves[:-1])
