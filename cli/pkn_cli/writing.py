"""Texts that the user gives: typed in an editor, or from standard input."""

from __future__ import annotations

import os
import sys

import click

from pkn_cli.failures import Exit, Failure
from pkn_cli.output.terminal import is_terminal

# Less than the control API's limit of 16 MiB a request, in which JSON makes six bytes of some characters.
TEXT_BYTES = 2 * 1024 * 1024


def text_from_stdin() -> str:
    """Everything on standard input, as text.

    Raises:
        Failure: nothing came, it is too long, or it is not UTF-8.
    """
    data = sys.stdin.buffer.read(TEXT_BYTES + 1)
    if len(data) > TEXT_BYTES:
        raise Failure(
            "too-large", f"standard input has more than {TEXT_BYTES} bytes", "save it as a file and name that"
        )
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Failure(
            "not-text", "standard input is not UTF-8 text", "save it as a file and name that"
        ) from error
    if not text.strip():
        raise Failure("empty", "nothing came on standard input", "pipe a text in, or name a file")
    return text


def text_from_editor(before: str = "") -> str:
    """What the user wrote in $VISUAL or $EDITOR, beginning with `before`.

    Raises:
        Failure: there is no editor to open, it failed, or nothing was changed.
    """
    if not editor_at_hand():
        raise Failure(
            "usage",
            "there is no terminal to edit on",
            "name a file, or - to read it",
            status=Exit.WRONG_USAGE,
        )
    after = click.edit(before, extension=".md", require_save=True)
    if after is None or after == before or not after.strip():
        raise Failure("unchanged", "nothing was written, so nothing was changed")
    return after


def editor_at_hand() -> bool:
    """An editor was named, or there is a terminal on which the system's own can open."""
    named = os.environ.get("VISUAL") or os.environ.get("EDITOR")
    return bool(named) or (is_terminal(sys.stdin) and is_terminal(sys.stdout))
