"""Names of things: CIDs of blocks and records, keys of authors and devices, and their text forms.

Bytes inside, text at the edges. CIDs are CIDv1 with sha2-256 (multiformats CID specification); authors are
shown as did:key (W3C CCG did:key, Ed25519 multicodec 0xed01, base58btc).
"""

from __future__ import annotations

from base64 import b32encode
from functools import lru_cache
from hashlib import sha256
from typing import NewType

import base58

Cid = NewType("Cid", bytes)
"""36 bytes: version, codec, hash function, length, digest."""
AuthorId = NewType("AuthorId", bytes)
"""32 bytes: the Ed25519 public key of a person."""
DeviceId = NewType("DeviceId", bytes)
"""32 bytes: the Ed25519 public key of a machine."""

ShortId = NewType("ShortId", bytes)
"""8 bytes: the first of a record id's digest. Names a record of a known author."""

CID_BYTES = 36
SHORT_BYTES = 8
KEY_BYTES = 32
_DAG_CBOR_PREFIX = b"\x01\x71\x12\x20"
_RAW_PREFIX = b"\x01\x55\x12\x20"
_CID_TEXT_CHARS = 59
_BASE32 = "abcdefghijklmnopqrstuvwxyz234567"
_DIGITS = str.maketrans(_BASE32, "0123456789abcdefghijklmnopqrstuv")
_PADDING_BITS = 2
"""58 characters of 5 bits hold 36 bytes and these, which are zero (RFC 4648, section 3.5)."""
_DID_PREFIX = "did:key:z"
_ED25519_MULTICODEC = b"\xed\x01"
# 34 bytes never need more than 48 characters of base58; a longer text is no key and is not even decoded.
_DID_MOST_CHARS = len(_DID_PREFIX) + 48


class BadId(ValueError):
    """A text or bytes that name nothing: not a CID or did:key of the kinds used here."""

    code = "bad-id"


def dag_cbor_cid(block: bytes) -> Cid:
    """The CID of a DAG-CBOR block: a record or a manifest."""
    return Cid(_DAG_CBOR_PREFIX + sha256(block).digest())


def raw_cid(block: bytes) -> Cid:
    """The CID of a raw block: a leaf of a payload."""
    return Cid(_RAW_PREFIX + sha256(block).digest())


def is_record_cid(value: bytes) -> bool:
    return len(value) == CID_BYTES and value.startswith(_DAG_CBOR_PREFIX)


def is_raw_cid(value: bytes) -> bool:
    return len(value) == CID_BYTES and value.startswith(_RAW_PREFIX)


def record_cid(digest: bytes) -> Cid:
    """The id of a record by its digest of 32 bytes."""
    return Cid(_DAG_CBOR_PREFIX + digest)


def short_id(cid: Cid) -> ShortId:
    return ShortId(cid[4 : 4 + SHORT_BYTES])


def short_id_range(short: ShortId) -> tuple[bytes, bytes]:
    """The least bytes that a record's id with this short id may be, and the greatest."""
    rest = 32 - SHORT_BYTES
    return _DAG_CBOR_PREFIX + short + bytes(rest), _DAG_CBOR_PREFIX + short + b"\xff" * rest


def cid_digest(cid: Cid) -> bytes:
    """The 32 bytes of sha2-256 in a CID."""
    return cid[4:]


def record_cid_of_digest(digest: bytes) -> Cid:
    return Cid(_DAG_CBOR_PREFIX + digest)


def matches(cid: Cid, block: bytes) -> bool:
    """Whether a block is the one that its CID names."""
    return cid[4:] == sha256(block).digest()


@lru_cache(maxsize=4096)
def cid_text(cid: Cid) -> str:
    """The text form: base32, lower case, without padding, multibase prefix `b` (59 characters)."""
    # A block's name is needed a dozen times while it is fetched, and the library's encoder is slow.
    return "b" + b32encode(cid).decode("ascii").lower().rstrip("=")


def parse_cid(text: str) -> Cid:
    """The CID of a text form.

    Raises:
        BadId: not base32 of a CIDv1 with codec dag-cbor or raw and sha2-256, or not in its one spelling.
    """
    if len(text) != _CID_TEXT_CHARS or not text.startswith("b"):
        raise BadId("a CID has 59 characters and begins with b")
    letters = text[1:]
    if letters.strip(_BASE32):
        raise BadId("a CID is written in base32, letters a to z and digits 2 to 7")
    number, padding = divmod(int(letters.translate(_DIGITS), 32), 1 << _PADDING_BITS)
    value = number.to_bytes(CID_BYTES, "big")
    if padding or not (is_record_cid(value) or is_raw_cid(value)):
        raise BadId("not a CIDv1 of a dag-cbor or raw block with sha2-256")
    return Cid(value)


def did_key(key: bytes) -> str:
    """The did:key of an Ed25519 public key of 32 bytes."""
    return _DID_PREFIX + base58.b58encode(_ED25519_MULTICODEC + key).decode("ascii")


def parse_did_key(text: str) -> AuthorId:
    """The public key of a did:key.

    Raises:
        BadId: another DID method, another kind of key, or not base58btc.
    """
    if not text.startswith(_DID_PREFIX) or len(text) > _DID_MOST_CHARS:
        raise BadId("a person's id begins with did:key:z6Mk")
    try:
        value = base58.b58decode(text[len(_DID_PREFIX) :])
    except ValueError as error:
        raise BadId("a did:key is written in base58") from error
    if len(value) != 2 + KEY_BYTES or not value.startswith(_ED25519_MULTICODEC) or did_key(value[2:]) != text:
        raise BadId("the did:key is not an Ed25519 key")
    return AuthorId(value[2:])
