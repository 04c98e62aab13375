"""Tables. tabulate and wcwidth are loaded when one is printed, not before."""

from __future__ import annotations

from collections.abc import Sequence

import click

from pkn_cli.output.foreign import harmless
from pkn_cli.output.terminal import accent, bold, clip, columns, display_width

_GAP = 2
_LEAST_FLEXIBLE = 16


def print_table(headers: Sequence[str], rows: Sequence[Sequence[object]], *, flexible: int) -> None:
    """Print rows under headers, foreign text made harmless.

    The first column holds references that can be typed. On a terminal the column `flexible` is cut so that
    each row fits in a line; elsewhere nothing is cut.
    """
    from tabulate import tabulate

    cells = [[harmless("" if cell is None else str(cell)) for cell in row] for row in rows]
    room = columns()
    if room is not None:
        widths = [max(display_width(text) for text in column) for column in zip(headers, *cells, strict=True)]
        others = sum(widths) - widths[flexible] + _GAP * (len(widths) - 1)
        most = max(room - others, _LEAST_FLEXIBLE)
        for row in cells:
            row[flexible] = clip(row[flexible], most)
    styled = [[accent(row[0]), *row[1:]] for row in cells]
    # The headers as a row, because tabulate makes columns under headers two wider than they need be. Without
    # disable_numparse a reference of digits alone, or 12e4567890, would be rewritten as a number.
    text = tabulate([[bold(header) for header in headers], *styled], tablefmt="plain", disable_numparse=True)
    for line in text.splitlines():
        click.echo(line.rstrip())


def print_fields(fields: Sequence[tuple[str, str]]) -> None:
    """Print names and values in two columns, empty values left out; values were made harmless before."""
    shown = [(name, value) for name, value in fields if value]
    width = max((len(name) for name, _ in shown), default=0)
    for name, value in shown:
        click.echo(f"{bold(name)}{'':{width - len(name) + _GAP}}{value}")
