"""What ends a connection, and whose fault it is (SPEC, Channel)."""

from __future__ import annotations

from enum import IntEnum


class CloseCode(IntEnum):
    """Goes over the wire in `close`, and as the WebSocket's close code (RFC 6455 leaves 4000 to 4999)."""

    GOING_AWAY = 4000
    BAD_MESSAGE = 4001
    TOO_LARGE = 4002
    NOT_NOW = 4003
    NO_COMMON_VERSION = 4004
    WRONG_DEVICE = 4005
    BAD_PROOF = 4006
    SELF = 4007
    DUPLICATE = 4008
    TOO_SLOW = 4009
    TOO_MANY = 4010
    BLOCKED = 4011
    OVER_BUDGET = 4012
    BAD_RECORD = 4013
    INTERNAL = 4014


class ChannelError(Exception):
    """The peer broke the protocol, or cannot be spoken with; `code` and `reason` are sent to it."""

    def __init__(self, code: CloseCode, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason
