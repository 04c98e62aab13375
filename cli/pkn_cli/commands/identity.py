"""`pkn identity`: show, recovery-words."""

from __future__ import annotations

import click

from pkn_cli.asking import confirm
from pkn_cli.client import path_of
from pkn_cli.command import DefaultGroup, command
from pkn_cli.commands.id import show_identity
from pkn_cli.context import App
from pkn_cli.output.terminal import can_ask
from pkn_cli.reading import read
from pkn_protocol.control.codec import to_json
from pkn_protocol.control.status import RecoveryWords, RecoveryWordsRequest


@click.group("identity", cls=DefaultGroup, default="show")
def identity() -> None:
    """Show your identity, or secure it with recovery words."""


@command(
    "show",
    prints="your name, your id, this device's key and the six words of your fingerprint.",
    examples=["pkn identity show"],
)
def show(app: App) -> None:
    """Show who you are to others."""
    show_identity(app)


@command(
    "recovery-words",
    prints="24 words, one to be written down after the other.",
    examples=["pkn identity recovery-words", "pkn identity recovery-words --confirm"],
)
@click.option(
    "--confirm", "confirmed", is_flag=True, help="The words are written down: take the secret away."
)
def recovery_words(app: App, confirmed: bool) -> None:
    """Show your identity's secret as words, and take it off this disk.

    Write them on paper; then the secret can leave this disk, and a thief of it gets this device's key, not
    you. This version cannot read the words yet: a later one sets up a new machine with them and shuts out a
    stolen one. Keep them until then; without them, and with this disk lost, your identity is lost. On a
    terminal you are asked afterwards whether the secret may go; elsewhere --confirm takes it away.
    """
    if confirmed:
        _remove(app)
        return
    reply = app.client.ask(
        "POST", path_of("identity", "recovery-words"), body=to_json(RecoveryWordsRequest())
    )
    if app.json:
        app.print_json(reply)
        return
    words = (read(RecoveryWords, reply).words or "").split()
    for first in range(0, len(words), 4):
        app.say(
            "  ".join(
                f"{first + at + 1:2} {word:10}" for at, word in enumerate(words[first : first + 4])
            ).rstrip()
        )
    if can_ask():
        confirm(
            "Have you written them down? Then the secret leaves this disk.",
            otherwise="the secret stays on this disk",
        )
        _remove(app)
    else:
        app.note(f"when they are written down: {app.typed('identity recovery-words --confirm')}")


def _remove(app: App) -> None:
    request = to_json(RecoveryWordsRequest(confirm=True))
    reply = app.client.ask("POST", path_of("identity", "recovery-words"), body=request)
    if app.json:
        app.print_json(reply)
    else:
        app.say(
            "The secret of your identity is no longer on this disk. Keep the words: a later version of pkn "
            "reads them."
        )


identity.add_command(show)
identity.add_command(recovery_words)

COMMAND = identity
