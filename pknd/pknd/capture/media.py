"""The media type of bytes, by what they hold; a name only tells kinds of text apart."""

from __future__ import annotations

import codecs
from pathlib import PurePath

import puremagic

# Enough for every signature, and for telling text from bytes.
HEAD_BYTES = 64 * 1024
PLAIN_BYTES = "application/octet-stream"
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
# Formats that may be all ASCII, and are no texts to read: what they hold is code for a printer or a program.
_WRITTEN_IN_ASCII = (
    (b"%PDF-", "application/pdf"),
    (b"%!PS", "application/postscript"),
    (b"{\\rtf", "application/rtf"),
)
# Control characters that stand in texts: tab, line feed, form feed, carriage return, escape (ISO 2022).
_TEXT_CONTROLS = frozenset(b"\t\n\f\r\x1b")
_UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
# puremagic's guesses from a few bytes are guesses; below this it is not sure enough to be told to others.
_LEAST_CONFIDENCE = 0.4


def is_text(head: bytes, *, whole: bool) -> bool:
    """Whether bytes are UTF-8 text; `whole` says that nothing follows them."""
    if b"\0" in head or _ascii_format(head) is not None:
        return False
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head, final=whole)
    except UnicodeDecodeError:
        return False
    return True


def may_be_text(head: bytes) -> bool:
    """Whether bytes that are no UTF-8 look like a text in another encoding."""
    if head.startswith(_UTF16_MARKS):
        return True
    return _ascii_format(head) is None and not any(
        byte < 0x20 and byte not in _TEXT_CONTROLS for byte in set(head)
    )


def rough_text(head: bytes) -> str:
    """The ASCII characters of a text in whatever encoding, among others that mean nothing."""
    for mark in (*_UTF16_MARKS, codecs.BOM_UTF8):
        head = head.removeprefix(mark)
    return head.replace(b"\0", b"").decode("latin-1")


def _ascii_format(head: bytes) -> str | None:
    return next((kind for mark, kind in _WRITTEN_IN_ASCII if head.startswith(mark)), None)


def text_type(name: str) -> str:
    """The media type of a text by the suffix of its name."""
    return _TEXT_BY_SUFFIX.get(PurePath(name).suffix.lower(), "text/plain")


def media_type(head: bytes, name: str, *, whole: bool) -> str:
    """The media type of a file that begins with `head`, RFC 6838 form.

    Text is what decodes as UTF-8 without NUL; its kind comes from the suffix. Anything else is told by
    its signature, and PLAIN_BYTES where there is none that is known.
    """
    if is_text(head, whole=whole):
        return text_type(name)
    if (known := _ascii_format(head)) is not None:
        return known
    try:
        matches = puremagic.magic_string(head, filename=name)
    except (puremagic.PureError, ValueError, IndexError):
        return PLAIN_BYTES
    for match in matches:
        if (
            match.mime_type
            and match.confidence >= _LEAST_CONFIDENCE
            and not match.mime_type.startswith("text/")
        ):
            return str(match.mime_type)
    return PLAIN_BYTES
