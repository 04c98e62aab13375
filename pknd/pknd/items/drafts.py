"""From captured content to the fields of an item: bounded, analysed, with its sketch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pkn_protocol.records import limits
from pkn_protocol.records.ids import Cid
from pkn_protocol.records.model import Item, Payload
from pkn_protocol.text.analysis import analyse
from pkn_protocol.text.languages import guess_language
from pkn_protocol.text.sketch import Sketch, item_text
from pkn_protocol.text.sketch_making import make_sketches
from pknd.capture.captured import ANALYSED_TEXT_BYTES, Captured, excerpt_of
from pknd.capture.language import language_note

_MOST_BYTES_A_CODE_POINT = 4


@dataclass(frozen=True, slots=True)
class Analysed:
    """An item's signed title, and what analysis found: language, sketch and its bytes, excerpt."""

    title: str
    lang: str | None
    sketch: Sketch | None
    packed: bytes | None
    excerpt: str


def analyse_captured(captured: Sequence[Captured], *, default_lang: str) -> list[Analysed]:
    """Read the titles and texts (at most 4 MiB of each) of captured items; costly, so for a thread.

    An item with no words to read (a picture) gets neither sketch nor excerpt; its title is searched by
    itself.
    """
    read = [_read(one, default_lang) for one in captured]
    sketches = iter(make_sketches([one.stems for one in read if one.stems is not None]))
    analysed = []
    for one in read:
        sketch, packed = (None, None) if one.stems is None else next(sketches)
        analysed.append(Analysed(one.title, one.lang, sketch, packed, one.excerpt))
    return analysed


@dataclass(frozen=True, slots=True)
class _Read:
    """`stems`: None where there is nothing to read."""

    title: str
    lang: str | None
    stems: list[int] | None
    excerpt: str


def _read(captured: Captured, default_lang: str) -> _Read:
    # The title as it will be signed: others make the sketch again from the record and the text.
    title = clipped(" ".join(captured.title.split()), limits.TITLE_BYTES) or "Untitled"
    if captured.text is None:
        return _Read(title, captured.lang, None, "")
    text = analysed_part(captured.text)
    whole = item_text(title, text, captured.url)
    lang = captured.lang or guess_language(whole, default_lang)
    shown = text if captured.excerpt is None else captured.excerpt
    excerpt = clipped(excerpt_of(shown, captured.title), limits.EXCERPT_BYTES)
    return _Read(title, lang, analyse(whole, lang), excerpt)


def notes_on(captured: Captured) -> tuple[str, ...]:
    """What to tell the user about a captured item, in words."""
    notes = list(captured.warnings)
    if (note := language_note(captured.lang)) is not None:
        notes.append(note)
    if len(captured.tags) > limits.TAGS:
        notes.append(f"it has {len(captured.tags)} tags; the first {limits.TAGS} are kept")
    return tuple(notes)


def analysed_part(text: str) -> str:
    """What analysis reads of a text: its first 4 MiB of UTF-8 (SPEC, Text)."""
    if len(text) <= ANALYSED_TEXT_BYTES // _MOST_BYTES_A_CODE_POINT:
        return text
    return text.encode("utf-8", errors="replace")[:ANALYSED_TEXT_BYTES].decode("utf-8", errors="ignore")


def item_body(
    captured: Captured, analysed: Analysed, *, payload: Payload | None, links: tuple[Cid, ...] = ()
) -> Item:
    """The item's signed fields; texts that are too long are cut at a character, surplus tags left out."""
    return Item(
        title=analysed.title,
        tags=tuple(clipped(tag, limits.TAG_BYTES) for tag in captured.tags)[: limits.TAGS],
        lang=analysed.lang,
        excerpt=analysed.excerpt,
        sketch=analysed.packed,
        payload=payload,
        links=links[: limits.LINKS],
        url=captured.url,
        name=clipped(captured.name, limits.NAME_BYTES) if captured.name else None,
    )


def clipped(text: str, most_bytes: int) -> str:
    """`text` without NUL, cut to at most `most_bytes` of UTF-8 at a character's end."""
    encoded = text.replace("\0", "").encode("utf-8", errors="replace")
    if len(encoded) <= most_bytes:
        return encoded.decode("utf-8")
    return encoded[:most_bytes].decode("utf-8", errors="ignore")
