"""Files: read safely, told apart by content, captured."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from pknd.capture.captured import (
    ANALYSED_TEXT_BYTES,
    REFERENCE_ABOVE_BYTES,
    Captured,
    CaptureError,
    ItemKind,
)
from pknd.capture.markdown import capture_markdown
from pknd.capture.media import HEAD_BYTES, is_text, media_type


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
            if is_text(head, whole=whole):
                rest = (
                    b"" if whole else file.read(max(REFERENCE_ABOVE_BYTES, ANALYSED_TEXT_BYTES) - len(head))
                )
                return _capture_text(path, head + rest, about.st_size)
            if about.st_size <= REFERENCE_ABOVE_BYTES:
                return _capture_bytes(
                    path, head + (b"" if whole else file.read(REFERENCE_ABOVE_BYTES)), whole
                )
        except OSError as error:
            raise CaptureError("unreadable", f"{shown(path)} cannot be read: {error.strerror}") from error
    name = file_name(path)
    return Captured(
        kind=ItemKind.FILE,
        title=name,
        media_type=media_type(head, name, whole=whole),
        path=path,
        size=about.st_size,
        name=name,
    )


def _capture_text(path: Path, data: bytes, size: int) -> Captured:
    name = file_name(path)
    kind = media_type(data[:HEAD_BYTES], name, whole=len(data) <= HEAD_BYTES)
    in_place = size > REFERENCE_ABOVE_BYTES
    try:
        text = data.decode("utf-8-sig", errors="ignore" if len(data) < size else "strict")
    except UnicodeDecodeError:
        # The head was text and the rest is not: bytes after all.
        return (
            _capture_bytes(path, data, True)
            if not in_place
            else _in_place(path, size, "application/octet-stream")
        )
    if "\0" in text:
        return (
            _capture_bytes(path, data, True)
            if not in_place
            else _in_place(path, size, "application/octet-stream")
        )
    if in_place:
        return Captured(
            kind=ItemKind.FILE, title=name, media_type=kind, text=text, path=path, size=size, name=name
        )
    if kind == "text/markdown":
        return capture_markdown(text, fallback_title=stem_of(path), name=name)
    if kind == "text/plain":
        first = next((line.strip() for line in text.splitlines() if line.strip()), "")
        title = first if 0 < len(first) <= 120 else stem_of(path)
        return Captured(
            kind=ItemKind.NOTE, title=title, media_type=kind, text=text, data=data, size=len(data), name=name
        )
    return Captured(
        kind=ItemKind.FILE, title=name, media_type=kind, text=text, data=data, size=len(data), name=name
    )


def _in_place(path: Path, size: int, kind: str) -> Captured:
    name = file_name(path)
    return Captured(kind=ItemKind.FILE, title=name, media_type=kind, path=path, size=size, name=name)


def _capture_bytes(path: Path, data: bytes, whole: bool) -> Captured:
    name = file_name(path)
    return Captured(
        kind=ItemKind.FILE,
        title=name,
        media_type=media_type(data[:HEAD_BYTES], name, whole=whole),
        data=data,
        size=len(data),
        name=name,
    )


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
