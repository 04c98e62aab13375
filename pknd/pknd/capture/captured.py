"""What a capture module hands on: an item's content, before it is analysed and signed."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from pknd.errors import DomainError

# Text beyond this is stored whole but not read for the sketch: a sketch holds 1,024 stems at most, and a
# text of 4 MiB has long since shown them.
ANALYSED_TEXT_BYTES = 4 * 1024 * 1024
# Own files above this stay where they lie and are referenced (DESIGN: own files are not held twice).
REFERENCE_ABOVE_BYTES = 1024 * 1024
EXCERPT_CHARS = 280


FENCES = ("---", "+++", "...")
"""Lines that open or close front matter."""


class CaptureError(DomainError):
    """A source that cannot be captured."""


class ItemKind(StrEnum):
    NOTE = "note"
    PAGE = "page"
    BOOKMARK = "bookmark"
    QUESTION = "question"
    FILE = "file"


@dataclass(frozen=True, slots=True)
class Captured:
    """One item's content.

    `title` is what it is called; `stated_title` is what its front matter calls it, `heading` the text's (of a
    page its title), None where there is none. `text` is what is analysed (None: nothing to read in it),
    `excerpt` what is shown of it where that is not its own first lines; `data` the payload's bytes, None
    where `path` names a file that is referenced in place or where there is no payload. `links` are hrefs as
    written, `warnings` what to tell the user.
    """

    kind: ItemKind
    title: str
    media_type: str
    text: str | None = None
    excerpt: str | None = None
    data: bytes | None = None
    path: Path | None = None
    size: int = 0
    name: str | None = None
    tags: tuple[str, ...] = ()
    lang: str | None = None
    audience: str | None = None
    dated: int | None = None
    url: str | None = None
    links: tuple[str, ...] = ()
    stated_title: str | None = None
    heading: str | None = None
    warnings: tuple[str, ...] = field(default=())


def first_line(text: str, *, strip: str = "") -> str:
    """The first line that says something, without `strip` at its ends; empty where there is none. What opens
    or closes front matter, or is a rule, is no title."""
    lines = (line.strip().strip(strip + " ") for line in text.splitlines())
    return next((line for line in lines if line and line not in FENCES), "")


def excerpt_of(text: str, title: str) -> str:
    """The first lines of a text in one, without a heading that repeats the title."""
    lines: list[str] = []
    length = 0
    for line in text.splitlines():
        plain = line.strip().lstrip("#").strip() if line.lstrip().startswith("#") else line.strip()
        if not plain or (not lines and plain == title):
            continue
        lines.append(plain)
        length += len(plain) + 1
        if length > EXCERPT_CHARS:
            break
    whole = " ".join(" ".join(lines).split())
    if len(whole) <= EXCERPT_CHARS:
        return whole
    cut = whole.rfind(" ", EXCERPT_CHARS // 2, EXCERPT_CHARS)
    return whole[: cut if cut > 0 else EXCERPT_CHARS - 1] + "…"
