"""`pkn related`."""

from __future__ import annotations

import click

from pkn_cli.client import path_of
from pkn_cli.command import command
from pkn_cli.context import App
from pkn_cli.output.items import print_items
from pkn_cli.reading import read
from pkn_protocol.control.discovering import DEFAULT_RELATED, MOST_RELATED, Related


@command(
    "related",
    prints="a table of items, most alike first: reference, kind, title, author, age, size, audience, tags.",
    examples=["pkn related h2kq7xmv3a"],
)
@click.argument("item")
@click.option(
    "--limit",
    type=click.IntRange(1, MOST_RELATED),
    default=DEFAULT_RELATED,
    metavar="N",
    help=f"At most N items (default {DEFAULT_RELATED}).",
)
def related(app: App, item: str, limit: int) -> None:
    """List the items that are like one.

    They are found by the words that tell most about it, on this machine's summaries; nobody is asked.
    """
    reply = app.client.get(path_of("items", item, "related"), [("limit", str(limit))])
    if app.json:
        app.print_json(reply)
        return
    found = read(Related, reply)
    if found.items:
        print_items(found.items)
    else:
        app.note("nothing here is like it")


COMMAND = related
