"""`pkn log`."""

from __future__ import annotations

import json
import sys

import click

from pkn_cli.client import path_of
from pkn_cli.command import command
from pkn_cli.context import App
from pkn_cli.failures import NotRunning
from pkn_cli.output.foreign import harmless

_MOST_LINES = 1000


@command(
    "log",
    prints="one event a line, oldest first.",
    examples=["pkn log --lines 20", "pkn log --follow"],
)
@click.option("-f", "--follow", is_flag=True, help="Go on with new events until Ctrl-C.")
@click.option(
    "-n",
    "--lines",
    type=click.IntRange(0, _MOST_LINES),
    default=100,
    metavar="N",
    help="The newest N (default 100).",
)
def log(app: App, follow: bool, lines: int) -> None:
    """Show what your daemon did lately.

    These are events of the running daemon; earlier ones are in pknd.log in the home.
    """
    parameters = [("lines", str(lines)), *([("follow", "1")] if follow else [])]
    try:
        for entry in app.client.stream("GET", path_of("log"), parameters, seconds=None):
            click.echo(json.dumps(entry) if app.json else harmless(str(entry.get("line", ""))))
            if follow:
                sys.stdout.flush()
    except NotRunning as failure:
        raise NotRunning(f"{failure.hint}; earlier events are in {app.home / 'pknd.log'}") from None


COMMAND = log
