"""`pkn connect`."""

from __future__ import annotations

import click

from pkn_cli.client import path_of
from pkn_cli.command import command
from pkn_cli.commands.peers import print_peer
from pkn_cli.context import App
from pkn_cli.output.progress import StatusLine
from pkn_cli.reading import read
from pkn_protocol.control.codec import to_json
from pkn_protocol.control.people import ConnectRequest, Peer


@command(
    "connect",
    prints="the device that answered.",
    examples=[
        "pkn connect 192.168.1.20",
        "pkn connect ada.example.org:7867 z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK",
    ],
)
@click.argument("address", metavar="HOST[:PORT]")
@click.argument("identifier", metavar="[ID]", required=False)
def connect(app: App, address: str, identifier: str | None) -> None:
    """Connect to a device by its address.

    ID, a device or a person, says who must answer there; anybody else is refused. The address is remembered.
    """
    request = ConnectRequest(address, identifier)
    with StatusLine(f"connecting to {address}", enabled=not app.json):
        reply = app.client.ask("POST", path_of("peers", "connect"), body=to_json(request))
    if app.json:
        app.print_json(reply)
    else:
        print_peer(read(Peer, reply))


COMMAND = connect
