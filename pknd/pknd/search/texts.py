"""The texts that are here, as phrases and passages are looked for in them."""

from __future__ import annotations

import sqlite3

from pknd.items.content import read_text
from pknd.store.files import BlockFiles
from pknd.store.records import Held

TEXT_BYTES = 512 * 1024
"""Of a held text, what phrases and passages are looked for in."""


class Texts:
    def __init__(self, files: BlockFiles) -> None:
        self._files = files

    def of(self, db: sqlite3.Connection, held: Held) -> str | None:
        """The text of an item where it is held, else None."""
        return read_text(db, self._files, held, most=TEXT_BYTES)


def without_heading(text: str, title: str) -> str:
    """A text without a first line that only repeats its title, which stands above the passage anyway."""
    first, _, rest = text.partition("\n")
    return rest.lstrip("\n") if first.strip("# ").strip() == title and rest.strip() else text
