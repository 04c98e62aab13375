"""The texts that are here, as phrases and passages are looked for in them."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

from pkn_protocol.records.ids import Cid
from pknd.items.content import read_text
from pknd.store.files import BlockFiles
from pknd.store.records import Held

TEXT_BYTES = 512 * 1024
"""Of a held text, what phrases and passages are looked for in."""


REMEMBERED_CHARS = 1024 * 1024
"""Of all texts that a query has read, while it lasts."""
TextOf = Callable[[sqlite3.Connection, Held], str | None]
"""The text of an item where it is held here, else None."""


class Texts:
    def __init__(self, files: BlockFiles) -> None:
        self._files = files

    def of(self, db: sqlite3.Connection, held: Held) -> str | None:
        """The text of an item where it is held, else None."""
        return read_text(db, self._files, held, most=TEXT_BYTES)


def once_read(text_of: TextOf) -> TextOf:
    """The same for one query, which reads a text for its score, its phrases and its passage."""
    known: dict[Cid, str] = {}
    left = REMEMBERED_CHARS

    def of(db: sqlite3.Connection, held: Held) -> str | None:
        nonlocal left
        text = known.get(held.record.id)
        if text is None:
            text = text_of(db, held)
            if text is not None and len(text) <= left:
                known[held.record.id] = text
                left -= len(text)
        return text

    return of


def without_heading(text: str, title: str) -> str:
    """A text without a first line that only repeats its title, which stands above the passage anyway."""
    first, _, rest = text.partition("\n")
    return rest.lstrip("\n") if first.strip("# ").strip() == title and rest.strip() else text
