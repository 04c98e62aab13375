"""Canonical DAG-CBOR (IPLD), strict both ways: what decodes is the one encoding of its value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias, cast

import cbrrr

from pkn_protocol.records.ids import CID_BYTES, Cid

MOST_LEVELS = 16
"""Nesting of maps and lists; deeper structures are refused before they cost anything."""
LARGEST_INTEGER = 2**53
"""Integers stay exact in languages whose numbers are doubles."""


@dataclass(frozen=True, slots=True)
class Link:
    """A CID inside a block (CBOR tag 42)."""

    cid_bytes: bytes

    @property
    def cid(self) -> Cid:
        return Cid(self.cid_bytes)

    def __bytes__(self) -> bytes:
        return self.cid_bytes


Value: TypeAlias = "int | bool | str | bytes | Link | Sequence[Value] | Mapping[str, Value]"


class BadEncoding(ValueError):
    """Bytes that are not the canonical encoding of an admissible value."""

    code = "bad-encoding"


def encode(value: Value) -> bytes:
    """The canonical encoding.

    Raises:
        BadEncoding: a value outside the data model (floats, None, large integers, NUL in text).
    """
    _check(value, MOST_LEVELS)
    return encode_checked(value)


def encode_checked(value: Value) -> bytes:
    """The canonical encoding of a value that lies within the data model."""
    try:
        return bytes(cbrrr.encode_dag_cbor(cast("cbrrr.DagCborTypes", value), cid_type=Link))
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise BadEncoding(f"this value has no DAG-CBOR form: {error}") from error


def decode(block: bytes, *, most_bytes: int, most_levels: int = MOST_LEVELS) -> Value:
    """The value of a block.

    Raises:
        BadEncoding: too long, too deep, truncated, trailing bytes, not canonical, or a value outside the data
            model.
    """
    if len(block) > most_bytes:
        raise BadEncoding(f"{len(block)} bytes; at most {most_bytes} are allowed")
    try:
        value = cast("Value", cbrrr.decode_dag_cbor(block, cid_ctor=_link))
    except (ValueError, TypeError, OverflowError, RecursionError, MemoryError, EOFError) as error:
        raise BadEncoding(f"not canonical DAG-CBOR: {error}") from error
    _check(value, most_levels)
    return value


def _link(value: bytes) -> Link:
    if len(value) != CID_BYTES:
        raise ValueError("a link that is no CIDv1 with sha2-256")
    return Link(value)


def _check(value: object, levels: int) -> None:
    # Exact types: bool is an int, and a subclass could encode as anything.
    kind = type(value)
    if kind is str:
        if "\0" in value:  # type: ignore[operator]
            raise BadEncoding("text with a NUL character")
    elif kind is int:
        if not -LARGEST_INTEGER <= value <= LARGEST_INTEGER:  # type: ignore[operator]
            raise BadEncoding("an integer beyond 2^53")
    elif kind is dict:
        if levels <= 0:
            raise BadEncoding("nested too deep")
        for key, part in value.items():  # type: ignore[attr-defined]
            if type(key) is not str or "\0" in key:
                raise BadEncoding("a map key that is no text")
            _check(part, levels - 1)
    elif kind is list or kind is tuple:
        if levels <= 0:
            raise BadEncoding("nested too deep")
        for part in value:  # type: ignore[attr-defined]
            _check(part, levels - 1)
    elif kind is not bytes and kind is not Link and kind is not bool:
        raise BadEncoding(f"a value of a kind that records do not have ({kind.__name__})")
