"""`pkn peers`."""

from __future__ import annotations

import click

from pkn_cli.client import path_of
from pkn_cli.command import command
from pkn_cli.context import App
from pkn_cli.output.amounts import ago, fetched, moment, size
from pkn_cli.output.foreign import harmless
from pkn_cli.output.people import standing
from pkn_cli.output.references import device_ref, key_ref, person_name
from pkn_cli.output.tables import print_fields, print_table
from pkn_cli.reading import read
from pkn_protocol.control.people import Announcement, Peer, Peers, PeerState

_ANNOUNCED = {
    Announcement.OFF: "off (pkn config set mdns true turns it on)",
    Announcement.WAITING: "sent; whether it came back is not known yet",
    Announcement.SEEN: "sent, and it came back: multicast works on this machine",
    Announcement.NOT_SEEN: "sent, but it did not come back: this network or a firewall may block multicast",
}


@command(
    "peers",
    prints="a table of devices: reference, name, trust, state, round-trip time, items, how it was found. "
    "With DEVICE, everything known about one.",
    examples=["pkn peers"],
)
@click.argument("device", required=False)
def peers(app: App, device: str | None) -> None:
    """Show the devices that your daemon knows.

    Without any it says where it listens, whether its own announcement on the local network came back, and
    what to try.
    """
    reply = app.client.get(path_of("peers") if device is None else path_of("peers", device))
    if app.json:
        app.print_json(reply)
    elif device is None:
        _print_all(app, read(Peers, reply))
    else:
        print_peer(read(Peer, reply))


def _print_all(app: App, known: Peers) -> None:
    if not known.peers:
        app.say("No peers yet.")
        print_fields(
            [
                ("listens on", harmless(", ".join(known.listen)) or "no address"),
                ("announcement", _ANNOUNCED[known.announcement]),
                (
                    "try",
                    harmless(known.hint) or "pkn connect HOST[:PORT], with the address of another's machine",
                ),
            ]
        )
        return
    print_table(
        ["device", "name", "person", "trust", "state", "rtt", "items", "found"],
        [
            [
                device_ref(peer.device),
                person_name(peer.petname, peer.name),
                key_ref(peer.author) if peer.author else "",
                standing(peer.trust, peer.distance),
                _state(peer),
                _rtt(peer),
                peer.items,
                peer.found.value,
            ]
            for peer in known.peers
        ],
        flexible=1,
    )


def print_peer(peer: Peer) -> None:
    """Everything known about one device."""
    print_fields(
        [
            ("device", harmless(peer.device)),
            ("name", person_name(peer.petname, peer.name)),
            ("person", harmless(peer.author or "not known yet")),
            ("trust", standing(peer.trust, peer.distance)),
            ("state", _state(peer)),
            ("last seen", "" if peer.last_seen is None else moment(peer.last_seen)),
            ("round trip", _rtt(peer)),
            ("addresses", harmless(", ".join(peer.addresses))),
            ("found", peer.found.value),
            ("version", harmless(peer.version or "")),
            ("items here", str(peer.items)),
            ("fetching", fetched(peer.fetching)),
            ("received", size(peer.bytes_in)),
            ("sent", size(peer.bytes_out)),
            ("problem", harmless(peer.problem or "")),
        ]
    )


def _state(peer: Peer) -> str:
    if peer.state is PeerState.ONLINE:
        return "online"
    return "offline" if peer.last_seen is None else f"seen {ago(peer.last_seen)}"


def _rtt(peer: Peer) -> str:
    return "" if peer.rtt_ms is None else f"{peer.rtt_ms:.1f} ms"


COMMAND = peers
