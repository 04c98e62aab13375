"""`pkn unblock`."""

from __future__ import annotations

import click

from pkn_cli.command import command
from pkn_cli.context import App
from pkn_cli.standing import PRINTS, change_standing


@command("unblock", prints=PRINTS, examples=["pkn unblock mallory"])
@click.argument("person")
def unblock(app: App, person: str) -> None:
    """Block a person no longer.

    They are a stranger afterwards, not trusted, and have the name that you gave them. Undo: pkn block.
    """
    change_standing(app, person, "unblock", undo=["block"])


COMMAND = unblock
