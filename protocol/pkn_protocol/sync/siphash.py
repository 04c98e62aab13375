"""SipHash-2-4 of many 8-byte items under one key, in numpy.

Aumasson and Bernstein, "SipHash: a fast short-input PRF" (INDOCRYPT 2012). Whoever does not know the key can
neither foresee nor steer the values.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Words: TypeAlias = NDArray[np.uint64]
KEY_BYTES = 16
ITEM_BYTES = 8
_AT_ONCE = 8192
"""Items worked on together, so that the state stays in the processor's cache."""
_COMPRESSIONS, _FINALISATIONS = 2, 4
_INITIAL = (0x736F6D6570736575, 0x646F72616E646F6D, 0x6C7967656E657261, 0x7465646279746573)
_LENGTH = np.uint64(ITEM_BYTES << 56)


def siphash(key: bytes, items: Words) -> Words:
    """The value of each item; item and value are the little-endian numbers of their 8 bytes.

    Raises:
        ValueError: the key has not 16 bytes.
    """
    if len(key) != KEY_BYTES:
        raise ValueError(f"a key of {len(key)} bytes")
    halves = np.frombuffer(key, "<u8").astype(np.uint64)
    start = tuple(np.uint64(word) ^ halves[n % 2] for n, word in enumerate(_INITIAL))
    values = np.empty(len(items), np.uint64)
    for at in range(0, len(items), _AT_ONCE):
        values[at : at + _AT_ONCE] = _hash(start, items[at : at + _AT_ONCE])
    return values


def _hash(start: tuple[np.uint64, ...], items: Words) -> Words:
    state = [np.full(len(items), word, np.uint64) for word in start]
    for word in (items, _LENGTH):
        state[3] ^= word
        _rounds(state, _COMPRESSIONS)
        state[0] ^= word
    state[2] ^= np.uint64(0xFF)
    _rounds(state, _FINALISATIONS)
    value: Words = state[0] ^ state[1] ^ state[2] ^ state[3]
    return value


def _rounds(state: list[Words], times: int) -> None:
    v0, v1, v2, v3 = state
    for _ in range(times):
        v0 += v1
        v2 += v3
        v1 = _rotated(v1, 13) ^ v0
        v3 = _rotated(v3, 16) ^ v2
        v0 = _rotated(v0, 32)
        v2 += v1
        v0 += v3
        v1 = _rotated(v1, 17) ^ v2
        v3 = _rotated(v3, 21) ^ v0
        v2 = _rotated(v2, 32)
    state[:] = v0, v1, v2, v3


def _rotated(words: Words, bits: int) -> Words:
    return (words << np.uint64(bits)) | (words >> np.uint64(64 - bits))
