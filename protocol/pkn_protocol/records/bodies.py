"""The fields of each kind, both ways (SPEC, Records, Kinds): one reader and one writer a kind."""

from __future__ import annotations

from collections.abc import Callable

from pkn_protocol.records import limits
from pkn_protocol.records.cbor import Link, Value
from pkn_protocol.records.fields import BadField, Fields, checked_link, checked_text
from pkn_protocol.records.ids import AuthorId, DeviceId, is_raw_cid, is_record_cid
from pkn_protocol.records.model import (
    ITEM_KINDS,
    Body,
    Comment,
    Device,
    DeviceRetraction,
    Grant,
    Item,
    Payload,
    Profile,
    Rating,
    Retraction,
    Sealed,
    Setting,
    Share,
    Tagging,
    Unknown,
    Vector,
    Vouch,
)
from pkn_protocol.records.signing import SIGNATURE_BYTES

KEY_BYTES = 32
BOX_BYTES = 80
"""A libsodium sealed box of 32 bytes: ephemeral key 32, tag 16, ciphertext 32."""
TAG_BYTES = 16
NONCE_BYTES = 24
_EARLIER_MOST = NONCE_BYTES + 32 * limits.EARLIER_KEYS + 16


def read_body(kind: str, fields: Fields) -> Body:
    """Take the fields of `kind`; a kind that is not known takes none.

    Raises:
        BadField: a field is missing or wrong.
    """
    reader = _READERS.get(kind)
    return Unknown() if reader is None else reader(fields)


def write_body(body: Body) -> dict[str, Value]:
    """The fields of a body as they are encoded; absent and empty ones are left out."""
    return _WRITERS[type(body)](body)


def read_payload(value: Value | None) -> Payload | None:
    if value is None:
        return None
    fields = Fields(value)
    media_type = fields.text("type", limits.MEDIA_TYPE_BYTES)
    size = fields.integer("size", 0, limits.PAYLOAD_BYTES)
    cid = checked_link(fields.take("cid"), "payload.cid")
    key = fields.optional_bytes("key", KEY_BYTES, KEY_BYTES)
    if fields.rest:
        raise BadField("payload: a field that is not known")
    if not (is_raw_cid(cid) or is_record_cid(cid)):
        raise BadField("payload.cid: a raw block or a manifest is expected")
    return Payload(media_type, size, cid, key)


def write_payload(payload: Payload) -> dict[str, Value]:
    value: dict[str, Value] = {"type": payload.type, "size": payload.size, "cid": Link(payload.cid)}
    if payload.key is not None:
        value["key"] = payload.key
    return value


def _read_item(fields: Fields) -> Item:
    item = Item(
        title=fields.text("title", limits.TITLE_BYTES),
        tags=fields.texts("tags", limits.TAGS, limits.TAG_BYTES),
        lang=fields.optional_text("lang", limits.LANG_BYTES),
        excerpt=fields.optional_text("excerpt", limits.EXCERPT_BYTES) or "",
        sketch=fields.optional_bytes("sketch", 1, limits.SKETCH_BYTES),
        payload=read_payload(fields.take("payload")),
        derived_from=fields.optional_record("derived_from"),
        links=fields.records("links", limits.LINKS),
        url=fields.optional_text("url", limits.URL_BYTES),
        name=fields.optional_text("name", limits.NAME_BYTES),
        vectors=_read_vectors(fields.take("vectors")),
    )
    if item.sketch is not None and item.lang is None:
        raise BadField("lang: obligatory beside a sketch")
    return item


def _read_vectors(value: Value | None) -> tuple[Vector, ...]:
    if value is None:
        return ()
    fields = Fields(value)
    models = sorted(fields.rest)
    if not 1 <= len(models) <= limits.VECTORS:
        raise BadField(f"vectors: 1 to {limits.VECTORS} are allowed")
    return tuple(
        Vector(
            checked_text(model, "vectors", limits.MODEL_BYTES, 1), fields.bytes(model, 1, limits.VECTOR_BYTES)
        )
        for model in models
    )


def _write_item(body: Body) -> dict[str, Value]:
    assert isinstance(body, Item)  # noqa: S101 - our own dispatch, not a peer's bytes
    fields: dict[str, Value | None] = {
        "title": body.title,
        "tags": list(body.tags) or None,
        "lang": body.lang,
        "excerpt": body.excerpt or None,
        "sketch": body.sketch,
        "payload": None if body.payload is None else write_payload(body.payload),
        "derived_from": None if body.derived_from is None else Link(body.derived_from),
        "links": [Link(cid) for cid in body.links] or None,
        "url": body.url,
        "name": body.name,
        "vectors": {vector.model: vector.data for vector in body.vectors} or None,
    }
    return {name: value for name, value in fields.items() if value is not None}


