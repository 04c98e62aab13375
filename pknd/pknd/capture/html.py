"""Web pages that were saved as files: what they call themselves, and how they begin.

The words of a page are searched as its source has them, since a sketch is made of what the payload holds
(SPEC, Text); only what is shown in lists is read out of it.
"""

from __future__ import annotations

from html.parser import HTMLParser

# Title and first lines stand near the beginning.
_READ_CHARS = 256 * 1024
_UNSEEN = frozenset({"script", "style", "template", "noscript", "svg", "title"})


def title_and_text(source: str) -> tuple[str | None, str]:
    """A page's title (None where it has none), and the beginning of what a reader of it sees."""
    reader = _Reader()
    try:
        reader.feed(source[:_READ_CHARS])
    except (AssertionError, ValueError):
        # html.parser gives up on some declarations; what it has read until then will do.
        return " ".join(reader.title.split()) or None, reader.text
    return " ".join(reader.title.split()) or None, reader.text


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.title = ""
        self._parts: list[str] = []
        self._unseen: list[str] = []

    @property
    def text(self) -> str:
        return "\n".join(self._parts)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _UNSEEN:
            self._unseen.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in self._unseen:
            del self._unseen[self._unseen.index(tag) :]

    def handle_data(self, data: str) -> None:
        if self._unseen == ["title"] and not self.title:
            self.title = data
        elif not self._unseen and data.strip():
            self._parts.append(" ".join(data.split()))
