"""The words of a query, among which an option that was mistyped must not pass for one."""

from __future__ import annotations

from collections.abc import Sequence

import click

from pkn_cli.context import App


def check_words(app: App, words: Sequence[str]) -> None:
    """Refuse what looks like a long option; say of what looks like a short one how it was taken.

    Raises:
        click.UsageError: one of the words begins with two hyphens.
    """
    unknown = next((word for word in words if word.startswith("--")), None)
    if unknown is not None:
        raise _no_such_option(unknown)
    if (taken := _exclusion_like_an_option(words)) is not None:
        word, option = taken
        app.note(f"pkn: {word} was taken for a word that must not occur; there is an option {option}")


def _no_such_option(typed: str) -> click.NoSuchOption:
    import difflib

    context = click.get_current_context()
    known = _options(context)
    name = typed.partition("=")[0]
    if name in known:
        # Behind `--` all are words.
        raise click.UsageError(f"the option {name} must come before --", context)
    return click.NoSuchOption(name, possibilities=difflib.get_close_matches(name, known), ctx=context)


def _options(context: click.Context) -> list[str]:
    names = (name for parameter in context.command.params for name in parameter.opts)
    return list(dict.fromkeys(name for name in names if name.startswith("--")))


def _exclusion_like_an_option(words: Sequence[str]) -> tuple[str, str] | None:
    """A word such as -l, which would be an option elsewhere, and the option that may have been meant."""
    known = _options(click.get_current_context())
    for word in words:
        if len(word) == 2 and word[0] == "-":
            option = next((name for name in known if name[2] == word[1].lower()), None)
            if option is not None:
                return word, option
    return None
