"""Passages without the marks of Markdown and HTML, which say how a text looks.

Short expressions on a few hundred characters, and no parser: of each text one passage is shown, and a parser
would read all of it for that. What is only taken for a mark loses nothing but that mark.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from html import unescape
from typing import TypeAlias

from pkn_protocol.records.model import Item
from pkn_protocol.search.passages import PASSAGE_CHARS, Passage, best_passage
from pkn_protocol.search.query import Query

_AFTER_CHARS = 480
"""Behind a passage so much more is looked at: without marks there is room for more words."""

_Rule: TypeAlias = tuple[re.Pattern[str], str]
_MARKDOWN: Sequence[_Rule] = (
    # The passage begins inside of a link.
    (re.compile(r"\A([^\[\]\n]*)\]\([^()\s]*\)"), r"\1"),
    # Lines of marks alone: code fences, rules, underlines of headings, the lines below the heads of tables.
    (re.compile(r"^[ \t]*(?:```|~~~)[^\n`]*$", re.MULTILINE), ""),
    (re.compile(r"^[ \t]*[-=*_|:+][-=*_|:+ \t]{2,}$", re.MULTILINE), ""),
    # What begins a line.
    (re.compile(r"^[ \t]*>[> \t]*", re.MULTILINE), ""),
    (re.compile(r"^[ \t]*#{1,6}[ \t]+", re.MULTILINE), ""),
    (re.compile(r"^[ \t]*[-*+][ \t]+(?:\[[ xX]\][ \t]+)?", re.MULTILINE), ""),
    # Links and pictures: what they are called.
    (re.compile(r"!?\[([^\[\]\n]*)\]\([^()\s]*(?:[ \t]+[\"'][^\"'\n]*[\"'])?\)"), r"\1"),
    (re.compile(r"!?\[\[[^\[\]|\n]+\|([^\[\]\n]+)\]\]"), r"\1"),
    (re.compile(r"!?\[\[([^\[\]|\n]+)\]\]"), r"\1"),
    (re.compile(r"!?\[([^\[\]\n]+)\]\[[^\[\]\n]*\]"), r"\1"),
    (re.compile(r"<((?:https?://|mailto:)[^<>\s]+)>"), r"\1"),
    # Emphasis, code, and what was escaped.
    (re.compile(r"(`{1,2})([^`\n]+)\1"), r"\2"),
    (re.compile(r"\*\*(?=\S)([^*\n]+)(?<=\S)\*\*"), r"\1"),
    (re.compile(r"(?<!\w)__(?=\S)([^_\n]+)(?<=\S)__(?!\w)"), r"\1"),
    (re.compile(r"(?<![\w*\\])\*(?=[^\s*])([^*\n]+)(?<=[^\s*\\])\*(?![\w*])"), r"\1"),
    (re.compile(r"(?<![\w\\])_(?=[^\s_])([^_\n]+)(?<=[^\s_\\])_(?!\w)"), r"\1"),
    (re.compile(r"~~(?=\S)([^~\n]+)(?<=\S)~~"), r"\1"),
    (re.compile(r"\\([!-/:-@\[-`{-~])"), r"\1"),
)
_CUT_TAG = re.compile(r"\A[^<>]*>|<[^<>]*\Z")
_TAG = re.compile(r"<[^<>]*>")


def plain_passage(text: str, item: Item, query: Query, weights: Sequence[float]) -> Passage | None:
    """The passage of an item's text, or of its excerpt, that answers a query best, as a reader of the text
    sees it, near enough; see `best_passage`."""
    lang = item.lang or ""
    found = best_passage(text, lang, query, weights)
    form = None if item.payload is None else _FORMS.get(item.payload.type.partition(";")[0].strip())
    if found is None or form is None:
        return found
    raw = text[found.start : found.start + len(found.text)]
    if form(raw) == raw:
        return found
    around = text[found.start : found.start + PASSAGE_CHARS + _AFTER_CHARS]
    return best_passage(form(around), lang, query, weights) or found


def _of_markdown(text: str) -> str:
    for pattern, kept in _MARKDOWN:
        text = pattern.sub(kept, text)
    return text


def _of_html(text: str) -> str:
    return unescape(_TAG.sub(" ", _CUT_TAG.sub(" ", text)))


_FORMS: dict[str, Callable[[str], str]] = {"text/markdown": _of_markdown, "text/html": _of_html}
