"""Reading what a client sent: bodies and parameters, bounded and strictly decoded."""

from __future__ import annotations

import json
from pathlib import PurePath
from typing import Any, NoReturn, TypeVar

from aiohttp import web

from pkn_protocol.control.codec import BadShape, Json, from_json
from pkn_protocol.control.errors import ErrorCode
from pknd.errors import DomainError

# Everything but a text fits many times over.
BODY_BYTES = 64 * 1024
# A text typed or piped in travels in the body; what is longer is published as a file, by its path.
TEXT_BODY_BYTES = 16 * 1024 * 1024

_Shape = TypeVar("_Shape")


async def read_shape(
    request: web.Request,
    shape: type[_Shape],
    most_bytes: int = BODY_BYTES,
    *,
    shorter: str = "save a long text as a file and publish its path",
) -> _Shape:
    """The request's body as a shape; an empty body is an empty object. `shorter` says what to do where it is
    too large.

    Raises:
        DomainError: the body is too large, not JSON, or not of this shape.
    """
    body = await _body(request, most_bytes, shorter)
    try:
        return from_json(shape, _parsed(body) if body else {}, strict=True)
    except BadShape as error:
        raise DomainError(ErrorCode.BAD_REQUEST, str(error), "see docs/control-api.md") from None


async def _body(request: web.Request, most_bytes: int, shorter: str) -> bytes:
    body = bytearray()
    async for chunk in request.content.iter_any():
        body += chunk
        if len(body) > most_bytes:
            raise DomainError(
                ErrorCode.TOO_LARGE,
                f"the request has more than {most_bytes} bytes",
                shorter,
            )
    return bytes(body)


def _parsed(body: bytes) -> Json:
    try:
        value: Json = json.loads(body.decode("utf-8"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise DomainError(ErrorCode.BAD_REQUEST, f"the body is not JSON: {error}") from None
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


class Parameters:
    """The parameters of a URL, each asked for by type; `done` refuses those that nobody asked for.

    All methods raise DomainError for a parameter of the wrong form.
    """

    def __init__(self, request: web.Request) -> None:
        self._query = request.query
        self._asked: set[str] = set()

    def text(self, name: str) -> str | None:
        self._asked.add(name)
        values = self._query.getall(name, [])
        if len(values) > 1:
            raise _bad(name, "may be given once")
        return values[0] if values else None

    def texts(self, name: str) -> tuple[str, ...]:
        self._asked.add(name)
        return tuple(self._query.getall(name, []))

    def number(self, name: str, *, least: int, most: int) -> int | None:
        text = self.text(name)
        if text is None:
            return None
        if not (text.isascii() and text.isdigit() and len(text) <= 16 and least <= int(text) <= most):
            raise _bad(name, f"must be a whole number from {least} to {most}")
        return int(text)

    def flag(self, name: str, *, default: bool) -> bool:
        text = self.text(name)
        if text is None:
            return default
        if text not in ("0", "1"):
            raise _bad(name, "must be 0 or 1")
        return text == "1"

    def done(self) -> None:
        for name in self._query:
            if name not in self._asked:
                raise _bad(name, f"is unknown here; known are {', '.join(sorted(self._asked)) or 'none'}")


def _bad(name: str, why: str) -> DomainError:
    return DomainError(ErrorCode.BAD_REQUEST, f"the parameter {name!r} {why}", "see docs/control-api.md")


def reference(request: web.Request, name: str) -> str:
    """A reference in the path, percent-decoded.

    Raises:
        DomainError: it is empty, too long, or has control characters.
    """
    text: Any = request.match_info[name]
    if not text.strip() or len(text) > 600 or not text.isprintable():
        raise DomainError(ErrorCode.BAD_REFERENCE, f"the reference {text[:80]!r} cannot be one")
    return str(text)


def check_path(path: str) -> None:
    """Refuse a path that is not absolute: the daemon's working folder is not the user's.

    Raises:
        DomainError: it is relative, or cannot be a path.
    """
    if not PurePath(path).is_absolute() or "\0" in path:
        raise DomainError(ErrorCode.BAD_REQUEST, f"the path {path!r} is not absolute", "give the whole path")
