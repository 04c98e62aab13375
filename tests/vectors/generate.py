"""Writes the vector files of records, payloads, circles, reconciliation and the channel; a test asserts that
they still come out the same.

    python -m tests.vectors.generate

Everything is made from fixed seeds. Other implementations read these files (tests/interop has one in Node).
"""

from __future__ import annotations

import json
from hashlib import sha512
from pathlib import Path
from typing import Any

import nacl.bindings

from pkn_protocol.records.cbor import Link, Value, encode
from pkn_protocol.records.circles import EpochKey, grant_bodies, membership_proof, seal_record
from pkn_protocol.records.codec import SIGNATURE_DOMAIN, countersign_device, sign_record
from pkn_protocol.records.ids import AuthorId, DeviceId, cid_text, dag_cbor_cid, did_key, raw_cid
from pkn_protocol.records.model import (
    Body,
    Comment,
    Device,
    DeviceRetraction,
    Item,
    Payload,
    Profile,
    Rating,
    Record,
    Retraction,
    Share,
    Tagging,
    Vector,
    Vouch,
)
from pkn_protocol.records.payload import BLOCK_BYTES, Entry, build_tree, seal_chunk
from pkn_protocol.records.signing import Ed25519Key
from pkn_protocol.text.analysis import analyse
from pkn_protocol.text.sketch import make_sketch
from tests.vectors import channel, reconciliation

FOLDER = Path(__file__).resolve().parent
AUTHOR = Ed25519Key.from_seed(b"author of vectors".ljust(32, b"."))
DEVICE = Ed25519Key.from_seed(b"device of vectors".ljust(32, b"."))
MEMBER = Ed25519Key.from_seed(b"member of vectors".ljust(32, b"."))
ME = AuthorId(AUTHOR.public)
TIME = 1_764_000_000_000
ORDER = 2**252 + 27742317777372353535851937790883648493
TORSION = bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a")
"""A point of order 8."""
Json = dict[str, Any]


def signed(kind: str, body: Body, **more: Any) -> Record:
    return sign_record(author=ME, key=DEVICE, time=TIME, kind=kind, body=body, **more)


def valid_records() -> list[tuple[str, Record]]:
    text = "The boundary layer is turbulent."
    first = signed(
        "note",
        Item(
            title="Boundary layers",
            tags=("flow", "drag/skin"),
            lang="en",
            excerpt=text,
            sketch=make_sketch(analyse("Boundary layers\n" + text, "en")),
            payload=Payload("text/plain", len(text), raw_cid(text.encode())),
            vectors=(Vector("example-48", bytes(range(48))),),
        ),
    )
    second = signed(
        "note",
        Item(title="Boundary layers, again", links=(first.id,), derived_from=first.id),
        item=first.id,
        replaces=(first.id,),
    )
    # A byte field that begins like a CID: some encoders take it for a link.
    trap = b"\x01\x71\x12\x20" + bytes(32)
    device = sign_record(
        author=ME,
        key=AUTHOR,
        time=TIME,
        kind="device",
        body=Device(DeviceId(DEVICE.public), "laptop", countersign_device(ME, DEVICE, TIME)),
    )
    return [
        ("a note with all that a summary holds", first),
        ("its second version", second),
        (
            "a bookmark",
            signed("bookmark", Item(title="RFC 8032", url="https://www.rfc-editor.org/rfc/rfc8032")),
        ),
        ("a question that expires", signed("question", Item(title="Who has a lathe?"), expires=TIME + 1000)),
        ("a file in another script", signed("file", Item(title="測試 – тест", name="測試.bin"), dated=-1)),
        ("a vector that looks like a link", signed("note", Item(title="trap", vectors=(Vector("m", trap),)))),
        ("a comment", signed("comment", Comment(first.id, "Well said."), item=first.id)),
        ("a rating", signed("rating", Rating(first.id, 5), item=first.id)),
        ("a tagging", signed("tagging", Tagging(first.id, ("aero",)), item=first.id)),
        ("a share", signed("share", Share(first.id), item=first.id)),
        ("a retraction", signed("retraction", Retraction(), item=first.id)),
        ("a profile", signed("profile", Profile("Vera Vector", "a fixture"))),
        ("a vouch", signed("vouch", Vouch(AuthorId(MEMBER.public)))),
        ("a device", device),
        (
            "the retraction of a device",
            sign_record(
                author=ME,
                key=AUTHOR,
                time=TIME,
                kind="retraction",
                body=DeviceRetraction(DeviceId(DEVICE.public)),
            ),
        ),
        ("an unknown kind", _raw({"kind": "sculpture", "mass": 7})),
        ("an unknown field", _raw({"kind": "note", "title": "t", "colour": "red"})),
        ("a field that must be understood", _raw({"kind": "note", "title": "t", "!lock": True})),
        (
            "a retraction with a field that must be understood",
            _raw({"kind": "retraction", "item": Link(first.id), "!from": TIME}),
        ),
    ]


