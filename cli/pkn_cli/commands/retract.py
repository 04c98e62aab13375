"""`pkn retract`."""

from __future__ import annotations

import click

from pkn_cli import options
from pkn_cli.asking import confirm
from pkn_cli.client import path_of
from pkn_cli.command import command
from pkn_cli.context import App
from pkn_cli.failures import Exit, Failure
from pkn_cli.output.amounts import count
from pkn_cli.output.items import title_of
from pkn_cli.output.references import item_ref
from pkn_cli.output.terminal import can_ask
from pkn_cli.reading import read
from pkn_protocol.control.items import ItemDetail, Retracted


@command(
    "retract",
    prints="the item's reference, and how many versions were deleted here.",
    examples=["pkn retract h2kq7xmv3a", "pkn retract h2kq7xmv3a --yes"],
)
@click.argument("item")
@options.yes()
def retract(app: App, item: str, yes: bool) -> None:
    """Take back an item, everywhere and for good.

    Title, text and all versions are deleted here and by every honest peer that hears of it. There is no undo,
    so on a terminal you are asked, and elsewhere --yes is needed. The file that it came from is left out when
    its folder is imported again.
    """
    if not yes and not can_ask():
        raise Failure(
            "usage",
            f"to retract {item} cannot be undone, and there is no terminal to ask on",
            f"say so with: {app.typed(f'retract {item} --yes')}",
            status=Exit.WRONG_USAGE,
        )
    if not yes:
        detail = read(ItemDetail, app.client.get(path_of("items", item), [("fetch", "0")]))
        confirm(
            f"Retract {item_ref(detail.item)} {title_of(detail.title)!r} "
            f"({count(detail.versions, 'version')}) for good?",
            otherwise="nothing was retracted",
        )
        item = detail.item
    reply = app.client.ask("DELETE", path_of("items", item))
    if app.json:
        app.print_json(reply)
        return
    done = read(Retracted, reply)
    app.say(f"{item_ref(done.id)}  retracted, {count(done.versions, 'version')} deleted here")


COMMAND = retract
