"""Options that several commands share, declared once."""

from __future__ import annotations

from collections.abc import Callable

import click

from pkn_protocol.control.kinds import Kind

KINDS = tuple(kind.value for kind in Kind)
_Decorator = Callable[[Callable[..., None]], Callable[..., None]]


def _moment(context: click.Context, parameter: click.Parameter, text: str | None) -> int | None:
    """Milliseconds since the epoch of a date (2026-03-01, local time) or of a length of time back (7d)."""
    if text is None:
        return None
    from datetime import datetime

    from pkn_protocol.control.moments import moment_of

    try:
        return moment_of(text, datetime.now())
    except ValueError as error:
        raise click.BadParameter(str(error), context, parameter) from None


def filters(*, default_limit: int, most: int) -> _Decorator:
    """The filters of `query` and `list`: --tag, --author, --kind, --since, --limit."""
    return _all(
        plain_filters(),
        click.option(
            "--limit",
            type=click.IntRange(1, most),
            default=default_limit,
            metavar="N",
            help=f"At most N items (default {default_limit}).",
        ),
    )


def plain_filters() -> _Decorator:
    """Those that say which items, and not how many: --tag, --author, --kind, --since."""
    return _all(
        click.option(
            "--tag", "tags", multiple=True, metavar="T", help="Only with this tag; may be repeated."
        ),
        click.option("--author", metavar="PERSON", help="Only by this person."),
        click.option("--kind", type=click.Choice(KINDS), help="Only of this kind."),
        click.option(
            "--since", callback=_moment, metavar="WHEN", help="Only since 2026-03-01, or 7d, 12h, 2w, 1y."
        ),
    )


def audience(help_text: str) -> _Decorator:
    return _all(click.option("--to", "audience", metavar="trusted|public|private", help=help_text))


def yes(help_text: str = "Do not ask.") -> _Decorator:
    return _all(click.option("--yes", is_flag=True, help=help_text))


def _all(*options: _Decorator) -> _Decorator:
    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate
