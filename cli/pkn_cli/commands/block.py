"""`pkn block`."""

from __future__ import annotations

import click

from pkn_cli.command import command
from pkn_cli.context import App
from pkn_cli.standing import PRINTS, change_standing


@command("block", prints=PRINTS, examples=["pkn block mallory"])
@click.argument("person")
def block(app: App, person: str) -> None:
    """Block a person: nothing of theirs is kept or shown.

    What is held of them is deleted here, and their devices are refused. Undo: pkn unblock.
    """
    change_standing(app, person, "block")


COMMAND = block
