"""The media type of bytes, by what they hold; a name only tells kinds of text apart."""

from __future__ import annotations

import codecs
from pathlib import PurePath

import puremagic

# Enough for every signature, and for telling text from bytes.
HEAD_BYTES = 64 * 1024
_TEXT_BY_SUFFIX = {
    ".md": "text/markdown",
    ".markdown": "text/markdown",
    ".html": "text/html",
    ".htm": "text/html",
    ".csv": "text/csv",
    ".json": "application/json",
    ".xml": "application/xml",
    ".svg": "image/svg+xml",
    ".ics": "text/calendar",
}
# puremagic's guesses from a few bytes are guesses; below this it is not sure enough to be told to others.
_LEAST_CONFIDENCE = 0.4


def is_text(head: bytes, *, whole: bool) -> bool:
    """Whether bytes are UTF-8 text; `whole` says that nothing follows them."""
    if b"\0" in head:
        return False
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head, final=whole)
    except UnicodeDecodeError:
        return False
    return True


def media_type(head: bytes, name: str, *, whole: bool) -> str:
    """The media type of a file that begins with `head`, RFC 6838 form.

    Text is what decodes as UTF-8 without NUL; its kind comes from the suffix. Anything else is told by
    its signature, and `application/octet-stream` where there is none that is known.
    """
    if is_text(head, whole=whole):
        return _TEXT_BY_SUFFIX.get(PurePath(name).suffix.lower(), "text/plain")
    try:
        matches = puremagic.magic_string(head, filename=name)
    except (puremagic.PureError, ValueError, IndexError):
        return "application/octet-stream"
    for match in matches:
        if (
            match.mime_type
            and match.confidence >= _LEAST_CONFIDENCE
            and not match.mime_type.startswith("text/")
        ):
            return str(match.mime_type)
    return "application/octet-stream"