def _read_retraction(fields: Fields) -> Retraction | DeviceRetraction:
    device = fields.optional_bytes("device", KEY_BYTES, KEY_BYTES)
    if device is None:
        return Retraction()
    return DeviceRetraction(DeviceId(device), read_payload(fields.take("payload")))


def _read_grant(fields: Fields) -> Grant:
    tag = fields.bytes("tag", TAG_BYTES)
    epoch = fields.bytes("epoch", KEY_BYTES)
    packed = fields.bytes("boxes", BOX_BYTES, BOX_BYTES * limits.GRANT_BOXES)
    if len(packed) % BOX_BYTES:
        raise BadField(f"boxes: a multiple of {BOX_BYTES} bytes is expected")
    boxes = tuple(packed[at : at + BOX_BYTES] for at in range(0, len(packed), BOX_BYTES))
    earlier = fields.optional_bytes("earlier", 1, _EARLIER_MOST) or b""
    return Grant(tag, epoch, boxes, earlier, fields.optional_integer("part", 1, 65535) or 0)


def _write_grant(body: Body) -> dict[str, Value]:
    assert isinstance(body, Grant)  # noqa: S101
    fields: dict[str, Value] = {"tag": body.tag, "epoch": body.epoch, "boxes": b"".join(body.boxes)}
    if body.earlier:
        fields["earlier"] = body.earlier
    if body.part:
        fields["part"] = body.part
    return fields


def _some(**fields: Value | None) -> dict[str, Value]:
    return {name: value for name, value in fields.items() if value is not None and value != ""}


_READERS: dict[str, Callable[[Fields], Body]] = {
    **dict.fromkeys(ITEM_KINDS, _read_item),
    "comment": lambda f: Comment(f.record("about"), f.text("text", limits.TEXT_BYTES)),
    "rating": lambda f: Rating(f.record("about"), f.integer("value", 1, 5)),
    "tagging": lambda f: Tagging(f.record("about"), f.texts("tags", limits.TAGS, limits.TAG_BYTES)),
    "share": lambda f: Share(f.record("about"), f.optional_text("note", limits.TEXT_BYTES) or ""),
    "retraction": _read_retraction,
    "profile": lambda f: Profile(
        f.text("name", limits.NAME_BYTES), f.optional_text("description", limits.DESCRIPTION_BYTES) or ""
    ),
    "vouch": lambda f: Vouch(AuthorId(f.bytes("person", KEY_BYTES)), f.flag("vouched")),
    "device": lambda f: Device(
        DeviceId(f.bytes("device", KEY_BYTES)),
        f.text("name", limits.NAME_BYTES),
        f.bytes("countersig", SIGNATURE_BYTES),
    ),
    "setting": lambda f: Setting(
        f.text("key", limits.SETTING_KEY_BYTES), f.bytes("value", 0, limits.SETTING_VALUE_BYTES)
    ),
    "grant": _read_grant,
    "sealed": lambda f: Sealed(
        f.bytes("tag", TAG_BYTES),
        f.bytes("nonce", NONCE_BYTES),
        f.bytes("commitment", KEY_BYTES),
        f.bytes("box", 17, limits.RECORD_BYTES),
    ),
}

_WRITERS: dict[type, Callable[..., dict[str, Value]]] = {
    Item: _write_item,
    Comment: lambda b: {"about": Link(b.about), "text": b.text},
    Rating: lambda b: {"about": Link(b.about), "value": b.value},
    Tagging: lambda b: {"about": Link(b.about), "tags": list(b.tags)},
    Share: lambda b: _some(about=Link(b.about), note=b.note),
    Retraction: lambda b: {},
    DeviceRetraction: lambda b: _some(
        device=b.device, payload=None if b.remaining is None else write_payload(b.remaining)
    ),
    Profile: lambda b: _some(name=b.name, description=b.description),
    Vouch: lambda b: {"person": b.person, "vouched": b.vouched},
    Device: lambda b: {"device": b.device, "name": b.name, "countersig": b.countersignature},
    Setting: lambda b: {"key": b.key, "value": b.value},
    Grant: _write_grant,
    Sealed: lambda b: {"tag": b.tag, "nonce": b.nonce, "commitment": b.commitment, "box": b.box},
    Unknown: lambda b: {},
}
