"""Blocks to records and back: decoding, the rules that join fields, signing and verifying (SPEC, Records)."""

from __future__ import annotations

from collections.abc import Sequence

from pkn_protocol.records import limits
from pkn_protocol.records.bodies import KEY_BYTES, read_body, write_body
from pkn_protocol.records.cbor import BadEncoding, Link, Value, decode, encode, encode_checked
from pkn_protocol.records.fields import BadField, BadSignature, Fields, RecordError, TooNew
from pkn_protocol.records.ids import AuthorId, Cid, DeviceId, dag_cbor_cid
from pkn_protocol.records.model import (
    ABOUT_KINDS,
    ITEM_KINDS,
    PUBLIC_KINDS,
    VERSION,
    Body,
    Device,
    DeviceRetraction,
    Item,
    Record,
    Retraction,
    Setting,
)
from pkn_protocol.records.signing import SIGNATURE_BYTES, Signed, SigningKey, verify

SIGNATURE_DOMAIN = b"pkn record v1\n"
_COUNTERSIGNATURE_DOMAIN = b"pkn device v1\n"
_TIME_BYTES = 8
_SIGNATURE_FIELD = b"\x63sig\x58\x40"
"""The name of the field and the head of its 64 bytes (RFC 8949, section 3)."""
_LARGEST_SMALL_MAP = 0xB7
"""The head of a map of 23 fields: up to here it is one byte, which counts them."""


def decode_record(block: bytes) -> Record:
    """The record in a signed block; its signature is not checked here (see `verify_record`).

    Raises:
        BadEncoding: not canonical DAG-CBOR, or too long or deep.
        TooNew: a later format version.
        BadField: a field is missing, wrong, or in contradiction to another.
    """
    return _record_of(decode(block, most_bytes=limits.RECORD_BYTES), block)


def _record_of(value: Value, block: bytes) -> Record:
    fields = Fields(value)
    version = fields.integer("v", 1, 2**31)
    if version > VERSION:
        raise TooNew(f"format version {version}; this program reads up to {VERSION}")
    kind = fields.text("kind", limits.KIND_BYTES)
    record = Record(
        id=dag_cbor_cid(block),
        block=block,
        author=AuthorId(fields.bytes("author", KEY_BYTES)),
        by=DeviceId(fields.bytes("by", KEY_BYTES)),
        time=fields.integer("time", 0, limits.TIME_MOST),
        kind=kind,
        signature=fields.bytes("sig", SIGNATURE_BYTES),
        audience=fields.optional_text("audience", limits.AUDIENCE_BYTES),
        expires=fields.optional_integer("expires", 0, limits.TIME_MOST),
        dated=fields.optional_integer("dated", -limits.TIME_MOST, limits.TIME_MOST),
        item=fields.optional_record("item"),
        replaces=fields.records("replaces", limits.REPLACES),
        body=read_body(kind, fields),
        understood=not any(name.startswith("!") for name in fields.rest),
        extra=fields.rest,
    )
    _check_rules(record)
    return record


def verify_record(record: Record) -> None:
    """Check the signature, and for a `device` record the countersignature too; costly, so for a thread.

    Raises:
        BadSignature: one of them is not valid under the strict rules.
    """
    check_signatures(record, [verify(*signed) for signed in signatures_of(record)])


def signatures_of(record: Record) -> list[Signed]:
    """What has to be verified of a record: its signature, then the countersignature of a device."""
    found = [Signed(record.by, SIGNATURE_DOMAIN + _unsigned(record), record.signature)]
    if isinstance(record.body, Device):
        message = _countersigned(record.author, record.body.device, record.time)
        found.append(Signed(record.body.device, message, record.body.countersignature))
    return found


def check_signatures(record: Record, valid: Sequence[bool]) -> None:
    """Judge by which of `signatures_of` a record were found to be valid.

    Raises:
        BadSignature: one of them was not.
    """
    if not valid[0]:
        raise BadSignature("the signature does not belong to this record and the key in `by`")
    if not all(valid):
        raise BadSignature("the device has not countersigned")


