"""Rows: what a comparison compares first, their root kept in constant time a record (SPEC, Sync).

A row is a period of one author in one scope, with the count and the digest of its sum. The root of a
connection is the sum modulo 2^2048 of SHAKE-256 over its rows: like the sums of periods it changes by one
subtraction and one addition when a row changes, and does not depend on the order.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import blake2b, shake_256
from typing import TypeAlias

import numpy as np

from pkn_protocol.sync.siphash import ITEM_BYTES, KEY_BYTES, Words
from pkn_protocol.sync.sums import SUM_BYTES

Key: TypeAlias = tuple[bytes, bytes, int]
"""Scope, author's hash, period."""
RowSum: TypeAlias = tuple[int, bytes]
"""Count, and SHA-256 of the sum."""
SumTable: TypeAlias = Mapping[Key, RowSum]
"""Rows without records are absent."""
MOST_COMPARED_ROWS = 1_000_000
"""8 MB as a list of items."""
ROOT_BYTES = 16
"""Enough because it is keyed: nobody can search for a collision beforehand."""
NAME_BYTES = 4
"""Of a row's item, to name a row that the other side holds: among 100,000 rows another has the same once in
40,000 times, and then its ids go over the wire in vain."""
_MODULUS = 1 << (8 * SUM_BYTES)
_KEY_PERSON = b"pkn compare key1"
_ROOT_PERSON = b"pkn compare root"
_ROW_PERSON = b"pkn compare row1"


def comparison_key(session: bytes, number: int) -> bytes:
    """The key of one comparison on a connection, whose transcript holds the nonces of both sides."""
    return blake2b(number.to_bytes(8, "big"), key=session, digest_size=KEY_BYTES, person=_KEY_PERSON).digest()


def row_bytes(key: Key, row: RowSum) -> bytes:
    (scope, author, period), (count, digest) = key, row
    return (
        bytes((len(scope),)) + scope + author + period.to_bytes(8, "big") + count.to_bytes(8, "big") + digest
    )


def row_items(key: bytes, rows: SumTable) -> Words:
    """The 8-byte items of rows, in the order of the table."""
    hashed = b"".join(
        blake2b(row_bytes(row, total), key=key, digest_size=ITEM_BYTES, person=_ROW_PERSON).digest()
        for row, total in rows.items()
    )
    return np.frombuffer(hashed, "<u8").astype(np.uint64)


class ConnectionRoot:
    """The root over the rows that a connection compares, at one instant (ms).

    Its owner tells every change: of a record, of a floor, of a want, and of the instant. When the instant
    moves on, the rows that change are those with a record whose time or expiry lies after the one instant and
    not after the other; `moved` takes what they were and what they are. A comparison that names another
    instant than the kept one is answered from `with_changes`, which leaves the kept one as it is.
    """

    __slots__ = ("_rows", "_value", "at")

    def __init__(self, at: int, rows: int = 0, value: int = 0) -> None:
        self.at = at
        self._rows = rows
        self._value = value

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return self._rows

    def replace_row(self, key: Key, old: RowSum | None, new: RowSum | None) -> None:
        """Constant time. `None` or a count of 0: the row is absent, before or from now on."""
        if old is not None and old[0]:
            self._rows -= 1
            self._value = (self._value - _term(key, old)) % _MODULUS
        if new is not None and new[0]:
            self._rows += 1
            self._value = (self._value + _term(key, new)) % _MODULUS

    def with_changes(
        self, at: int, changes: Iterable[tuple[Key, RowSum | None, RowSum | None]]
    ) -> ConnectionRoot:
        """Another root, at another instant: of rows that differ there, each as it is here and there."""
        other = ConnectionRoot(at, self._rows, self._value)
        for key, old, new in changes:
            other.replace_row(key, old, new)
        return other

    def moved(self, at: int, changes: Iterable[tuple[Key, RowSum | None, RowSum | None]]) -> None:
        """The instant is another one: of rows that differ, each as it was and as it is."""
        for key, old, new in changes:
            self.replace_row(key, old, new)
        self.at = at

    def digest(self, key: bytes) -> bytes:
        """What goes over the wire, under the key of a comparison."""
        whole = self._rows.to_bytes(8, "big") + self._value.to_bytes(SUM_BYTES, "big")
        return blake2b(whole, key=key, digest_size=ROOT_BYTES, person=_ROOT_PERSON).digest()


def root_of(rows: SumTable, at: int) -> ConnectionRoot:
    """The root of all rows, from the start."""
    value = sum(_term(key, row) for key, row in rows.items() if row[0])
    return ConnectionRoot(at, sum(1 for row in rows.values() if row[0]), value % _MODULUS)


def _term(key: Key, row: RowSum) -> int:
    return int.from_bytes(shake_256(row_bytes(key, row)).digest(SUM_BYTES), "big")
