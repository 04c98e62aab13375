"""`pkn status`."""

from __future__ import annotations

from pkn_cli.client import path_of
from pkn_cli.command import command
from pkn_cli.context import App
from pkn_cli.output.amounts import count, fetched, size, span
from pkn_cli.output.foreign import harmless
from pkn_cli.output.tables import print_fields
from pkn_cli.reading import read
from pkn_protocol.control.status import Status


@command(
    "status",
    prints="your identity, addresses, counts of what is held, peers online and disk space.",
    examples=["pkn status", "pkn status --json"],
)
def status(app: App) -> None:
    """Show how your daemon fares and what it holds.

    It also says when the secret of your identity still lies on this disk.
    """
    reply = app.client.get(path_of("status"))
    if app.json:
        app.print_json(reply)
        return
    about = read(Status, reply)
    print_fields(
        [
            ("you", f"{harmless(about.name)}, {harmless(about.id)}"),
            ("device", harmless(about.device)),
            ("home", harmless(about.home)),
            ("pknd", f"{harmless(about.version)}, process {about.pid}, up {span(about.uptime_s)}"),
            ("listens on", harmless(", ".join(about.listen))),
            ("peers", f"{about.peers_online} online"),
            ("fetching", fetched(about.fetching)),
            (
                "holds",
                f"{count(about.items, 'item')} in {count(about.records, 'record')} "
                f"by {count(about.authors, 'person', 'people')}",
            ),
            ("news", f"{count(about.news, 'item')}: {app.typed('news')}" if about.news else ""),
            (
                "disk",
                f"{size(about.own_bytes)} of yours, {size(about.held_bytes)} for others "
                f"(at most {size(about.max_disk_bytes)})",
            ),
        ]
    )
    if about.author_secret_on_disk:
        app.say()
        app.say(
            "Your recovery words are not noted down yet, and the secret of your identity lies on this disk."
        )
        app.say(f"{app.typed('identity recovery-words')} shows the words, and then takes the secret away; a")
        app.say("later version of pkn brings your identity back with them.")


COMMAND = status
