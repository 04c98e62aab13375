"""`pkn list`."""

from __future__ import annotations

import click

from pkn_cli import options
from pkn_cli.client import JsonObject, path_of
from pkn_cli.command import command
from pkn_cli.context import App
from pkn_cli.output.items import print_items
from pkn_cli.reading import read
from pkn_protocol.control.summaries import ItemList

_DEFAULT_LIMIT = 50
_MOST = 1_000_000
# The control API's page; a longer list is put together from several.
_PAGE = 1_000


@command(
    "list",
    prints="a table of items: reference, kind, title, author, age, size, audience, tags.",
    examples=["pkn list --mine", "pkn list --tag physics --since 7d"],
)
@options.filters(default_limit=_DEFAULT_LIMIT, most=_MOST)
@options.audience("Only what goes to them.")
@click.option("--mine", is_flag=True, help="Only your own.")
def list_items(
    app: App,
    tags: tuple[str, ...],
    author: str | None,
    kind: str | None,
    since: int | None,
    limit: int,
    audience: str | None,
    mine: bool,
) -> None:
    """List items, newest first."""
    parameters = [("tag", tag) for tag in tags]
    for name, value in (("author", author), ("kind", kind), ("since", since), ("audience", audience)):
        if value is not None:
            parameters.append((name, str(value)))
    if mine:
        parameters.append(("mine", "1"))
    reply = _pages(app, parameters, limit)
    if app.json:
        app.print_json(reply)
        return
    found = read(ItemList, reply)
    if not found.items:
        app.note("no such items")
        return
    print_items(found.items)
    if found.cursor is not None:
        shown = len(found.items)
        app.note(
            f"{'this is the newest' if shown == 1 else f'these are the newest {shown}'}; --limit shows more"
        )


def _pages(app: App, parameters: list[tuple[str, str]], limit: int) -> JsonObject:
    """As many pages as `limit` asks for, as one list."""
    items: list[JsonObject] = []
    cursor: str | None = None
    while True:
        page = [*parameters, ("limit", str(min(limit - len(items), _PAGE)))]
        if cursor is not None:
            page.append(("cursor", cursor))
        reply = app.client.get(path_of("items"), page)
        items += reply.get("items", [])
        cursor = reply.get("cursor")
        if cursor is None or len(items) >= limit or not reply.get("items"):
            return {**reply, "items": items}


COMMAND = list_items
