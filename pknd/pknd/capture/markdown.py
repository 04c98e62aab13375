"""Markdown with front matter: the fields that the network knows, and the body."""

from __future__ import annotations

import datetime
import re
from dataclasses import replace

from pknd.capture.captured import Captured, CaptureError, ItemKind, first_line
from pknd.capture.front_matter import FrontMatter, read_front_matter
from pknd.capture.language import LANGUAGE_HINT, language_tag
from pknd.capture.tags import BadTag, clean_tags

_HEADING = re.compile(r"^#{1,6}[ \t]+(.+?)[ \t]*#*[ \t]*$", re.MULTILINE)
_LINK = re.compile(r"\]\(\s*<?([^\s)>]+)>?(?:\s+[\"'][^\"']*[\"'])?\s*\)")
_PKN_LINK = re.compile(r"\bpkn:(bafyrei[a-z2-7]{52})\b")
_WIKI_LINK = re.compile(r"\[\[([^\]|#\n]{1,200})(?:[|#][^\]\n]{0,200})?\]\]")
# A first line that is longer is the beginning of a text, not its title.
_TITLE_CHARS = 120
_TAG_SEPARATOR = re.compile(r"[,\s]+")


def capture_markdown(text: str, *, fallback_title: str, name: str | None = None) -> Captured:
    """Read Markdown, with front matter where it has some.

    Known fields: title, tags (a list, or words divided by commas or spaces), lang, audience, kind, date or
    dated, url. Others stay in the file alone.

    Raises:
        CaptureError: the front matter cannot be read, or a known field has a wrong type.
    """
    front = read_front_matter(text)
    fields, body = front.fields, front.body
    stated, heading = _text_field(front, "title"), heading_of(body)
    title = stated or heading or fallback_title
    data = body.encode("utf-8")
    return Captured(
        kind=_kind(front),
        title=title,
        media_type="text/markdown",
        text=body,
        data=data,
        size=len(data),
        name=name,
        tags=_tags(front),
        lang=_lang(front),
        audience=front.audience,
        dated=_date(fields.get("dated", fields.get("date"))),
        url=_text_field(front, "url"),
        links=links_of(body),
        stated_title=stated,
        heading=heading or None,
    )


def plain_note(captured: Captured, text: str, *, stem: str) -> Captured:
    """A plain text as a note, with the title and the tags of its front matter where that can be read.

    Without a title it is called by its first line behind it where that is short, else by `stem`. The content
    stays whole.
    """
    try:
        front = read_front_matter(text)
        stated, tags = _text_field(front, "title"), _tags(front)
    except CaptureError:
        # It may be no front matter at all; who may read the text has been asked of it before, and strictly.
        front, stated, tags = FrontMatter({}, text), None, ()
    title = stated
    if title is None:
        first = first_line(front.body)
        title = first if 0 < len(first) <= _TITLE_CHARS else stem
    excerpt = front.body if front.fields else None
    return replace(captured, kind=ItemKind.NOTE, title=title, tags=tags, excerpt=excerpt, stated_title=stated)


def heading_of(body: str) -> str:
    """A text's first heading; empty where it has none."""
    found = _HEADING.search(body)
    return found.group(1).strip() if found else ""


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


def _text_field(front: FrontMatter, key: str) -> str | None:
    value = front.fields.get(key)
    if value is None or value == "":
        return None
    if isinstance(value, datetime.date | datetime.time):
        # In TOML; in YAML the text as it is written is taken.
        return value.isoformat()
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise front.error(key, f"{key} must be a text", f"write {key}: some text")
    return " ".join(str(value).split())


def _kind(front: FrontMatter) -> ItemKind:
    value = _text_field(front, "kind")
    if value is None:
        return ItemKind.BOOKMARK if front.fields.get("url") else ItemKind.NOTE
    try:
        return ItemKind(value.lower())
    except ValueError:
        raise front.error("kind", f"kind {value!r} is unknown", f"one of {', '.join(ItemKind)}") from None


def _lang(front: FrontMatter) -> str | None:
    value = _text_field(front, "lang")
    if value is None:
        return None
    try:
        return language_tag(value)
    except ValueError as error:
        raise front.error("lang", str(error), f"write {LANGUAGE_HINT}") from None


def _tags(front: FrontMatter) -> tuple[str, ...]:
    value = front.fields.get("tags")
    if value is None:
        return ()
    if isinstance(value, str):
        parts: list[object] = [part for part in _TAG_SEPARATOR.split(value) if part]
    elif isinstance(value, list):
        # An item of the list with nothing behind its dash.
        parts = [part for part in value if part is not None]
    else:
        raise front.error("tags", "tags must be a list", "write tags: [one, two]")
    if not all(isinstance(part, str | int | float | datetime.date | datetime.time) for part in parts):
        raise front.error("tags", "a tag must be a text", "write tags: [one, two]")
    try:
        return clean_tags(map(str, parts))
    except BadTag as error:
        raise front.error("tags", error.message, error.hint) from None


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
