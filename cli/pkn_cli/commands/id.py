"""`pkn id`."""

from __future__ import annotations

from pkn_cli.client import path_of
from pkn_cli.command import command
from pkn_cli.context import App
from pkn_cli.output.foreign import harmless
from pkn_cli.output.tables import print_fields
from pkn_cli.reading import read
from pkn_protocol.control.status import Identity


def show_identity(app: App) -> None:
    """Print who the user is; `pkn identity show` says the same."""
    reply = app.client.get(path_of("identity"))
    if app.json:
        app.print_json(reply)
        return
    identity = read(Identity, reply)
    print_fields(
        [
            ("name", harmless(identity.name)),
            ("id", harmless(identity.id)),
            ("device", harmless(identity.device)),
            ("fingerprint", harmless(identity.fingerprint)),
        ]
    )


@command(
    "id",
    prints="your name, your id, this device's key and the six words of your fingerprint.",
    examples=["pkn id"],
)
def identify(app: App) -> None:
    """Show who you are to others.

    Whoever wants to trust you compares the six words with those that you read to them.
    """
    show_identity(app)


COMMAND = identify
