"""`pkn news`."""

from __future__ import annotations

import json
import sys

import click

from pkn_cli.client import path_of
from pkn_cli.command import command
from pkn_cli.context import App
from pkn_cli.failures import Failure
from pkn_cli.output.amounts import ago, count
from pkn_cli.output.news import print_news
from pkn_cli.reading import read
from pkn_protocol.control.codec import to_json
from pkn_protocol.control.news import DEFAULT_LINES, MOST_LINES, News, SeenRequest


@command(
    "news",
    prints="a line for each: reference, who did what, title, kind and age. First new versions of what you "
    "wrote or took part in, comments on it and cuttings of it, then questions that you may know about, "
    "matches of saved questions, and what people you trust published; newest first.",
    examples=["pkn news", "pkn news --peek --json", "pkn news --follow"],
)
@click.option("-f", "--follow", is_flag=True, help="Go on with what becomes news until Ctrl-C.")
@click.option("--peek", is_flag=True, help="Leave them unseen.")
@click.option("--all", "every", is_flag=True, help="A line for every item, instead of one for many.")
@click.option(
    "--limit",
    type=click.IntRange(1, MOST_LINES),
    default=DEFAULT_LINES,
    metavar="N",
    help=f"At most N lines at once (default {DEFAULT_LINES}); the others stay for the next time.",
)
def news(app: App, follow: bool, peek: bool, every: bool, limit: int) -> None:
    """Show what is new since you looked last.

    What was printed counts as seen, wherever it was printed to, unless you say --peek. More than five items
    by one person are one line. What was retracted or replaced by a newer version is no news any more. Nobody
    is asked, and nobody learns what you have seen.
    """
    parameters = [("limit", str(limit)), *([("bundle", "0")] if every else [])]
    if follow:
        _follow(app, [*parameters, ("follow", "1")], peek=peek)
        return
    reply = app.client.get(path_of("news"), parameters)
    found = read(News, reply)
    if app.json:
        app.print_json(reply)
    else:
        for line in found.lines:
            print_news(line)
    sys.stdout.flush()
    if found.lines:
        if not peek:
            _mark_seen(app, found)
        if found.left:
            app.note(
                f"{count(found.left, 'more line')} next time" if not peek else f"{found.left} more; --limit"
            )
    else:
        app.note("nothing new" + ("" if found.looked is None else f"; you looked {ago(found.looked)}"))
        if not peek:
            _mark_seen(app, found)


def _follow(app: App, parameters: list[tuple[str, str]], *, peek: bool) -> None:
    for event in app.client.stream("GET", path_of("news"), parameters, seconds=None):
        if event.get("event") != "news":
            continue
        reply = event.get("news") or {}
        found = read(News, reply)
        if app.json:
            for line in reply.get("lines") or ():
                click.echo(json.dumps(line))
        else:
            for shown in found.lines:
                print_news(shown)
        sys.stdout.flush()
        if found.lines and not peek:
            _mark_seen(app, found)
    raise Failure("cut-off", "pknd has stopped", f"start it with: {app.typed('up')}, and then run this again")


def _mark_seen(app: App, found: News) -> None:
    app.client.ask("POST", path_of("news", "seen"), body=to_json(SeenRequest(found.upto)))


COMMAND = news
