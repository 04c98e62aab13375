"""What the terminal can show: whether there is one, how wide it is, and bold and dim text on it."""

from __future__ import annotations

import os
import sys
from typing import TextIO

import click

# Where there is no terminal nothing is cut, but prose is still wrapped.
_PROSE_COLUMNS = 100
_LEAST_COLUMNS = 40
_MOST_PROSE_COLUMNS = 120


def is_terminal(stream: TextIO) -> bool:
    return stream.isatty()


def can_ask() -> bool:
    """There is somebody to answer a question: it is written to stderr and read from stdin."""
    return is_terminal(sys.stdin) and is_terminal(sys.stderr)


def coloured() -> bool:
    """Colours on a terminal only, and not where NO_COLOR (no-color.org) or a dumb terminal says otherwise."""
    return is_terminal(sys.stdout) and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def columns() -> int | None:
    """The width of the terminal in columns, None when stdout is none."""
    if not is_terminal(sys.stdout):
        return None
    import shutil

    return max(shutil.get_terminal_size().columns, _LEAST_COLUMNS)


def prose_columns() -> int:
    """The width to wrap prose at."""
    return min(columns() or _PROSE_COLUMNS, _MOST_PROSE_COLUMNS)


def bold(text: str) -> str:
    return click.style(text, bold=True) if coloured() else text


def dim(text: str) -> str:
    return click.style(text, dim=True) if coloured() else text


def accent(text: str) -> str:
    """References and names: what one types next."""
    return click.style(text, fg="cyan") if coloured() else text


def display_width(text: str) -> int:
    """Columns that `text` takes; wide characters take two, combining ones none."""
    if text.isascii():
        return len(text)
    from wcwidth import wcswidth

    return max(wcswidth(text), 0)


def clip(text: str, most: int) -> str:
    """`text` in at most `most` columns, with an ellipsis where it was cut."""
    if display_width(text) <= most:
        return text
    if text.isascii():
        return f"{text[: most - 1]}…"
    from wcwidth import wcwidth

    used, kept = 0, []
    for char in text:
        used += max(wcwidth(char), 0)
        if used > most - 1:
            break
        kept.append(char)
    return f"{''.join(kept)}…"
