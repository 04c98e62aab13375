"""The kinds of items, by name."""

# On its own, since commands that only filter by them start quicker without the shapes of replies.

from __future__ import annotations

from enum import StrEnum


class Kind(StrEnum):
    NOTE = "note"
    PAGE = "page"
    BOOKMARK = "bookmark"
    QUESTION = "question"
    FILE = "file"
