"""Sets of short ids, and what stands in for them where they collide (SPEC, Reconciliation).

Two ids of one author can be made to share a short id, with some 2^32 tries. Only rows of that author are
affected then, and whole digests are sent of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

import numpy as np

from pkn_protocol.records.ids import Cid, ShortId, cid_digest, short_id
from pkn_protocol.sync.siphash import Words

DIGEST_BYTES = 32
PRINT_BYTES = 16


def shorts_of(ids: Sequence[Cid]) -> Words:
    """The short ids as the little-endian numbers of their bytes."""
    return np.frombuffer(b"".join(map(short_id, ids)), "<u8").astype(np.uint64)


def short_ids(words: Words) -> tuple[ShortId, ...]:
    return tuple(ShortId(data) for data in cut(words.astype("<u8").tobytes(), 8))


def are_distinct(words: Words) -> bool:
    return len(set(words.tolist())) == len(words)


def print_of(ids: Sequence[Cid]) -> bytes:
    """What tells whether two sides hold the same ids, where short ids could not."""
    return sha256(b"".join(sorted(map(cid_digest, ids)))).digest()[:PRINT_BYTES]


def cut(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]
