"""Peers as the control API has them, and what the store remembers of them."""

from __future__ import annotations

import asyncio
import ipaddress
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import replace

from pkn_protocol.channel.errors import ChannelError, CloseCode
from pkn_protocol.control.errors import Candidate, ErrorCode
from pkn_protocol.control.people import Announcement, ConnectRequest, Found, Peer, Peers, PeerState, Trust
from pkn_protocol.records.ids import AuthorId, BadId, DeviceId, did_key, parse_did_key
from pkn_protocol.sync.facts import Progress
from pknd.channel.link import Link
from pknd.channel.network import Network
from pknd.config import DEFAULT_PORT
from pknd.discovery.dialer import Dialer
from pknd.discovery.mdns import is_loopback
from pknd.environment import Environment
from pknd.errors import DomainError
from pknd.people.view import PeopleView
from pknd.status import fetching_of
from pknd.store.peers import PeerRow, left, met, peers
from pknd.store.people import devices_of
from pknd.store.records import items_by_author

_LEAST_CHARS = 8
CONNECT_SECONDS = 10.0


class PeerDirectory:
    """Joins the connections there are with the devices that were met."""

    def __init__(
        self,
        env: Environment,
        network: Network,
        dialer: Dialer,
        *,
        view: Callable[[], PeopleView],
        announcement: Callable[[], Announcement],
        listen: Callable[[], tuple[str, ...]],
        progress: Callable[[], Mapping[DeviceId, Progress]],
    ) -> None:
        self._env = env
        self._network = network
        self._dialer = dialer
        self._view = view
        self._announcement = announcement
        self._listen = listen
        self._progress = progress

    async def peers(self) -> Peers:
        view, progress = self._view(), self._progress()
        found = await self._env.store.read(lambda db: self._all(db, view, progress))
        return Peers(found, self._listen(), self._announcement(), "" if found else self._hint())

    async def peer(self, ref: str) -> Peer:
        view, progress = self._view(), self._progress()
        everybody = await self._env.store.read(lambda db: self._all(db, view, progress))
        text = ref.lower()
        if len(text) < _LEAST_CHARS or any(c not in "0123456789abcdef" for c in text):
            raise DomainError(
                ErrorCode.BAD_REFERENCE,
                f"{ref!r} is no device's reference",
                f"type {_LEAST_CHARS} or more characters of the first column of `pkn peers`",
            )
        matching = [peer for peer in everybody if peer.device.startswith(text)]
        if not matching:
            raise DomainError(ErrorCode.NO_SUCH_PEER, f"no peer is called {ref}", "`pkn peers` lists them")
        if len(matching) > 1:
            candidates = tuple(Candidate(peer.device[:16], peer.name or "") for peer in matching[:10])
            raise DomainError(ErrorCode.AMBIGUOUS, f"{ref} may mean several peers", "type more", candidates)
        return matching[0]

    async def connect(self, request: ConnectRequest) -> Peer:
        host, port = parse_address(request.address)
        device, author = await self._expected(request.id)
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                link = await self._network.dial(host, port, expected=device)
        except ChannelError as error:
            code = ErrorCode.NOT_THIS_HOST if error.code is CloseCode.WRONG_DEVICE else ErrorCode.UNREACHABLE
            raise DomainError(code, f"{request.address}: {error.reason}") from error
        except (OSError, TimeoutError) as error:
            raise DomainError(
                ErrorCode.UNREACHABLE,
                f"nobody answers at {host}:{port}",
                "check the address, and that pknd runs there and its firewall lets this port in",
            ) from error
        if author is not None and link.peer.author != author:
            await link.close(CloseCode.GOING_AWAY, "another person was meant")
            raise DomainError(ErrorCode.NOT_THIS_HOST, f"another person answers at {host}:{port}")
        self._dialer.found_by[link.peer.device] = "manual"
        self._dialer.remember(link.peer.device, ((host, port),), "manual")
        await self.remember(link)
        return await self.peer(link.peer.device.hex())

    async def remember(self, link: Link) -> None:
        """A connection was authenticated."""
        address = None
        if link.outbound:
            address = join_address(*link.remote)
        elif link.peer.port:
            address = join_address(link.remote[0], link.peer.port)
        found = self._dialer.origin(link.peer.device) or Found.INBOUND.value
        peer, now = link.peer, self._env.now()

        def work(db: sqlite3.Connection) -> None:
            met(db, peer.device, peer.author, address=address, found=found, version=peer.agent, now=now)

        await self._env.store.write(work)
        if not link.outbound and peer.port:
            # Whoever dialled us is dialled when the connection is lost, also if they have forgotten us.
            self._dialer.remember(peer.device, ((link.remote[0], peer.port),), found)

    async def note_end(self, link: Link) -> None:
        """A connection ended."""
        now = self._env.now()

        def work(db: sqlite3.Connection) -> None:
            left(
                db,
                link.peer.device,
                now=now,
                rtt_ms=link.rtt_ms,
                bytes_in=link.bytes_in,
                bytes_out=link.bytes_out,
            )

        await self._env.store.write(work)

    async def _expected(self, given: str | None) -> tuple[DeviceId | None, AuthorId | None]:
        if given is None:
            return None, None
        if given.startswith(("did:key:", "z")):
            try:
                author = parse_did_key("did:key:" + given.removeprefix("did:key:"))
            except BadId as error:
                raise DomainError(ErrorCode.BAD_REFERENCE, str(error)) from error
            known = await self._env.store.read(lambda db: devices_of(db, author))
            return (known[0] if len(known) == 1 else None), author
        try:
            device = bytes.fromhex(given)
        except ValueError:
            device = b""
        if len(device) != 32:
            raise DomainError(
                ErrorCode.BAD_REFERENCE, f"{given!r} is neither a device nor a did:key", "see `pkn id` there"
            )
        return DeviceId(device), None

    def _all(
        self, db: sqlite3.Connection, view: PeopleView, progress: Mapping[DeviceId, Progress]
    ) -> tuple[Peer, ...]:
        counts = items_by_author(db)
        rows = {row.device: row for row in peers(db)}
        links = self._network.links
        found = []
        for device in {**rows, **links}:
            link, row = links.get(device), rows.get(device)
            author = link.peer.author if link is not None else row.author if row is not None else None
            peer = self._shape(device, author, link, row, view, counts)
            found.append(replace(peer, fetching=fetching_of(progress.get(device, Progress()))))
        return tuple(
            sorted(found, key=lambda p: (p.state is not PeerState.ONLINE, p.distance or 9, p.device))
        )

    def _shape(
        self,
        device: DeviceId,
        author: AuthorId | None,
        link: Link | None,
        row: PeerRow | None,
        view: PeopleView,
        counts: dict[AuthorId, int],
    ) -> Peer:
        trust = Trust.NONE if author is None else view.trust(author)
        addresses = row.addresses if row is not None else ()
        if link is not None and not addresses:
            addresses = (join_address(*link.remote),)
        found = self._dialer.origin(device) or (row.found if row is not None else Found.INBOUND.value)
        return Peer(
            device=device.hex(),
            author=None if author is None else did_key(author),
            name=None if author is None else view.names.get(author),
            petname=None if author is None else view.petname(author),
            trust=trust,
            distance=None if author is None else view.distances.get(author),
            state=PeerState.ONLINE if link is not None else PeerState.OFFLINE,
            found=Found(found),
            addresses=addresses,
            last_seen=self._env.now() if link is not None else row.last_seen if row is not None else None,
            rtt_ms=link.rtt_ms if link is not None else row.rtt_ms if row is not None else None,
            version=link.peer.agent if link is not None else row.version if row is not None else None,
            items=0 if author is None else counts.get(author, 0),
            bytes_in=link.bytes_in if link is not None else 0,
            bytes_out=link.bytes_out if link is not None else 0,
            problem=None if link is not None else self._dialer.problem(device),
        )

    def _hint(self) -> str:
        listen = self._listen()
        port = listen[0].rpartition(":")[2] if listen else str(DEFAULT_PORT)
        if self._announcement() is Announcement.OFF:
            if listen and all(is_loopback(parse_address(one)[0]) for one in listen):
                return "mDNS is off, and listen allows this machine alone: pkn config set listen ADDRESS:PORT"
            return f"mDNS is off; on the other machine: pkn connect THIS-HOST:{port}"
        if self._announcement() is Announcement.SEEN:
            return f"nobody else is here yet; in another network: pkn connect HOST:{DEFAULT_PORT}"
        return f"the network may not pass multicast on; try: pkn connect HOST:{DEFAULT_PORT}"


def parse_address(text: str) -> tuple[str, int]:
    """Host and port of HOST[:PORT] or [IPv6][:PORT].

    Raises:
        DomainError: it is neither.
    """
    host, port = text.strip(), str(DEFAULT_PORT)
    if host.startswith("["):
        host, _, rest = host[1:].partition("]")
        port = rest.removeprefix(":") or port
    elif host.count(":") == 1:
        host, _, port = host.partition(":")
    if ":" in host and not _is_ipv6(host):
        host = ""
    if not host or not (port.isascii() and port.isdigit() and 0 < int(port) < 65_536):
        raise DomainError(
            ErrorCode.BAD_REQUEST, f"{text!r} is no address", f"as in: pkn connect 192.0.2.7:{DEFAULT_PORT}"
        )
    return host, int(port)


def _is_ipv6(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).version == 6
    except ValueError:
        return False


def join_address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
