"""Which sketches can be the one of a text: a function of the record (SPEC, Search, Sketches that lie)."""

from __future__ import annotations

from pkn_protocol.records.model import Item, Payload
from pkn_protocol.text.languages import STEMMERS, primary
from pkn_protocol.text.sketch import agrees_with_text

_TEXT_TYPES = ("text/", "application/json", "application/xml", "image/svg+xml")
_DEFAULT_LANG = "en"


def is_text(payload: Payload) -> bool:
    """Whether a payload is a text to be read, as its media type says."""
    return payload.type.startswith(_TEXT_TYPES)


def analysed_as(item: Item) -> str:
    """The language in which the words of an item are read."""
    # Languages without a stemmer are all analysed alike; foreign names of languages make no caches.
    lang = primary(item.lang or _DEFAULT_LANG)
    return lang if lang in STEMMERS else ""


def counted_sketch(item: Item) -> bytes | None:
    """An item's sketch, if it counts until its text shows otherwise; it may still be no sketch at all.

    No text could ever show it where there is none to fetch: without a payload, or with an empty one, the text
    is title and address, and the sketch is made anew of these; a payload that is no text has none.
    """
    sketch, payload = item.sketch, item.payload
    if sketch is None or (payload is not None and not is_text(payload)):
        return None
    if payload is not None and payload.size:
        return sketch
    return sketch if agrees_with_text(sketch, item.title, "", analysed_as(item), item.url) else None
