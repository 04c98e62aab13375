"""Files: read safely, told apart by content, captured."""

from __future__ import annotations

import os
import stat
from dataclasses import replace
from pathlib import Path

from pknd.capture.captured import (
    ANALYSED_TEXT_BYTES,
    REFERENCE_ABOVE_BYTES,
    Captured,
    CaptureError,
    ItemKind,
)
from pknd.capture.front_matter import read_front_matter, stated_audience
from pknd.capture.html import title_and_text
from pknd.capture.markdown import capture_markdown, plain_note
from pknd.capture.media import (
    HEAD_BYTES,
    PLAIN_BYTES,
    is_text,
    may_be_text,
    media_type,
    rough_text,
    text_type,
)
from pknd.capture.shortcuts import address_in


def capture_file(path: Path) -> Captured:
    """Capture one file, which is read once and never waited for (a pipe is refused, not opened for reading).

    Raises:
        CaptureError: not a regular file, unreadable, changed while it was read, or bad front matter.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise CaptureError("not-found", f"{shown(path)} does not exist", "check the path") from None
    except OSError as error:
        raise CaptureError(
            "unreadable", f"{shown(path)} cannot be read: {error.strerror}", "check its permissions"
        ) from error
    with os.fdopen(descriptor, "rb", closefd=True) as file:
        about = os.fstat(file.fileno())
        if not stat.S_ISREG(about.st_mode):
            raise CaptureError(
                "not-a-file", f"{shown(path)} is not a regular file", "publish files or folders"
            )
        try:
            head = file.read(HEAD_BYTES)
            whole = len(head) >= about.st_size
            if whole and (address := address_in(path.name, head)) is not None:
                return _capture_address(path, address)
            if is_text(head, whole=whole):
                rest = (
                    b"" if whole else file.read(max(REFERENCE_ABOVE_BYTES, ANALYSED_TEXT_BYTES) - len(head))
                )
                return capture_text(path, head + rest, about.st_size)
            if about.st_size <= REFERENCE_ABOVE_BYTES:
                return _capture_bytes(path, head + (b"" if whole else file.read(REFERENCE_ABOVE_BYTES)))
        except OSError as error:
            raise CaptureError("unreadable", f"{shown(path)} cannot be read: {error.strerror}") from error
    return _in_place(path, head, about.st_size)


def _capture_address(path: Path, address: str) -> Captured:
    return Captured(
        kind=ItemKind.BOOKMARK,
        title=stem_of(path),
        media_type="text/markdown",
        text="",
        excerpt="\n" + address,
        name=file_name(path),
        url=address,
    )


def capture_text(path: Path, data: bytes, size: int) -> Captured:
    """Capture a text of `size` bytes, or its beginning.

    Raises:
        CaptureError: bad front matter.
    """
    name = file_name(path)
    kind = text_type(name)
    in_place = size > REFERENCE_ABOVE_BYTES
    try:
        text = data.decode("utf-8-sig", errors="ignore" if len(data) < size else "strict")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        # The head was text and the rest is not: bytes after all.
        return _in_place(path, data, size, PLAIN_BYTES) if in_place else _capture_bytes(path, data)
    if kind == "text/markdown" and not in_place:
        return capture_markdown(text, fallback_title=stem_of(path), name=name)
    audience = read_front_matter(text).audience if kind == "text/markdown" else stated_audience(text)
    captured = Captured(
        kind=ItemKind.FILE, title=name, media_type=kind, text=text, size=size, name=name, audience=audience
    )
    if kind == "text/html":
        title, seen = title_and_text(text)
        captured = replace(captured, title=title or name, heading=title or None, excerpt=seen)
    if in_place:
        return replace(captured, path=path)
    if kind == "text/plain":
        captured = plain_note(captured, text, stem=stem_of(path))
    return replace(captured, data=data)


def _in_place(path: Path, head: bytes, size: int, kind: str | None = None) -> Captured:
    name = file_name(path)
    return Captured(
        kind=ItemKind.FILE,
        title=name,
        media_type=kind or media_type(head[:HEAD_BYTES], name, whole=len(head) >= size),
        path=path,
        size=size,
        name=name,
        warnings=_look_at_bytes(head[:HEAD_BYTES]),
    )


def _capture_bytes(path: Path, data: bytes) -> Captured:
    name = file_name(path)
    return Captured(
        kind=ItemKind.FILE,
        title=name,
        media_type=media_type(data[:HEAD_BYTES], name, whole=len(data) <= HEAD_BYTES),
        data=data,
        size=len(data),
        name=name,
        warnings=_look_at_bytes(data[:HEAD_BYTES]),
    )


def _look_at_bytes(head: bytes) -> tuple[str, ...]:
    """What to say of bytes that may be a text in another encoding than UTF-8.

    Raises:
        CaptureError: it says who may read it, where that cannot be read.
    """
    try:
        hidden = stated_audience(rough_text(head)) is not None
    except CaptureError:
        hidden = True
    if hidden:
        raise CaptureError(
            "not-utf-8",
            "its front matter says who may read it, but it is no UTF-8 text",
            "save it as UTF-8",
        )
    if not may_be_text(head):
        return ()
    return ("it is no UTF-8 text, so its words are not searched; saved as UTF-8 they are",)


def file_name(path: Path) -> str:
    """A path's last part as text that can be signed: bytes that are no UTF-8 are replaced."""
    return os.fsencode(path.name).decode("utf-8", errors="replace").replace("\0", "�")


def stem_of(path: Path) -> str:
    name = file_name(path)
    stem, _, suffix = name.rpartition(".")
    return stem if stem and suffix else name


def shown(path: Path) -> str:
    """A path for a message: no bytes that are not text."""
    return os.fsencode(path).decode("utf-8", errors="replace")
