"""What the control API answers when something did not work: one shape, stable codes, an HTTP status each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus


class ErrorCode(StrEnum):
    """Codes are stable; texts are not. Sources that are captured bring finer codes of their own (400)."""

    BAD_REQUEST = "bad-request"  # the request's form: JSON, a field, a parameter
    BAD_QUERY = "bad-query"  # the words of a query cannot be read
    BAD_REFERENCE = "bad-reference"  # neither a name nor a prefix nor a full id
    BAD_VALUE = "bad-value"  # a setting's value
    NOT_CAPTURED = "not-captured"  # a file, text or page that cannot become an item
    NOT_YOURS = "not-yours"  # editing or retracting what another person wrote
    OTHER_USER = "other-user"  # the socket's other end is another user of this machine
    NO_SUCH_ROUTE = "no-such-route"
    NO_SUCH_ITEM = "no-such-item"
    NO_SUCH_PERSON = "no-such-person"
    NO_SUCH_PEER = "no-such-peer"
    NO_SUCH_SETTING = "no-such-setting"
    NO_SUCH_WATCH = "no-such-watch"
    NO_PAYLOAD = "no-payload"  # the item has no content beyond its summary
    WRONG_METHOD = "wrong-method"
    AMBIGUOUS = "ambiguous"  # candidates are listed
    CONFLICT = "conflict"  # the state does not allow it (e.g. the author's secret was removed already)
    TOO_MANY = "too-many"  # of what is kept; the message says how many there may be
    RETRACTED = "retracted"  # the item was retracted by its author
    TOO_LARGE = "too-large"
    NOT_THIS_HOST = "not-this-host"  # whoever answered at the address is not the device asked for
    UNREACHABLE = "unreachable"  # nobody online holds the content, or the address does not answer
    BAD_RANGE = "bad-range"  # no byte of the content lies in the range that was asked for
    NO_ROOM = "no-room"  # max_disk or the volume is full; both figures are in the message
    STORE_DAMAGED = "store-damaged"
    BUSY = "busy"  # still starting, stopping, or too many requests at once
    TIMED_OUT = "timed-out"
    INTERNAL = "internal"  # a fault of pknd; the message carries the id under which it was logged


HTTP_STATUS: Mapping[str, int] = {
    ErrorCode.BAD_REQUEST: HTTPStatus.BAD_REQUEST,
    ErrorCode.BAD_QUERY: HTTPStatus.BAD_REQUEST,
    ErrorCode.BAD_REFERENCE: HTTPStatus.BAD_REQUEST,
    ErrorCode.BAD_VALUE: HTTPStatus.BAD_REQUEST,
    ErrorCode.NOT_CAPTURED: HTTPStatus.BAD_REQUEST,
    ErrorCode.NOT_YOURS: HTTPStatus.FORBIDDEN,
    ErrorCode.OTHER_USER: HTTPStatus.FORBIDDEN,
    ErrorCode.NO_SUCH_ROUTE: HTTPStatus.NOT_FOUND,
    ErrorCode.NO_SUCH_ITEM: HTTPStatus.NOT_FOUND,
    ErrorCode.NO_SUCH_PERSON: HTTPStatus.NOT_FOUND,
    ErrorCode.NO_SUCH_PEER: HTTPStatus.NOT_FOUND,
    ErrorCode.NO_SUCH_SETTING: HTTPStatus.NOT_FOUND,
    ErrorCode.NO_SUCH_WATCH: HTTPStatus.NOT_FOUND,
    ErrorCode.NO_PAYLOAD: HTTPStatus.NOT_FOUND,
    ErrorCode.WRONG_METHOD: HTTPStatus.METHOD_NOT_ALLOWED,
    ErrorCode.AMBIGUOUS: HTTPStatus.CONFLICT,
    ErrorCode.CONFLICT: HTTPStatus.CONFLICT,
    ErrorCode.TOO_MANY: HTTPStatus.CONFLICT,
    ErrorCode.RETRACTED: HTTPStatus.GONE,
    ErrorCode.TOO_LARGE: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    ErrorCode.INTERNAL: HTTPStatus.INTERNAL_SERVER_ERROR,
    ErrorCode.STORE_DAMAGED: HTTPStatus.INTERNAL_SERVER_ERROR,
    ErrorCode.NOT_THIS_HOST: HTTPStatus.BAD_GATEWAY,
    ErrorCode.UNREACHABLE: HTTPStatus.SERVICE_UNAVAILABLE,
    ErrorCode.BUSY: HTTPStatus.SERVICE_UNAVAILABLE,
    ErrorCode.TIMED_OUT: HTTPStatus.GATEWAY_TIMEOUT,
    ErrorCode.BAD_RANGE: HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE,
    ErrorCode.NO_ROOM: HTTPStatus.INSUFFICIENT_STORAGE,
}


def http_status(code: str) -> int:
    """The HTTP status of an error code; 400 for the finer codes of captured sources."""
    return int(HTTP_STATUS.get(code, HTTPStatus.BAD_REQUEST))


@dataclass(frozen=True, slots=True)
class Candidate:
    """One thing that an ambiguous reference, or a claimed name, may have meant.

    `ref` can be typed where the reference stood; `label` is a title or a claimed name, foreign text.
    """

    ref: str
    label: str


@dataclass(frozen=True, slots=True)
class ErrorBody:
    """`message` says what was wrong in one line, `hint` what to do (empty when the message says it)."""

    code: str
    message: str
    hint: str = ""
    candidates: tuple[Candidate, ...] = ()


@dataclass(frozen=True, slots=True)
class ErrorReply:
    error: ErrorBody
