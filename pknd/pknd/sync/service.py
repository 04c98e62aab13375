"""Synchronisation with all peers: what is wanted of whom, pushes, relays, circles."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Mapping, Sequence

from pkn_protocol.channel import messages as m
from pkn_protocol.channel.errors import CloseCode
from pkn_protocol.control.people import Trust
from pkn_protocol.control.status import LogLevel
from pkn_protocol.records.cbor import BadEncoding
from pkn_protocol.records.circles import CannotOpen, EpochKey, open_grant
from pkn_protocol.records.codec import RecordError, decode_record, verify_record
from pkn_protocol.records.ids import AuthorId, DeviceId
from pkn_protocol.records.model import Grant, Record
from pkn_protocol.sync.wants import Floor
from pkn_protocol.trust.quotas import Quota, stranger_quota
from pknd import log
from pknd.environment import Environment
from pknd.people.circles import PRIVATE, TRUSTED, granted_devices
from pknd.people.service import People
from pknd.store.circles import Epoch, add_epoch, epochs
from pknd.store.floors import floors
from pknd.store.ingest import ingest
from pknd.store.records import of_kind
from pknd.store.retention import lift_floors
from pknd.sync.intake import Intake, Taken
from pknd.sync.link import LinkClosed, PeerLink
from pknd.sync.peer import PeerSync

PUSH_QUEUE = 1024
"""Batches of new records that wait to be pushed; a peer that missed one gets it with the next comparison."""


class Sync:
    """`arrived` is awaited with what a peer brought, after it is on disk."""

    def __init__(self, env: Environment, people: People, *, max_disk: Callable[[], int]) -> None:
        self._env = env
        self._people = people
        self._max_disk = max_disk
        self._peers: dict[DeviceId, PeerSync] = {}
        self._epochs: dict[bytes, Epoch] = {}
        self._floors: Mapping[AuthorId, Floor] = {}
        self._queue: asyncio.Queue[tuple[Sequence[Record], DeviceId | None]] = asyncio.Queue(PUSH_QUEUE)
        self._arrived: Callable[[Taken, PeerLink], Awaitable[None]] | None = None
        self._strangers_met: set[AuthorId] = set()
        self._intake = Intake(
            env,
            epochs=lambda: {tag: epoch.key for tag, epoch in self._epochs.items()},
            near=lambda: people.view.near,
            quota=self._quota,
        )

    def on_arrival(self, arrived: Callable[[Taken, PeerLink], Awaitable[None]]) -> None:
        self._arrived = arrived

    async def start(self) -> None:
        """Read what the store knows of circles and floors."""
        await self._refresh()

    async def run(self) -> None:
        """Push new records as they come; runs as long as the daemon."""
        while True:
            records, source = await self._queue.get()
            for device, peer in list(self._peers.items()):
                if device != source:
                    await self._push(peer, records)

    def announce(self, records: Sequence[Record]) -> None:
        """New records are on disk: offer them to everybody connected who wants them."""
        self._offer(records, None)

    def peers(self) -> dict[DeviceId, PeerSync]:
        return self._peers

    async def serve(self, link: PeerLink) -> None:
        """Keep in step with a peer until its connection ends."""
        author = link.peer.author
        if self._people.view.trust(author) is Trust.BLOCKED:
            await link.close(CloseCode.BLOCKED, "not welcome here")
            return
        if author not in self._people.view.distances:
            self._strangers_met.add(author)
        peer = self.peer_of(link)
        try:
            await peer.run()
        finally:
            if self._peers.get(link.peer.device) is peer:
                del self._peers[link.peer.device]
            log.event(
                "sync.ended",
                device=link.peer.device.hex()[:16],
                records_in=peer.records_in,
                records_out=peer.records_out,
            )

    async def receive(self, link: PeerLink, message: m.Message) -> None:
        """Take a message; one that comes before `serve` has begun waits for it."""
        await self.peer_of(link).receive(message)

    def peer_of(self, link: PeerLink) -> PeerSync:
        """The state of a connection, made when it is first asked for."""
        peer = self._peers.get(link.peer.device)
        if peer is None or peer.link is not link:
            peer = PeerSync(self._env, link, self, self._intake)
            self._peers[link.peer.device] = peer
        return peer

    async def people_changed(self) -> None:
        """Trust or vouches are others than before."""
        await self._env.store.write(lambda db: lift_floors(db, self._quota))
        await self._refresh()
        for peer in list(self._peers.values()):
            try:
                if self._people.view.trust(peer.link.peer.author) is Trust.BLOCKED:
                    await peer.link.close(CloseCode.BLOCKED, "not welcome here")
                    continue
                await peer.give_grants()
                await peer.prove_memberships()
                await peer.wants_changed()
            except LinkClosed:
                continue

    def wanted_from(self, link: PeerLink) -> Mapping[AuthorId, Floor | None]:
        """Oneself, the peer itself, and from those within the horizon everybody within it."""
        view = self._people.view
        authors = {view.me, link.peer.author}
        if link.peer.author in view.distances:
            authors |= view.near
        return {author: self._floors.get(author) for author in authors - view.blocked}

    def epochs(self) -> Mapping[bytes, tuple[EpochKey, AuthorId]]:
        return {
            tag: (epoch.key, epoch.author) for tag, epoch in self._epochs.items() if epoch.circle != PRIVATE
        }

    async def grants_for(self, link: PeerLink) -> Sequence[bytes]:
        """The grants of the own trusted circle, for members alone; renewed for a device that is new."""
        view, author = self._people.view, link.peer.author
        if view.trust(author) is not Trust.TRUSTED:
            return ()
        await self._refresh()
        known = await self._env.store.read(lambda db: _own_grants(db, view.me))
        if known and not await asyncio.to_thread(self._admits, link.peer.device, known):
            await self._people.admit_members()
            known = await self._env.store.read(lambda db: _own_grants(db, view.me))
        return [record.block for record in known]

    async def take_grants(self, blocks: Sequence[bytes], link: PeerLink) -> bool:
        """Open what the peer's author granted to this device."""

        def opened() -> list[tuple[Record, list[EpochKey]]]:
            found = []
            for block in blocks:
                record = decode_record(block)
                if record.author == link.peer.author and isinstance(record.body, Grant):
                    verify_record(record)
                    found.append((record, open_grant(record, self._env.keys.device_key)))
            return found

        try:
            grants = await asyncio.to_thread(opened)
        except (RecordError, BadEncoding, CannotOpen) as error:
            log.event("sync.bad_grant", LogLevel.WARNING, device=link.peer.device.hex(), error=str(error))
            return False
        now = self._env.now()

        def work(db: sqlite3.Connection) -> bool:
            new = False
            for record, keys in grants:
                if not keys:
                    continue
                ingest(db, record, now=now)
                for number, key in enumerate(keys):
                    new |= add_epoch(db, key, record.author, TRUSTED, now=now, current=number == 0)
            return new

        new = await self._env.store.write(work)
        if new:
            await self._refresh()
            for peer in list(self._peers.values()):
                if peer.link is not link:
                    await self._quietly(peer.prove_memberships())
        return new

    async def taken(self, taken: Taken, link: PeerLink) -> None:
        """What a peer brought is on disk: look at people anew, tell the others, and whoever waits for it."""
        if taken.people_changed:
            await self._people.refresh()
            await self.people_changed()
        elif taken.floors_changed:
            await self._refresh()
            for peer in list(self._peers.values()):
                await self._quietly(peer.wants_changed())
        view = self._people.view
        # What strangers say is kept apart: it is not passed on.
        relayed = [record for record in taken.added if record.author in view.distances]
        if relayed:
            self._offer(relayed, link.peer.device)
        if self._arrived is not None and taken.added:
            await self._arrived(taken, link)

    def _offer(self, records: Sequence[Record], source: DeviceId | None) -> None:
        try:
            self._queue.put_nowait((records, source))
        except asyncio.QueueFull:
            log.event("sync.push_skipped", LogLevel.WARNING, records=len(records))

    async def _push(self, peer: PeerSync, records: Sequence[Record]) -> None:
        if any(isinstance(record.body, Grant) for record in records):
            await self._refresh()
            await self._quietly(peer.give_grants())
            await self._quietly(peer.prove_memberships())
        await self._quietly(peer.push(record for record in records if not isinstance(record.body, Grant)))

    async def _quietly(self, act: Awaitable[None]) -> None:
        try:
            await act
        except LinkClosed:
            log.event("sync.link_closed", LogLevel.DEBUG)

    async def _refresh(self) -> None:
        def work(db: sqlite3.Connection) -> tuple[list[Epoch], dict[AuthorId, Floor]]:
            return epochs(db), {author: (f.time, f.id) for author, f in floors(db).items()}

        known, self._floors = await self._env.store.read(work)
        self._epochs = {epoch.key.tag: epoch for epoch in known}

    def _quota(self, author: AuthorId) -> Quota | None:
        view = self._people.view
        if author == view.me:
            return None
        if author in view.quotas:
            return view.quotas[author]
        return stranger_quota(len(self._strangers_met), max_disk=self._max_disk())

    def _admits(self, device: DeviceId, grants: Sequence[Record]) -> bool:
        """Whether the current grants were made for this device too; a box says that to its holder alone."""
        tag = grants[0].body.tag if isinstance(grants[0].body, Grant) else b""
        return device in self._env.store.read_now(lambda db: granted_devices(db, tag))


def _own_grants(db: sqlite3.Connection, me: AuthorId) -> list[Record]:
    """The latest grants of the current epoch of the trusted circle."""
    own = (epoch for epoch in epochs(db) if epoch.author == me and epoch.circle == TRUSTED)
    current = {epoch.key.tag for epoch in own if epoch.current}
    replaced = {old for (old,) in db.execute("SELECT old FROM replaced")}
    return [
        held.record
        for held in of_kind(db, "grant", me)
        if isinstance(held.record.body, Grant)
        and held.record.body.tag in current
        and held.record.id not in replaced
    ]