def _fields(fields: Json) -> dict[str, Value]:
    return {"v": 1, "author": AUTHOR.public, "by": DEVICE.public, "time": TIME, **fields}


def _block(fields: Json, *, key: Ed25519Key = DEVICE) -> bytes:
    whole = _fields(fields)
    whole["sig"] = key.sign(SIGNATURE_DOMAIN + encode(whole))
    return encode(whole)


def _raw(fields: Json) -> Record:
    from pkn_protocol.records.codec import decode_record

    return decode_record(_block(fields))


def invalid_records() -> list[tuple[str, bytes, str]]:
    """(what is wrong, block, code of the error)"""
    note = {"kind": "note", "title": "t"}
    good = _block(note)
    signature = bytes.fromhex(good.hex())
    whole = _fields(note)
    sig = DEVICE.sign(SIGNATURE_DOMAIN + encode(whole))
    s = int.from_bytes(sig[32:], "little")
    plus_order = encode({**whole, "sig": sig[:32] + (s + ORDER).to_bytes(32, "little")})
    flipped = encode({**whole, "sig": bytes((sig[0] ^ 1,)) + sig[1:]})
    deep: Value = "x"
    for _ in range(20):
        deep = [deep]
    long_title = {"kind": "note", "title": "t" * 600}
    return [
        ("s + L in the signature", plus_order, "bad-signature"),
        ("a flipped bit in the signature", flipped, "bad-signature"),
        ("a mixed-order key whose signature holds without cofactor", _mixed_order(note), "bad-signature"),
        ("a key of small order", _small_order(note), "bad-signature"),
        ("signed by another key", _block(note, key=MEMBER), "bad-signature"),
        ("trailing byte", good + b"\x00", "bad-encoding"),
        ("cut off", signature[:-1], "bad-encoding"),
        ("empty", b"", "bad-encoding"),
        (
            "a float",
            _patched(good, b"\x64time\x1b" + TIME.to_bytes(8, "big"), b"\x64time\xfb" + bytes(8)),
            "bad-encoding",
        ),
        ("a null", _patched(good, b"\x65title\x61t", b"\x65title\xf6"), "bad-encoding"),
        ("a length that is not the shortest", _patched(good, b"\x61t", b"\x78\x01t"), "bad-encoding"),
        ("keys out of order", _swapped(), "bad-encoding"),
        ("an indefinite length", b"\xbf\x61v\x01\xff", "bad-encoding"),
        ("another tag than 42", _patched(good, b"\x65title\x61t", b"\x65title\xc1\x61t"), "bad-encoding"),
        (
            "nested too deep",
            encode_anything({"kind": "note", "x": 0}, b"\x81" * 40 + b"\x00"),
            "bad-encoding",
        ),
        ("a later version", _block({**note, "v": 2}), "too-new"),
        ("no title", _block({"kind": "note"}), "bad-field"),
        ("a title that is too long", _block(long_title), "bad-field"),
        ("a sketch without a language", _block({**note, "sketch": b"\x01\x00\x00\x00"}), "bad-field"),
        (
            "a rating of six",
            _block({"kind": "rating", "about": _link(), "item": _link(), "value": 6}),
            "bad-field",
        ),
        ("a comment on nothing", _block({"kind": "comment", "about": _link(), "text": "x"}), "bad-field"),
        ("the same tag twice", _block({**note, "tags": ["a", "a"]}), "bad-field"),
        ("a payload with a key in a public item", _block({**note, "payload": _keyed_payload()}), "bad-field"),
        ("an author key that signs a note", _by_author(note), "bad-field"),
    ]


def _link() -> Link:
    return Link(dag_cbor_cid(b"x"))


def _keyed_payload() -> Json:
    return {"type": "text/plain", "size": 1, "cid": Link(raw_cid(b"x")), "key": bytes(32)}


def _by_author(fields: Json) -> bytes:
    whole = {**_fields(fields), "by": AUTHOR.public}
    whole["sig"] = AUTHOR.sign(SIGNATURE_DOMAIN + encode(whole))
    return encode(whole)


def encode_anything(fields: Json, part: bytes) -> bytes:
    """A block with raw bytes for the value of `x`."""
    block = _block(fields)
    return _patched(block, b"\x61x\x00", b"\x61x" + part)


def _patched(block: bytes, old: bytes, new: bytes) -> bytes:
    if block.count(old) != 1:
        raise ValueError("the bytes to be changed are not there once")
    return block.replace(old, new)


