"""Messages to bytes and back, over the tables of all families (SPEC, Channel)."""

from __future__ import annotations

from pkn_protocol.channel import messages as m
from pkn_protocol.channel.errors import ChannelError, CloseCode
from pkn_protocol.channel.families.compact import COMPACT
from pkn_protocol.channel.families.comparison import COMPARISON
from pkn_protocol.channel.families.gossip import GOSSIP
from pkn_protocol.channel.families.handshake import HANDSHAKE
from pkn_protocol.channel.families.records import RECORDS
from pkn_protocol.channel.families.search import SEARCH
from pkn_protocol.channel.families.table import COUNT, LARGEST_MESSAGE, Row, Stage
from pkn_protocol.channel.families.wants import WANTS
from pkn_protocol.records.cbor import BadEncoding, decode, encode
from pkn_protocol.records.fields import BadField, Fields
from pkn_protocol.records.limits import KIND_BYTES

__all__ = ["LARGEST_MESSAGE", "Stage", "decode_message", "encode_message"]
_ALL = (*HANDSHAKE, *WANTS, *COMPARISON, *RECORDS, *GOSSIP, *SEARCH)
_TYPES: dict[str, Row] = dict((*_ALL, *COMPACT))
_NAMES: dict[type, str] = {row.kind: name for name, row in _ALL}
_SHORT_NAMES = _NAMES | {row.kind: name for name, row in COMPACT}
_COMPACT_FROM = 2
"""The version of the channel from which the frequent messages have short names."""


def encode_message(envelope: m.Envelope, version: int) -> bytes:
    """The frame of a message in a version of the channel; those of the handshake are the same in all."""
    names = _NAMES if version < _COMPACT_FROM else _SHORT_NAMES
    name = names[type(envelope.message)]
    fields = _TYPES[name].write(envelope.message)
    fields["t"] = name
    if envelope.request is not None:
        fields["q"] = envelope.request
    if envelope.reply is not None:
        fields["r"] = envelope.reply
    return encode(fields)


def decode_message(frame: bytes, stage: Stage) -> m.Envelope:
    """The message in a frame, of whichever version. A type that is not known gives `Unsupported`, to be
    answered if it is a request and else ignored.

    Raises:
        ChannelError: too long, not canonical, a field is wrong, or the type is not allowed at this stage.
    """
    if len(frame) > LARGEST_MESSAGE:
        raise ChannelError(CloseCode.TOO_LARGE, f"a message of {len(frame)} bytes")
    try:
        fields = Fields(decode(frame, most_bytes=LARGEST_MESSAGE))
        name = fields.text("t", KIND_BYTES)
        request = fields.optional_integer("q", 1, COUNT)
        reply = fields.optional_integer("r", 1, COUNT)
        row = _TYPES.get(name)
        if row is None:
            if stage is Stage.HANDSHAKE:
                raise ChannelError(CloseCode.BAD_MESSAGE, f"{name} is not a message of the handshake")
            return m.Envelope(m.Unsupported(name), request, reply)
        if len(frame) > row.most_bytes:
            raise ChannelError(CloseCode.TOO_LARGE, f"a {name} of {len(frame)} bytes")
        if stage not in row.stage:
            raise ChannelError(CloseCode.BAD_MESSAGE, f"{name} is not allowed now")
        return m.Envelope(row.read(fields), request, reply)
    except (BadEncoding, BadField) as error:
        raise ChannelError(CloseCode.BAD_MESSAGE, str(error)[: m.REASON_BYTES // 2]) from error
