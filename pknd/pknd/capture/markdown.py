"""Markdown with front matter: the fields that the network knows, and the body."""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping

import frontmatter
import yaml

from pknd.capture.captured import Captured, CaptureError, ItemKind

# A front matter block longer than this is not one; it also bounds what the YAML reader is given.
FRONT_MATTER_BYTES = 64 * 1024
_HEADING = re.compile(r"^#{1,6}[ \t]+(.+?)[ \t]*#*[ \t]*$", re.MULTILINE)
_LINK = re.compile(r"\]\(\s*<?([^\s)>]+)>?(?:\s+[\"'][^\"']*[\"'])?\s*\)")
_PKN_LINK = re.compile(r"\bpkn:(bafyrei[a-z2-7]{52})\b")
_WIKI_LINK = re.compile(r"\[\[([^\]|#\n]{1,200})(?:[|#][^\]\n]{0,200})?\]\]")
_TAG_SEPARATOR = re.compile(r"[,\s]+")


def capture_markdown(text: str, *, fallback_title: str, name: str | None = None) -> Captured:
    """Read Markdown, with YAML front matter where it has some.

    Known fields: title, tags (a list, or words divided by commas or spaces), lang, audience, kind, date or
    dated, url. Others stay in the file alone.

    Raises:
        CaptureError: the front matter is not YAML, too long, or a known field has a wrong type.
    """
    fields, body = _split(text)
    heading = _HEADING.search(body)
    title = _text_field(fields, "title") or (heading.group(1).strip() if heading else "") or fallback_title
    data = body.encode("utf-8")
    return Captured(
        kind=_kind(fields),
        title=title,
        media_type="text/markdown",
        text=body,
        data=data,
        size=len(data),
        name=name,
        tags=_tags(fields.get("tags")),
        lang=_text_field(fields, "lang"),
        audience=_text_field(fields, "audience"),
        dated=_date(fields.get("dated", fields.get("date"))),
        url=_text_field(fields, "url"),
        links=links_of(body),
    )


def links_of(body: str) -> tuple[str, ...]:
    """The targets of a text's links in the order of their first mention: hrefs, `pkn:` ids, wiki names."""
    found: dict[str, None] = {}
    # Looked for plainly first: most texts have none, and expressions try every character.
    if "](" in body:
        found.update((match.group(1), None) for match in _LINK.finditer(body))
    if "pkn:" in body:
        found.update(("pkn:" + match.group(1), None) for match in _PKN_LINK.finditer(body))
    if "[[" in body:
        found.update((match.group(1).strip() + ".md", None) for match in _WIKI_LINK.finditer(body))
    return tuple(found)


def _split(text: str) -> tuple[Mapping[str, object], str]:
    if not text.startswith("---"):
        return {}, text
    end = text.find("\n---", 3)
    if end < 0 or len(text[:end].encode("utf-8")) > FRONT_MATTER_BYTES:
        return {}, text
    try:
        fields, body = frontmatter.parse(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        line = str(error).splitlines()[0]
        raise CaptureError(
            "bad-front-matter",
            f"the front matter between the two --- lines is not YAML: {line}",
            "quote values that hold a colon, or remove the block",
        ) from error
    return (fields if isinstance(fields, dict) else {}), body


def _text_field(fields: Mapping[str, object], key: str) -> str | None:
    value = fields.get(key)
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise CaptureError(
            "bad-front-matter", f"front matter: {key} must be a text", f"write {key}: some text"
        )
    return " ".join(str(value).split())


def _kind(fields: Mapping[str, object]) -> ItemKind:
    value = _text_field(fields, "kind")
    if value is None:
        return ItemKind.BOOKMARK if fields.get("url") else ItemKind.NOTE
    try:
        return ItemKind(value)
    except ValueError:
        known = ", ".join(ItemKind)
        raise CaptureError(
            "bad-front-matter", f"front matter: kind {value!r} is unknown", f"one of {known}"
        ) from None


def _tags(value: object) -> tuple[str, ...]:
    if value is None:
        return ()
    if isinstance(value, str):
        parts: list[object] = list(_TAG_SEPARATOR.split(value))
    elif isinstance(value, list):
        parts = value
    else:
        raise CaptureError("bad-front-matter", "front matter: tags must be a list", "write tags: [one, two]")
    found: dict[str, None] = {}
    for part in parts:
        if isinstance(part, dict | list) or part is None:
            raise CaptureError(
                "bad-front-matter", "front matter: a tag must be a text", "write tags: [one, two]"
            )
        tag = "-".join(str(part).strip().lstrip("#").split())
        if tag:
            found.setdefault(tag)
    return tuple(found)


def _date(value: object) -> int | None:
    """Milliseconds since the epoch of a front matter date; a text that is no ISO date is left out."""
    if isinstance(value, str):
        try:
            value = datetime.datetime.fromisoformat(value)
        except ValueError:
            return None
    if isinstance(value, datetime.datetime):
        moment = value if value.tzinfo else value.replace(tzinfo=datetime.UTC)
        return int(moment.timestamp() * 1000)
    if isinstance(value, datetime.date):
        midnight = datetime.datetime.combine(value, datetime.time(), datetime.UTC)
        return int(midnight.timestamp() * 1000)
    return None
