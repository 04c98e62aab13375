"""`pkn vouch`."""

from __future__ import annotations

import click

from pkn_cli.command import command
from pkn_cli.context import App
from pkn_cli.standing import PRINTS, change_standing
from pkn_protocol.control.codec import to_json
from pkn_protocol.control.people import VouchRequest


@command("vouch", prints=PRINTS, examples=["pkn vouch ada", "pkn vouch ada --withdraw"])
@click.argument("person")
@click.option("--withdraw", is_flag=True, help="Vouch for them no longer.")
def vouch(app: App, person: str, withdraw: bool) -> None:
    """Tell the people who trust you that a person is real.

    It is public. Those who trust you then count that person at distance 2. Undo: --withdraw.
    """
    change_standing(app, person, "vouch", to_json(VouchRequest(withdraw)))


COMMAND = vouch
