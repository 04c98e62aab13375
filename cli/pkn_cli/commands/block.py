"""`pkn block`."""

from __future__ import annotations

import click

from pkn_cli import options
from pkn_cli.asking import confirm
from pkn_cli.client import path_of
from pkn_cli.command import command
from pkn_cli.context import App
from pkn_cli.output.amounts import count
from pkn_cli.output.people import standing
from pkn_cli.output.references import key_ref, person_name
from pkn_cli.output.terminal import can_ask
from pkn_cli.reading import read
from pkn_cli.standing import PRINTS, change_standing
from pkn_protocol.control.people import Person, Trust


@command("block", prints=PRINTS, examples=["pkn block mallory", "pkn block mallory --yes"])
@click.argument("person")
@options.yes("Do not ask whether it is the right one.")
def block(app: App, person: str, yes: bool) -> None:
    """Block a person: nothing of theirs is kept or shown.

    What is held of them is deleted here, and their devices are refused; you no longer vouch for them. On a
    terminal it says whom that concerns, and asks. Undo: pkn unblock; whom you trusted before is trusted again
    with pkn trust, and vouched for again with pkn vouch.
    """
    if not yes and can_ask():
        found = read(Person, app.client.get(path_of("people", person)))
        if found.trust is not Trust.BLOCKED:
            name = person_name(found.petname, found.name) or "no name"
            confirm(
                f"Block {name}, {key_ref(found.id)}, {standing(found.trust, found.distance)}, "
                f"and delete {count(found.items, 'item')} of theirs here?",
                otherwise="nobody was blocked",
            )
        # The full id, so that what was confirmed is what is blocked.
        person = found.id
    change_standing(app, person, "block", undo=["unblock"])


COMMAND = block
