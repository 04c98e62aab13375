"""`pkn up`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from pkn_cli.client import JsonObject, path_of
from pkn_cli.command import command
from pkn_cli.context import App
from pkn_cli.failures import Exit, Failure, NotRunning
from pkn_cli.output.foreign import harmless
from pkn_cli.output.progress import StatusLine
from pkn_cli.output.terminal import can_ask
from pkn_cli.reading import read
from pkn_cli.starting import start_daemon
from pkn_protocol.control.status import Identity, Status


@command(
    "up",
    prints="who you are, where your daemon listens and what to do next, in three lines.",
    examples=["pkn up --name Ada"],
)
@click.option("--name", metavar="NAME", help="The name that others see; asked for at the first start.")
@click.option("--listen", metavar="HOST:PORT", help="Where others reach you (default *:7867), in this run.")
@click.option(
    "--no-mdns", is_flag=True, help="Neither announce yourself on the local network nor look around."
)
def up(app: App, name: str | None, listen: str | None, no_mdns: bool) -> None:
    """Start your daemon in the background.

    Returns when it answers. Started already, it says so and changes nothing. --listen and --no-mdns count
    until it stops; pkn config set listen, and mdns, keep them.
    """
    options = _options(name, listen, no_mdns)
    try:
        status = app.client.get(path_of("status"))
    except NotRunning:
        status = None
    if status is not None:
        if options:
            app.note(f"pknd runs already, {' '.join(options[::2])} not applied; {app.typed('down')} stops it")
        _show(app, status, started=False)
        return
    if name is None and _is_new(app.home):
        options += ["--name", _asked_name(app)]
    with StatusLine("pknd is starting", enabled=not app.json):
        status, ours = start_daemon(app, options)
    _show(app, status, started=ours)


def _options(name: str | None, listen: str | None, no_mdns: bool) -> list[str]:
    options: list[str] = []
    if name is not None:
        options += ["--name", name]
    if listen is not None:
        options += ["--listen", listen]
    if no_mdns:
        options += ["--no-mdns"]
    return options


def _is_new(home: Path) -> bool:
    """No identity was made here yet, and no settings that say its name."""
    made = ("keys/device.key", "keys/author.key", "keys/author.pub", "pkn.db")
    if any((home / name).exists() for name in made):
        # Where one of the keys is lost, the daemon says so.
        return False
    import tomllib

    try:
        return not tomllib.loads((home / "config.toml").read_text("utf-8")).get("name")
    except (OSError, ValueError):
        # The daemon says what is wrong with the file.
        return True


def _asked_name(app: App) -> str:
    if app.json or not can_ask():
        raise Failure(
            "usage",
            "the first start needs the name that others see",
            f"give it with: {app.typed('up')} --name NAME",
            status=Exit.WRONG_USAGE,
        )
    name: str = click.prompt("Your name, as others will see it", err=True)
    return name


def _show(app: App, status: JsonObject, *, started: bool) -> None:
    if app.json:
        app.print_json({**status, "started": started})
        return
    about = read(Status, status)
    identity = read(Identity, app.client.get(path_of("identity")))
    app.say(f"You are {harmless(about.name)}, {harmless(about.id)} ({harmless(identity.fingerprint)})")
    state = "listens" if started else "runs already and listens"
    app.say(f"pknd {state} on {harmless(', '.join(about.listen)) or 'no address'}")
    if about.items == 0:
        app.say(
            f"Next: {app.typed('publish FILE')} puts something in, {app.typed('peers')} shows who is near"
        )
    else:
        app.say(f"Next: {app.typed('query WORDS')} searches, {app.typed('peers')} shows who is near")
    sys.stdout.flush()


COMMAND = up
