"""Options that several commands share, declared once."""

from __future__ import annotations

import re
from collections.abc import Callable

import click

from pkn_protocol.control.summaries import Kind

KINDS = tuple(kind.value for kind in Kind)
_Decorator = Callable[[Callable[..., None]], Callable[..., None]]

_BACK = re.compile(r"(\d{1,6})([hdwmy])")
_HOURS = {"h": 1, "d": 24, "w": 7 * 24, "m": 30 * 24, "y": 365 * 24}
_HOUR_MS = 3_600_000


def _moment(context: click.Context, parameter: click.Parameter, text: str | None) -> int | None:
    """Milliseconds since the epoch of a date (2026-03-01, local time) or of a length of time back (7d)."""
    if text is None:
        return None
    from datetime import datetime, timedelta

    try:
        if back := _BACK.fullmatch(text.strip().lower()):
            moment = datetime.now() - timedelta(hours=int(back[1]) * _HOURS[back[2]])
        else:
            moment = datetime.fromisoformat(text.strip())
        return max(int(moment.timestamp() * 1000), 0)
    except (ValueError, OverflowError, OSError):
        raise click.BadParameter(
            f"{text!r} is neither a date (2026-03-01) nor a time back in hours, days, weeks, months or years "
            "(12h, 7d, 2w, 3m, 1y)",
            context,
            parameter,
        ) from None


def filters(*, default_limit: int, most: int) -> _Decorator:
    """The filters of `query` and `list`: --tag, --author, --kind, --since, --limit."""
    return _all(
        click.option(
            "--tag", "tags", multiple=True, metavar="T", help="Only with this tag; may be repeated."
        ),
        click.option("--author", metavar="PERSON", help="Only by this person."),
        click.option("--kind", type=click.Choice(KINDS), help="Only of this kind."),
        click.option(
            "--since", callback=_moment, metavar="WHEN", help="Only since 2026-03-01, or 7d, 12h, 2w, 1y."
        ),
        click.option(
            "--limit",
            type=click.IntRange(1, most),
            default=default_limit,
            metavar="N",
            help=f"At most N items (default {default_limit}).",
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
