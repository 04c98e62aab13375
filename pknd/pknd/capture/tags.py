"""Tags as they are stored: one rule for options, front matter and filters."""

from __future__ import annotations

from collections.abc import Iterable
from unicodedata import category

from pkn_protocol.control.errors import ErrorCode
from pkn_protocol.records.limits import TAG_BYTES
from pknd.errors import DomainError

_HINT = "a tag is a word or several, as in: physics, or physics/fluids"
# Joiners stand within words of Persian and of Indian languages, and within emoji.
_JOINERS = "\u200c\u200d"
# Control and format characters, halves of surrogate pairs, private use: not seen, or seen as something else.
_UNSEEN = ("Cc", "Cf", "Cs", "Co")
_SHOWN_CHARS = 40


class BadTag(DomainError):
    """What cannot be a tag."""

    def __init__(self, problem: str) -> None:
        super().__init__(ErrorCode.BAD_REQUEST, problem, _HINT)


def clean_tag(text: str) -> str:
    """A tag without the `#` that people type before it, its words joined by hyphens.

    Raises:
        BadTag: nothing is left, it holds characters that nobody sees, or it has more than 128 bytes.
    """
    tag = "-".join(text.strip().lstrip("#").split())
    if not tag:
        raise BadTag("a tag is empty")
    unseen = next((char for char in tag if category(char) in _UNSEEN and char not in _JOINERS), None)
    if unseen is not None:
        raise BadTag(f"a tag holds U+{ord(unseen):04X}, which is no character to be seen")
    size = len(tag.encode("utf-8"))
    if size > TAG_BYTES:
        raise BadTag(f"the tag {tag[:_SHOWN_CHARS]}… has {size} bytes, and may have {TAG_BYTES}")
    return tag


def clean_tags(tags: Iterable[str]) -> tuple[str, ...]:
    """Each tag once.

    Raises:
        BadTag: see `clean_tag`.
    """
    return tuple(dict.fromkeys(map(clean_tag, tags)))
