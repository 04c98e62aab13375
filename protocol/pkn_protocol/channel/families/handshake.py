"""Messages of the handshake, and those about the connection itself."""

from __future__ import annotations

from pkn_protocol.channel import messages as m
from pkn_protocol.channel.families.table import COUNT, KIB, Row, Stage, Table, flag, key
from pkn_protocol.records.fields import Fields, checked_bytes
from pkn_protocol.records.ids import AuthorId, DeviceId
from pkn_protocol.records.limits import KIND_BYTES, RECORD_BYTES

_SIGNATURE_BYTES = 64
_NONCE_BYTES = 32


def _record(fields: Fields) -> bytes:
    """Empty where it is absent."""
    value = fields.take("record")
    return b"" if value is None else checked_bytes(value, "record", 1, RECORD_BYTES)


HANDSHAKE: Table = (
    (
        "hello",
        Row(
            m.Hello,
            KIB,
            Stage.HANDSHAKE,
            lambda f: m.Hello(
                f.integer("least", 1, 2**16),
                f.integer("greatest", 1, 2**16),
                DeviceId(key(f, "device")),
                AuthorId(key(f, "author")),
                f.bytes("nonce", _NONCE_BYTES),
                f.text("agent", 64),
                key(f, "cert"),
                f.integer("port", 0, 65_535),
            ),
            lambda x: {
                "least": x.least_version,
                "greatest": x.greatest_version,
                "device": x.device,
                "author": x.author,
                "nonce": x.nonce,
                "agent": x.agent,
                "cert": x.certificate,
                "port": x.port,
            },
        ),
    ),
    (
        "proof",
        Row(
            m.Proof,
            RECORD_BYTES + KIB,
            Stage.HANDSHAKE,
            lambda f: m.Proof(
                f.bytes("sig", _SIGNATURE_BYTES),
                f.bytes("record", 1, RECORD_BYTES),
                f.bytes("token", 32),
                flag(f, "knows"),
            ),
            lambda x: (
                {"sig": x.signature, "record": x.device_record, "token": x.token}
                | ({"knows": True} if x.knows else {})
            ),
        ),
    ),
    (
        "welcome",
        Row(
            m.Welcome,
            RECORD_BYTES + KIB,
            Stage.HANDSHAKE,
            lambda f: m.Welcome(f.bytes("sig", _SIGNATURE_BYTES), _record(f), f.bytes("token", 32)),
            lambda x: (
                {"sig": x.signature, "token": x.token}
                | ({"record": x.device_record} if x.device_record else {})
            ),
        ),
    ),
    (
        "close",
        Row(
            m.Close,
            KIB,
            Stage.HANDSHAKE | Stage.OPEN,
            lambda f: m.Close(f.integer("code", 0, 9999), f.text("reason", m.REASON_BYTES, least=0)),
            lambda x: {
                "code": int(x.code),
                "reason": x.reason.encode()[: m.REASON_BYTES].decode(errors="ignore"),
            },
        ),
    ),
    ("ping", Row(m.Ping, KIB, Stage.OPEN, lambda f: m.Ping(), lambda x: {})),
    ("pong", Row(m.Pong, KIB, Stage.OPEN, lambda f: m.Pong(), lambda x: {})),
    (
        "cancel",
        Row(
            m.Cancel,
            KIB,
            Stage.OPEN,
            lambda f: m.Cancel(f.integer("request", 1, COUNT)),
            lambda x: {"request": x.request},
        ),
    ),
    (
        "unsupported",
        Row(
            m.Unsupported,
            KIB,
            Stage.OPEN,
            lambda f: m.Unsupported(f.text("type", KIND_BYTES)),
            lambda x: {"type": x.type},
        ),
    ),
)