def sign_record(
    *,
    author: AuthorId,
    key: SigningKey,
    time: int,
    kind: str,
    body: Body,
    audience: str | None = None,
    expires: int | None = None,
    dated: int | None = None,
    item: Cid | None = None,
    replaces: tuple[Cid, ...] = (),
    extra: dict[str, Value] | None = None,
) -> Record:
    """Build, sign and check a record; what a peer would refuse is refused here.

    Raises:
        RecordError, BadEncoding: the fields do not make a valid record.
    """
    fields: dict[str, Value] = {
        **(extra or {}),
        **write_body(body),
        "v": VERSION,
        "author": author,
        "by": key.public,
        "time": time,
        "kind": kind,
    }
    if audience is not None:
        fields["audience"] = audience
    if expires is not None:
        fields["expires"] = expires
    if dated is not None:
        fields["dated"] = dated
    if item is not None:
        fields["item"] = Link(item)
    if replaces:
        fields["replaces"] = [Link(cid) for cid in replaces]
    fields["sig"] = key.sign(SIGNATURE_DOMAIN + encode(fields))
    block = encode_checked(fields)
    if len(block) > limits.RECORD_BYTES:
        raise BadEncoding(f"{len(block)} bytes; at most {limits.RECORD_BYTES} are allowed")
    return _record_of(fields, block)


def countersign_device(author: AuthorId, device_key: SigningKey, time: int) -> bytes:
    """The device's half of its `device` record."""
    return device_key.sign(_countersigned(author, DeviceId(device_key.public), time))


def _countersigned(author: AuthorId, device: DeviceId, time: int) -> bytes:
    return _COUNTERSIGNATURE_DOMAIN + author + device + time.to_bytes(_TIME_BYTES, "big")


def _unsigned(record: Record) -> bytes:
    """The canonical encoding of a record without its signature."""
    block = record.block
    if block[0] <= _LARGEST_SMALL_MAP:
        # The order of the other fields is the same without this one, and where these bytes occur once, they
        # are the field: cutting them out is much quicker than to decode and to encode again.
        field = _SIGNATURE_FIELD + record.signature
        at = block.find(field)
        if at > 0 and block.find(field, at + 1) < 0:
            return bytes((block[0] - 1,)) + block[1:at] + block[at + len(field) :]
    value = decode(block, most_bytes=limits.RECORD_BYTES)
    if not isinstance(value, dict) or "sig" not in value:
        raise BadField("sig: is missing")
    del value["sig"]
    return encode_checked(value)


def _check_rules(record: Record) -> None:
    body = record.body
    if record.kind in ABOUT_KINDS and record.item is None:
        raise BadField(f"item: a {record.kind} names the item that it is about")
    if record.kind in ITEM_KINDS and (record.item is None) != (not record.replaces):
        raise BadField("item and replaces: a first version has neither, a later one both")
    if isinstance(body, Retraction) and record.item is None:
        raise BadField("item: a retraction names what it retracts")
    if isinstance(body, Retraction | DeviceRetraction) and record.expires is not None:
        raise BadField("expires: a retraction does not expire")
    by_author_key = bytes(record.by) == bytes(record.author)
    if isinstance(body, Device | DeviceRetraction):
        if not by_author_key:
            raise BadField("by: only the author key signs for devices")
        if bytes(body.device) == bytes(record.author):
            raise BadField("device: an author key is not a device key")
    elif by_author_key:
        raise BadField("by: the author key signs for devices alone")
    if record.kind in PUBLIC_KINDS and record.audience is not None:
        raise BadField(f"audience: a {record.kind} has none")
    if isinstance(body, Setting) and record.audience is None:
        raise BadField("audience: a setting is for one's own devices")
    payload = body.payload if isinstance(body, Item) else None
    if payload is not None and (payload.key is None) != (record.audience is None):
        raise BadField("payload.key: sealed items have one, public ones have none")
    if record.audience is not None and len(record.block) > limits.INNER_BYTES:
        raise BadField(f"{len(record.block)} bytes; a record to be sealed has at most {limits.INNER_BYTES}")


__all__ = [
    "SIGNATURE_DOMAIN",
    "BadEncoding",
    "BadSignature",
    "RecordError",
    "TooNew",
    "check_signatures",
    "countersign_device",
    "decode_record",
    "sign_record",
    "signatures_of",
    "verify_record",
]
