"""Tables. wcwidth is loaded when one is printed that needs it, not before."""

from __future__ import annotations

from collections.abc import Sequence

import click

from pkn_cli.output.foreign import harmless
from pkn_cli.output.terminal import accent, bold, clip, columns, display_width

_GAP = 2
_LEAST_FLEXIBLE = 16
_MOST_PADDED = 60


def print_table(headers: Sequence[str], rows: Sequence[Sequence[object]], *, flexible: int) -> None:
    """Print rows under headers, foreign text made harmless.

    The first column holds references that can be typed. On a terminal the column `flexible` is cut so that
    each row fits in a line; elsewhere nothing is cut, and a row that is longer than others stands out.
    """
    cells = [[harmless("" if cell is None else str(cell)) for cell in row] for row in rows]
    room = columns()
    if room is not None:
        widths = [max(display_width(text) for text in column) for column in zip(headers, *cells, strict=True)]
        others = sum(widths) - widths[flexible] + _GAP * (len(widths) - 1)
        most = max(room - others, _LEAST_FLEXIBLE)
        for row in cells:
            row[flexible] = clip(row[flexible], most)
    widths = [max(display_width(text) for text in column) for column in zip(headers, *cells, strict=True)]
    if room is None:
        # One long title shall not push every other row out of sight.
        widths[flexible] = min(widths[flexible], max(_MOST_PADDED, display_width(headers[flexible])))
    for row in [list(headers), *cells]:
        style = bold if row == list(headers) else _plain
        padded = [
            (accent(text) if column == 0 and style is _plain else style(text))
            + " " * (widths[column] - display_width(text) + _GAP)
            for column, text in enumerate(row)
        ]
        click.echo("".join(padded).rstrip())


def _plain(text: str) -> str:
    return text


def print_fields(fields: Sequence[tuple[str, str]]) -> None:
    """Print names and values in two columns, empty values left out; values were made harmless before."""
    shown = [(name, value) for name, value in fields if value]
    width = max((len(name) for name, _ in shown), default=0)
    for name, value in shown:
        click.echo(f"{bold(name)}{'':{width - len(name) + _GAP}}{value}")
