"""What a made-up item says about its content, which nobody fetches."""

from __future__ import annotations

from pkn_protocol.records.ids import raw_cid
from pkn_protocol.records.model import Payload


def text_payload(text: str) -> Payload:
    """The payload of a text: without one its sketch would count for nothing."""
    data = text.encode()
    return Payload("text/plain", max(1, len(data)), raw_cid(data))
