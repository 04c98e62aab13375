"""`pkn untrust`."""

from __future__ import annotations

import click

from pkn_cli.command import command
from pkn_cli.context import App
from pkn_cli.standing import PRINTS, change_standing


@command("untrust", prints=PRINTS, examples=["pkn untrust ada"])
@click.argument("person")
def untrust(app: App, person: str) -> None:
    """Trust a person no longer.

    What you publish to trusted people from now on they cannot read; what they hold already they keep. So does
    the name that you gave them, until you give it to somebody else. Undo: pkn trust.
    """
    change_standing(app, person, "untrust", undo="trust")


COMMAND = untrust
