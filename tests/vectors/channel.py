"""Vectors of the channel: frequent messages in both versions, short forms that are refused, one handshake."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from hashlib import sha256
from typing import Any

from pkn_protocol.channel import messages as m
from pkn_protocol.channel.codec import encode_message
from pkn_protocol.channel.handshake import (
    CLIENT,
    SERVER,
    ClientHandshake,
    Local,
    ServerHandshake,
    signed_message,
    transcript_of,
)
from pkn_protocol.records.cbor import Value, encode
from pkn_protocol.records.codec import countersign_device, sign_record
from pkn_protocol.records.ids import AuthorId, DeviceId, ShortId, record_cid
from pkn_protocol.records.model import Device
from pkn_protocol.records.signing import Ed25519Key

Json = dict[str, Any]
TIME = 1_764_000_000_000
ANN, BEN = (sha256(name).digest()[:8] for name in (b"ann", b"ben"))
CID = record_cid(sha256(b"floor").digest())


def files() -> Json:
    return {
        "messages": [
            {
                "name": name,
                "message": plain(message),
                "version_1": encode_message(m.Envelope(message), 1).hex(),
                "version_2": encode_message(m.Envelope(message), 2).hex(),
            }
            for name, message in _messages()
        ],
        "also_read": [
            {"name": name, "frame": encode(frame).hex(), "message": plain(message)}
            for name, frame, message in _also_read()
        ],
        "malformed": [
            {"name": name, "frame": encode(frame).hex(), "error": error}
            for name, frame, error in _malformed()
        ],
        "handshake": _handshake(),
    }


def plain(value: object) -> Any:
    """A message with the names of its fields, bytes in hex."""
    if is_dataclass(value):
        return {"type": type(value).__name__.lower()} | {
            field.name: plain(getattr(value, field.name)) for field in fields(value)
        }
    match value:
        case bytes():
            return value.hex()
        case tuple():
            return [plain(part) for part in value]
        case bool() | None:
            return value
        case int():
            return int(value)
        case _:
            raise TypeError(type(value).__name__)


def _shorts(what: str, count: int) -> tuple[ShortId, ...]:
    return tuple(ShortId(sha256(f"{what} {number}".encode()).digest()[:8]) for number in range(count))


def _messages() -> list[tuple[str, m.Message]]:
    few = _shorts("few", 3)
    floor = m.WantEntry(BEN, (TIME, CID))
    return [
        ("an announcement", m.Announce((m.Announced(ANN, few, hops=2), m.Announced(BEN, few[:1])))),
        ("more ids than a part has", m.Announce((m.Announced(ANN, _shorts("many", 300), hops=255),))),
        (
            "lists of one author at two distances",
            m.Announce((m.Announced(ANN, few[:1], hops=1), m.Announced(ANN, few[1:], hops=2))),
        ),
        ("a graft of records alone", m.Graft(ANN, few, m.Tree.NOBODY)),
        ("a graft to an author's tree", m.Graft(ANN, few[:1], m.Tree.AUTHOR)),
        ("a graft to everybody's tree without records", m.Graft(ANN, (), m.Tree.EVERYBODY)),
        ("a prune of an author", m.Prune(ANN, m.Tree.AUTHOR)),
        ("a prune of everybody", m.Prune(ANN, m.Tree.EVERYBODY)),
        ("a push", m.Push(ANN, (b"one block", b"another"), hops=3)),
        ("a push from an unknown distance", m.Push(ANN, (b"one block",))),
        ("a whole want", m.Want(1, 0, (m.WantEntry(ANN), m.WantEntry(few[0]), floor))),
        ("the first part of a want", m.Want(1, 0, (m.WantEntry(ANN),), more=True)),
        ("changes of a want", m.Want(8, 7, (floor,), (ANN, few[0]))),
        ("a want of nobody", m.Want(1, 0, ())),
        ("the beginning of a comparison", m.Compare(2**40, TIME, 1, 300, bytes(range(16)))),
        ("the end of one without differences", m.Same(24)),
    ]


def _also_read() -> Iterator[tuple[str, dict[str, Value], m.Message]]:
    """Short forms as this program does not write them."""
    [short] = _shorts("short", 1)
    part = b"\x01\x05" + ANN + short
    joined = m.Announced(ANN, (short, short), hops=5)
    yield "neighbouring parts are one list", {"t": "a", "d": part * 2}, m.Announce((joined,))
    yield (
        "as many parts as may be",
        {"t": "a", "d": part * 264},
        m.Announce((replace(joined, shorts=(short,) * 264),)),
    )
    yield "an announcement of nothing", {"t": "a", "d": b""}, m.Announce(())
    yield "a distance of 0", {"t": "p", "a": ANN, "b": [b"block"], "h": 0}, m.Push(ANN, (b"block",))
    yield "a push without blocks", {"t": "p", "a": ANN}, m.Push(ANN, ())
    empty: dict[str, Value] = {"t": "w", "n": 1, "b": 0, "a": b"", "f": [], "d": b"", "m": False}
    yield "a want with everything empty", empty, m.Want(1, 0, ())
    yield "an unknown field", {"t": "s", "n": 1, "later": True}, m.Same(1)


def _malformed() -> Iterator[tuple[str, dict[str, Value], str]]:
    short = b"shortid."
    compare: dict[str, Value] = {"t": "c", "n": 1, "a": TIME, "m": 1, "y": 1, "o": bytes(16)}
    lists = b"".join(b"\x01\x00" + number.to_bytes(8, "big") + short for number in range(257))
    wrong: tuple[tuple[str, dict[str, Value]], ...] = (
        ("an announcement without its bytes", {"t": "a"}),
        ("an announcement that is a list", {"t": "a", "d": [ANN]}),
        ("a part without ids", {"t": "a", "d": b"\x00\x00" + ANN}),
        ("a part whose ids are cut off", {"t": "a", "d": b"\x02\x00" + ANN + short}),
        ("a part whose author is cut off", {"t": "a", "d": b"\x01\x00" + ANN[:7]}),
        ("a part too many", {"t": "a", "d": (b"\x01\x00" + ANN + short) * 265}),
        ("a list too many", {"t": "a", "d": lists}),
        ("a graft to no tree that there is", {"t": "g", "d": b"\x03" + ANN}),
        ("a graft of half a short id", {"t": "g", "d": b"\x01" + ANN + short[:4]}),
        ("a graft of too many", {"t": "g", "d": b"\x01" + ANN + short * 257}),
        ("a graft without an author", {"t": "g", "d": b"\x01"}),
        ("a prune to nobody", {"t": "x", "d": b"\x00" + ANN}),
        ("a prune with a short id", {"t": "x", "d": b"\x01" + ANN + short}),
        ("a distance of 256", {"t": "p", "a": ANN, "b": [b"block"], "h": 256}),
        ("a push of an empty block", {"t": "p", "a": ANN, "b": [b""]}),
        ("a push by an author of 7 bytes", {"t": "p", "a": ANN[:7], "b": [b"block"]}),
        ("a want of half an author", {"t": "w", "n": 1, "a": ANN + ANN[:4]}),
        ("a want that is a list", {"t": "w", "n": 1, "a": [ANN]}),
        ("half an author that is dropped", {"t": "w", "n": 2, "b": 1, "d": ANN[:4]}),
        ("a floor that is none", {"t": "w", "n": 1, "f": [[ANN]]}),
        ("a floor without an id", {"t": "w", "n": 1, "f": [[ANN, TIME]]}),
        ("a want without a number", {"t": "w", "a": ANN}),
        ("a want of number 0", {"t": "w", "n": 0}),
        ("a flag that is a number", {"t": "w", "n": 1, "m": 1}),
        ("a root of 15 bytes", {**compare, "o": bytes(15)}),
        ("a comparison without an instant", {k: v for k, v in compare.items() if k != "a"}),
        ("nothing that is the same", {"t": "s"}),
    )
    yield from ((name, frame, "BAD_MESSAGE") for name, frame in wrong)
    yield "a long one of the same", {"t": "s", "n": 1, "later": bytes(1024)}, "TOO_LARGE"


def _local(name: str, port: int) -> Local:
    author, device = (
        Ed25519Key.from_seed(f"{what} of the {name}".encode().ljust(32, b"."))
        for what in ("author", "device")
    )
    me = AuthorId(author.public)
    body = Device(DeviceId(device.public), name, countersign_device(me, device, TIME))
    record = sign_record(author=me, key=author, time=TIME, kind="device", body=body)
    certificate = sha256(f"certificate of the {name}".encode()).digest()
    return Local(me, device, record.block, "pkn/vectors", certificate, port)


def _handshake() -> Json:
    client, server = _local("client", 0), _local("server", 7867)
    hellos = (
        client.hello(sha256(b"nonce of the client").digest()),
        server.hello(sha256(b"nonce of the server").digest()),
    )
    transcript = transcript_of(*hellos)
    return {
        "client_hello": _frame(hellos[0]),
        "server_hello": _frame(hellos[1]),
        "version": 2,
        "transcript": transcript.hex(),
        "signed_by_client": signed_message(CLIENT, transcript, *hellos).hex(),
        "signed_by_server": signed_message(SERVER, transcript, *hellos).hex(),
        "with_record": _end(client, server, hellos, None),
        "without_record": _end(client, server, hellos, server.device_record),
    }


def _end(client: Local, server: Local, hellos: tuple[m.Hello, m.Hello], known: bytes | None) -> Json:
    """`proof` and `welcome` as both sides say them."""
    dialling = ClientHandshake(
        client,
        nonce=hellos[0].nonce,
        token=sha256(b"token of the client").digest(),
        certificate=server.certificate,
        certificate_key=server.device_key.public,
        known=lambda: known,
    )
    listening = ServerHandshake(server, nonce=hellos[1].nonce, token=sha256(b"token of the server").digest())
    hello, _ = listening.receive(dialling.start())
    proof = dialling.receive(hello)
    if not isinstance(proof, m.Proof):
        raise TypeError("a proof is expected")
    welcome, _ = listening.receive(proof)
    return {"proof": _frame(proof), "welcome": _frame(welcome)}


def _frame(message: m.Message) -> str:
    return encode_message(m.Envelope(message), 1).hex()
