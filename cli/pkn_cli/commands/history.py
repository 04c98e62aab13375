"""`pkn history`."""

from __future__ import annotations

import click

from pkn_cli.client import path_of
from pkn_cli.command import command
from pkn_cli.context import App
from pkn_cli.output.amounts import moment, size
from pkn_cli.output.items import title_of
from pkn_cli.output.references import author_name, version_ref
from pkn_cli.output.tables import print_table
from pkn_cli.reading import read
from pkn_protocol.control.items import History


@command(
    "history",
    prints="a table of versions, newest first: reference, time, author, title, size, and which are current.",
    examples=["pkn history h2kq7xmv3a"],
)
@click.argument("item")
def history(app: App, item: str) -> None:
    """List the versions of an item.

    Two are current where two people wrote at once. pkn show and pkn get take what the first column shows: the
    reference of the item itself means its newest version, and with @1 behind it the first.
    """
    reply = app.client.get(path_of("items", item, "history"))
    if app.json:
        app.print_json(reply)
        return
    found = read(History, reply)
    print_table(
        ["version", "written", "author", "title", "size", ""],
        [
            [
                version_ref(one.id, found.item, current=one.head),
                moment(one.time),
                author_name(one.author, one.author_name, claimed=one.author_claimed, own=one.own),
                title_of(one.title),
                size(one.size),
                "current" if one.head else "",
            ]
            for one in found.versions
        ],
        flexible=3,
    )


COMMAND = history
