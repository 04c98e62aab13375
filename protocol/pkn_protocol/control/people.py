"""Shapes of `/v1/people` and `/v1/peers`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from pkn_protocol.control.status import Fetching


class Trust(StrEnum):
    SELF = "self"
    TRUSTED = "trusted"
    NONE = "none"
    BLOCKED = "blocked"


class PeerState(StrEnum):
    ONLINE = "online"
    OFFLINE = "offline"


class Found(StrEnum):
    """How a device came to be known; `inbound`: it dialled us, and we know of no other way."""

    INBOUND = "inbound"
    MDNS = "mdns"
    MANUAL = "manual"
    INTRODUCED = "introduced"


class Announcement(StrEnum):
    """What became of our own mDNS announcement; `seen`: it came back, so multicast works on this machine."""

    OFF = "off"
    WAITING = "waiting"
    SEEN = "seen"
    NOT_SEEN = "not-seen"


@dataclass(frozen=True, slots=True)
class Peer:
    """One known device. `device` is 64 hexadecimal digits, `author` a did:key; both are proven.

    `name` is claimed by the other side, `petname` ours. `last_seen` in ms since the epoch. `items` counts
    the author's items held here; bytes are those of this daemon's run. `problem` says why the last try
    failed; `fetching` how far it is with what is lacking here and held there.
    """

    device: str
    author: str | None
    name: str | None
    petname: str | None
    trust: Trust
    distance: int | None
    state: PeerState
    found: Found
    addresses: tuple[str, ...]
    last_seen: int | None
    rtt_ms: float | None
    version: str | None
    items: int
    bytes_in: int
    bytes_out: int
    problem: str | None = None
    fetching: Fetching | None = None


@dataclass(frozen=True, slots=True)
class Peers:
    """`hint` says what to try when nobody is there."""

    peers: tuple[Peer, ...]
    listen: tuple[str, ...]
    announcement: Announcement
    hint: str = ""


@dataclass(frozen=True, slots=True)
class ConnectRequest:
    """`address` is HOST[:PORT]; `id` a device (hexadecimal) or a person (did:key) that must answer there."""

    address: str
    id: str | None = None


@dataclass(frozen=True, slots=True)
class Person:
    """`id` is the did:key, `name` what the person claims to be called, `petname` the user's own choice.

    `distance` is 0 self, 1 trusted, 2 and 3 vouched for, None beyond the horizon. `vouched` says that we
    vouch; `vouched_by` lists the did:keys of trusted people who do. `doubted`: a text was fetched whose
    sketch was not of that text, so that what is theirs is found by titles and tags alone. `vouch_withdrawn`,
    in the answer to an act alone: we vouched until then, and it ended that too.
    """

    id: str
    name: str | None
    petname: str | None
    trust: Trust
    distance: int | None
    fingerprint: str
    items: int
    devices: int
    online: bool
    last_seen: int | None
    vouched: bool
    vouched_by: tuple[str, ...] = ()
    doubted: bool = False
    vouch_withdrawn: bool = False


@dataclass(frozen=True, slots=True)
class People:
    people: tuple[Person, ...]


@dataclass(frozen=True, slots=True)
class TrustRequest:
    petname: str | None = None


@dataclass(frozen=True, slots=True)
class VouchRequest:
    withdraw: bool = False
