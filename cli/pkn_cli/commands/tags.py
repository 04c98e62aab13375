"""`pkn tags`."""

from __future__ import annotations

import click

from pkn_cli.client import path_of
from pkn_cli.command import command
from pkn_cli.context import App
from pkn_cli.output.tables import print_table
from pkn_cli.reading import read
from pkn_protocol.control.items import Tags

_MOST = 10_000


@command("tags", prints="a table of tags, most used first.", examples=["pkn tags", "pkn tags --author ada"])
@click.option("--author", metavar="PERSON", help="Only on this person's items.")
@click.option(
    "--limit", type=click.IntRange(1, _MOST), default=200, metavar="N", help="At most N tags (default 200)."
)
def tags(app: App, author: str | None, limit: int) -> None:
    """List the tags in use."""
    parameters = [("limit", str(limit)), *([("author", author)] if author is not None else [])]
    reply = app.client.get(path_of("tags"), parameters)
    if app.json:
        app.print_json(reply)
        return
    found = read(Tags, reply).tags
    if found:
        print_table(["tag", "items"], [[one.tag, one.items] for one in found], flexible=0)
    else:
        app.note("no tags yet")


COMMAND = tags
