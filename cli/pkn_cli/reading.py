"""Replies of the daemon as the shapes that they stand for."""

from __future__ import annotations

from typing import TypeVar

from pkn_cli.failures import Failure
from pkn_protocol.control.codec import BadShape, from_json

_Shape = TypeVar("_Shape")


def read(shape: type[_Shape], reply: object) -> _Shape:
    """The shape of a reply; keys of a newer daemon are passed over.

    Raises:
        Failure: a key is missing or of the wrong type, as between versions.
    """
    try:
        return from_json(shape, reply)
    except BadShape as error:
        raise Failure(
            "bad-answer",
            f"pknd's answer is not what it should be: {error}",
            "do pkn and pknd have the same version? pkn down and pkn up start the one that is installed",
        ) from error