def _swapped() -> bytes:
    return b"\xa2\x61v\x01\x61a\x02"


def _mixed_order(fields: Json) -> bytes:
    seed = b"mixed".ljust(32, b".")
    digest = sha512(seed).digest()
    a = int.from_bytes(_clamped(digest[:32]), "little") % ORDER
    honest = nacl.bindings.crypto_scalarmult_ed25519_base_noclamp(a.to_bytes(32, "little"))
    mixed = nacl.bindings.crypto_core_ed25519_add(honest, TORSION)
    for attempt in range(1000):
        whole = {**_fields(fields), "by": mixed, "time": TIME + attempt}
        message = SIGNATURE_DOMAIN + encode(whole)
        r = int.from_bytes(sha512(b"nonce%d" % attempt).digest(), "little") % ORDER
        point = nacl.bindings.crypto_scalarmult_ed25519_base_noclamp(r.to_bytes(32, "little"))
        h = int.from_bytes(sha512(point + mixed + message).digest(), "little") % ORDER
        if h % 8 == 0:
            s = (r + h * a) % ORDER
            return encode({**whole, "sig": point + s.to_bytes(32, "little")})
    raise ValueError("no signature was found")


def _clamped(scalar: bytes) -> bytes:
    return bytes((scalar[0] & 248,)) + scalar[1:31] + bytes((scalar[31] & 63 | 64,))


def _small_order(fields: Json) -> bytes:
    whole = {**_fields(fields), "by": TORSION}
    return encode({**whole, "sig": TORSION + bytes(32)})


def payload_vectors() -> list[Json]:
    found = []
    for size in (0, 1, BLOCK_BYTES, BLOCK_BYTES + 1, 3 * BLOCK_BYTES):
        data = bytes(i * 7 % 251 for i in range(min(size, 1000))) + bytes(max(0, size - 1000))
        leaves = [data[at : at + BLOCK_BYTES] for at in range(0, size, BLOCK_BYTES)] or [b""]
        root, manifests = build_tree([Entry(raw_cid(leaf), len(leaf)) for leaf in leaves])
        found.append(
            {"size": size, "root": cid_text(root), "manifests": [block.hex() for _, block in manifests]}
        )
    return found


def circle_vectors() -> Json:
    epoch = EpochKey(b"epoch of vectors".ljust(32, b"."))
    earlier = EpochKey(b"epoch before it".ljust(32, b"."))
    key = b"payload key".ljust(32, b".")
    chunk = seal_chunk(key, 0, b"sealed text")
    inner = signed(
        "note",
        Item(title="For trusted people", payload=Payload("text/plain", 11, raw_cid(chunk), key)),
        audience="trusted",
    )
    sealed = seal_record(inner, epoch=epoch, key=DEVICE, nonce=b"nonce of vectors........")
    seeds = b"".join(bytes((number,)) * 32 for number in range(1, 9))
    [body] = grant_bodies(
        epoch,
        members=[DeviceId(DEVICE.public), DeviceId(MEMBER.public)],
        earlier=[earlier],
        seeds=seeds,
        nonce=b"nonce of a grant........",
    )
    grant = signed("grant", body)
    return {
        "epoch": epoch.secret.hex(),
        "earlier": earlier.secret.hex(),
        "epoch_id": epoch.epoch_id.hex(),
        "tag": epoch.tag.hex(),
        "inner": inner.block.hex(),
        "sealed": sealed.block.hex(),
        "grant": grant.block.hex(),
        "member_seed": MEMBER.seed.hex(),
        "payload_key": key.hex(),
        "chunk_0": chunk.hex(),
        "chunk_0_plaintext": b"sealed text".hex(),
        "transcript": bytes(32).hex(),
        "client_proof": membership_proof(epoch, bytes(32), b"client").hex(),
    }


def files() -> dict[str, Any]:
    """Each vector file's content by its name."""
    return {
        "records-valid.json": [
            {
                "name": name,
                "block": record.block.hex(),
                "id": cid_text(record.id),
                "author": did_key(record.author),
                "understood": record.understood,
            }
            for name, record in valid_records()
        ],
        "records-invalid.json": [
            {"name": name, "block": block.hex(), "error": code} for name, block, code in invalid_records()
        ],
        "payloads.json": payload_vectors(),
        "circles.json": circle_vectors(),
        "reconciliation.json": reconciliation.files(),
        "channel.json": channel.files(),
    }


def text_of(content: Any) -> str:
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    for name, content in files().items():
        (FOLDER / name).write_text(text_of(content), encoding="utf-8")
        print(name, len(content))
