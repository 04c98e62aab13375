"""Tags of languages, as people give them for a text."""

from __future__ import annotations

import re

from pkn_protocol.records.limits import LANG_BYTES
from pkn_protocol.text.languages import LANGUAGES, primary

# RFC 5646, 2.1: a language of two or three letters, then subtags. Registered languages of more letters, and
# private or grandfathered tags, are not in use for texts.
_TAG = re.compile(r"[A-Za-z]{2,3}(?:-[A-Za-z0-9]{2,8}){0,6}", re.ASCII)
LANGUAGE_HINT = "a tag such as en or pt-BR"


def language_tag(text: str) -> str:
    """A language's tag as it is signed.

    Raises:
        ValueError: it has not the form of one (RFC 5646).
    """
    tag = text.strip().replace("_", "-")
    if _TAG.fullmatch(tag) is None or len(tag) > LANG_BYTES:
        raise ValueError(f"{text!r} is no tag of a language")
    language, *rest = tag.split("-")
    return "-".join([language.lower(), *rest])


def language_note(tag: str | None) -> str | None:
    """What to say of a language that somebody gave and that has no stemmer here; None otherwise."""
    if tag is None or primary(tag) in LANGUAGES:
        return None
    return f"words of {tag} are found as they are written: endings are known in {', '.join(LANGUAGES)}"
