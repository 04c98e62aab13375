"""What a handshake takes, which is not simulated: hello, proof and welcome (SPEC, Channel)."""

from __future__ import annotations

from pkn_protocol.channel import messages as m
from pkn_protocol.channel.codec import encode_message
from pkn_protocol.channel.handshake import LEAST_VERSION
from tests.sim.network import framing_bytes
from tests.sim.people import Author


def handshake_bytes(author: Author, device_block: bytes, *, is_known: bool) -> tuple[int, int]:
    """Bytes that the dialling side sends, and the other, with their framing; `is_known`: the dialling side
    holds the other's device record."""
    blank = bytes(32)
    hello = m.Hello(1, 1, author.device, author.author, blank, "pknd 0.1.0", blank, 7867)
    client = m.Proof(bytes(64), device_block, blank, knows=is_known)
    server = m.Welcome(bytes(64), b"" if is_known else device_block, blank)

    def sent(message: m.Message, *, by_client: bool) -> int:
        size = len(encode_message(m.Envelope(message), LEAST_VERSION))
        return size + framing_bytes(size, by_client=by_client)

    return (
        sent(hello, by_client=True) + sent(client, by_client=True),
        sent(hello, by_client=False) + sent(server, by_client=False),
    )
