"""Synchronisation with all peers: gives the machine what happens, and carries out what it wants done.

All decisions are made in `pkn_protocol.sync.node`; here are the store, threads, connections and the clock.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from weakref import WeakKeyDictionary

from pkn_protocol.channel import messages as m
from pkn_protocol.channel.errors import ChannelError, CloseCode
from pkn_protocol.gossip.spreading import TreeSpreading
from pkn_protocol.records.ids import AuthorId, DeviceId
from pkn_protocol.records.model import Grant, Record
from pkn_protocol.sync import effects as e
from pkn_protocol.sync.facts import Circle, Circles, Horizon, Meeting, Progress, Stored
from pkn_protocol.sync.node import SyncNode
from pkn_protocol.sync.sums import comparison_instant
from pkn_protocol.sync.wants import Floor, PairKey
from pkn_protocol.trust.quotas import Quota, stranger_quota
from pknd import log
from pknd.environment import Environment
from pknd.people.circles import PRIVATE
from pknd.people.service import People
from pknd.store.circles import Epoch, epochs
from pknd.store.errors import DiskFull
from pknd.store.floors import floors
from pknd.store.retention import lift_floors
from pknd.store.row_feed import RowNews
from pknd.sync.connection import PeerConnection
from pknd.sync.grants import GrantKeeper
from pknd.sync.intake import Intake, Taken
from pknd.sync.link import LinkClosed, PeerLink
from pknd.sync.reading import (
    PassedOn,
    facts_of,
    held_shorts,
    places_of,
    read_ids,
    read_records,
    read_rows,
)
from pknd.sync.strangers import StrangersMet

FETCH_TIMEOUT_S = 30.0
_LONGEST_SLEEP_S = 60.0
"""The clock may be set meanwhile, and the time that the machine named has then come earlier."""

Arrived = Callable[[Taken, PeerLink], Awaitable[None]]


class Sync:
    """`on_arrival` names who is told what a peer brought, after it is on disk."""

    def __init__(self, env: Environment, people: People, *, max_disk: Callable[[], int]) -> None:
        self._env = env
        self._people = people
        self._max_disk = max_disk
        self._spreading = TreeSpreading(chance=random.random)
        self._node = SyncNode(Horizon(env.keys.author, {env.keys.author: 0}), {}, spreading=self._spreading)
        self._grants = GrantKeeper(env, people)
        self._epochs: dict[bytes, Epoch] = {}
        self._floors: Mapping[AuthorId, Floor] = {}
        self._numbers = itertools.count(1)
        self._by_link: WeakKeyDictionary[PeerLink, PeerConnection] = WeakKeyDictionary()
        self._served: dict[int, PeerConnection] = {}
        self._arrived: Arrived | None = None
        self._strangers = StrangersMet()
        self._wake_at: int | None = None
        self._woken = asyncio.Event()
        self._grants_due = False
        self._refresh_due = asyncio.Event()
        self._refreshing = asyncio.Lock()
        self._intake = Intake(
            env,
            epochs=lambda: {tag: epoch.key for tag, epoch in self._epochs.items()},
            near=lambda: people.view.near,
            quota=self._quota,
        )

    def on_arrival(self, arrived: Arrived) -> None:
        self._arrived = arrived

    async def start(self) -> None:
        """Read what the store knows of circles and floors, and follow it from now on."""
        self._env.store.rows.watch(self._on_rows, lambda: comparison_instant(self._env.now()))
        await self._refresh()

    async def run(self) -> None:
        """Keep the machine's time; runs as long as the daemon."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._follow_changes())
            while True:
                await self._sleep()
                if self._wake_at is not None and self._env.now() >= self._wake_at:
                    self._wake_at = None
                    self._do(self._node.timer(self._env.now()))

    def close(self) -> None:
        """End what works beside the daemon; what is still to be verified is, in threads."""
        self._intake.close()

    def announce(self, records: Sequence[Record]) -> None:
        """New records are on disk: offer them to everybody connected who wants them."""
        if any(isinstance(record.body, Grant) for record in records):
            self._grants_due = True
            self._refresh_due.set()
        if not self._served:
            # Whoever connects later compares.
            return
        others = [facts_of(record) for record in records if not isinstance(record.body, Grant)]
        self._do(self._node.published(others, self._env.now()))

    def peers(self) -> dict[DeviceId, PeerConnection]:
        """The connections that are kept in step now."""
        return {peer.link.peer.device: peer for peer in self._served.values()}

    def progress(self) -> Progress:
        """How many of the records that were found to be lacking have come."""
        return self._node.progress()

    def progress_by_device(self) -> Mapping[DeviceId, Progress]:
        """The same for each device that is connected now."""
        return {device: self._node.progress(peer.conn) for device, peer in self.peers().items()}

    def records(self, device: DeviceId) -> tuple[int, int]:
        """Records that came in full from a connected device, copies counted, and went to it."""
        peer = self.peers().get(device)
        return (0, 0) if peer is None else self._node.counts(peer.conn)

    def held_by(self, device: DeviceId) -> frozenset[AuthorId]:
        """The authors near us whose records are exchanged with a connected device."""
        peer = self.peers().get(device)
        if peer is None:
            return frozenset()
        return frozenset(a for a in self._people.view.near if self._node.brings(peer.conn, a))

    def may_see(self, link: PeerLink, scope: bytes) -> bool:
        """Whether a peer may have records and blocks of a scope."""
        return self._node.may_see(self._peer(link).conn, scope)

    async def serve(self, link: PeerLink) -> None:
        """Keep in step with a peer until its connection ends."""
        peer = self._peer(link)
        if link.peer.author not in self._people.view.distances:
            self._strangers.met(link.peer.author)
        try:
            await peer.run(lambda: self._begin(peer))
        except* LinkClosed:
            await link.close(CloseCode.GOING_AWAY, "the connection was lost")
        finally:
            self._count(peer)
            self._served.pop(peer.conn, None)
            self._do(self._node.disconnected(peer.conn, self._env.now()))
            log.event(
                "sync.ended",
                device=link.peer.device.hex()[:16],
                records_in=peer.records_in,
                records_out=peer.records_out,
            )

    async def receive(self, link: PeerLink, message: m.Message) -> None:
        """Take a message, one at a time; waits for `serve` to have begun, and while there is much to do."""
        peer = self._peer(link)
        await peer.started.wait()
        while self._node.is_full(peer.conn):
            peer.room.clear()
            await peer.room.wait()
        self._do(self._node.received(peer.conn, message, self._env.now()))

    async def give_records(
        self, link: PeerLink, fetch: m.Fetch, passed_on: PassedOn
    ) -> AsyncIterator[m.Records]:
        """The replies to a request for records."""
        peer = self._peer(link)
        await peer.started.wait()

        def begin(number: int) -> None:
            self._do(self._node.requested(peer.conn, number, fetch, self._env.now()))

        async for records in peer.records(begin, passed_on):
            yield records

    async def people_changed(self) -> None:
        """Trust or vouches are others than before."""
        self._strangers.forget(self._people.view.distances.keys())
        try:
            await self._env.store.write(lambda db: lift_floors(db, self._quota))
        except DiskFull as error:
            # There is no room for what was left out either; the next change of people looks at them again.
            log.failure("sync.floors_not_lifted", error)
        await self._refresh()
        self._do(self._node.grants_due(self._env.now()))

    def _begin(self, peer: PeerConnection) -> None:
        link = peer.link.peer
        self._served[peer.conn] = peer
        pair = PairKey.of(self._env.keys.device_key, link.device)
        meeting = Meeting(
            link.device, link.author, peer.link.outbound, link.transcript, pair, link.device_record.block
        )
        self._do(self._node.connected(peer.conn, meeting, self._env.now()))

    def _peer(self, link: PeerLink) -> PeerConnection:
        """A connection, known from when it is first heard of."""
        peer = self._by_link.get(link)
        if peer is None:
            peer = self._by_link[link] = PeerConnection(next(self._numbers), link)
        return peer

    def _count(self, peer: PeerConnection) -> None:
        if peer.conn in self._served:
            peer.records_in, peer.records_out = self._node.counts(peer.conn)

    def _do(self, effects: Sequence[e.Effect]) -> None:
        for effect in effects:
            if isinstance(effect, e.WakeAt):
                self._wake_at = effect.time
                self._woken.set()
                continue
            peer = self._served.get(effect.conn)
            if peer is not None:
                self._carry_out(effect, peer)

    def _carry_out(self, effect: e.ConnectionEffect, peer: PeerConnection) -> None:
        match effect:
            case e.Send() | e.Close():
                if not peer.put(effect):
                    # Not from within: the machine may be in the midst of many of them.
                    loop = asyncio.get_running_loop()
                    loop.call_soon(self._dropped, peer)
            case e.Reply(number=number, records=records):
                peer.reply(number, records)
            case e.InStep():
                self._count(peer)
                peer.in_step.set()
            case _:
                peer.spawn(self._work(effect, peer))
        if not self._node.is_full(peer.conn):
            peer.room.set()

    async def _work(self, effect: e.WorkEffect, peer: PeerConnection) -> None:
        """What takes time; its result goes back to the machine."""
        self._do(await self._result(effect, peer))
        if not self._node.is_full(peer.conn):
            peer.room.set()

    async def _result(self, effect: e.WorkEffect, peer: PeerConnection) -> list[e.Effect]:
        read, node, conn = self._env.store.read, self._node, peer.conn
        match effect:
            case e.Request():
                return await self._fetch(effect, peer)
            case e.StoreBatch():
                return await self._store(effect, peer)
            case e.ReadRows(number=number, query=query):
                rows = await read(lambda db: read_rows(db, query, self._env.store.rows))
                return node.rows_read(conn, number, rows, self._env.now())
            case e.ReadIds(number=number):
                ids = await read(lambda db: read_ids(db, effect.rows, effect.query))
                return node.ids_read(conn, number, ids, self._env.now())
            case e.Compute():
                return await self._compute(effect, conn)
            case e.ReadRecords(number=number):
                passed_on = peer.passed_on(number)
                blocks, missing = await read(lambda db: read_records(db, effect, passed_on))
                return node.records_read(conn, number, blocks, missing, self._env.now())
            case e.Place(number=number):
                places = await read(lambda db: places_of(db, effect.ids))
                return node.placed(conn, number, places, self._env.now())
            case e.LookUpShorts(number=number):
                held = await read(lambda db: held_shorts(db, effect.author, effect.shorts))
                return node.looked_up(conn, number, held, self._env.now())
            case e.ReadGrants():
                return node.grants_read(conn, await self._grants_for(peer), self._env.now())
            case e.OpenGrants(blocks=blocks):
                if await self._grants.take(blocks, peer.link):
                    await self._refresh()
                return node.grants_opened(conn, self._env.now())

    async def _grants_for(self, peer: PeerConnection) -> Sequence[bytes]:
        try:
            return await self._grants.grants_for(peer.link)
        except DiskFull as error:
            # What could not be written is no reason to part: it is looked at again with the next change.
            log.failure("sync.grants_not_written", error)
            self._grants_due = True
            return ()

    async def _fetch(self, effect: e.Request, peer: PeerConnection) -> list[e.Effect]:
        more = True
        try:
            async for reply in peer.link.stream(effect.fetch, timeout_s=FETCH_TIMEOUT_S):
                if not isinstance(reply, m.Records):
                    break
                more = reply.more
                self._do(self._node.replied(peer.conn, effect.number, reply, self._env.now()))
        except (LinkClosed, TimeoutError):
            more = True
        return self._node.request_failed(peer.conn, effect.number, self._env.now()) if more else []

    async def _store(self, effect: e.StoreBatch, peer: PeerConnection) -> list[e.Effect]:
        try:
            taken = await self._intake.take(effect.blocks, effect.wanted.__contains__)
        except Exception as error:
            # As when the disk is full: a comparison after a while brings what was not kept.
            log.failure("sync.not_stored", error, records=len(effect.blocks))
            return self._node.not_stored(peer.conn, effect.number, self._env.now())
        if taken.people_changed:
            await self._people.refresh()
            await self.people_changed()
        effects = self._node.stored(peer.conn, effect.number, _outcome(taken), self._env.now())
        if self._arrived is not None and taken.added:
            await self._arrived(taken, peer.link)
        return effects

    async def _compute(self, effect: e.Compute, conn: int) -> list[e.Effect]:
        try:
            result = await asyncio.to_thread(effect.work)
        except ChannelError as error:
            return self._node.compute_failed(conn, error, self._env.now())
        return self._node.computed(conn, effect.number, result, self._env.now())

    def _dropped(self, peer: PeerConnection) -> None:
        self._do(self._node.dropped(peer.conn, self._env.now()))

    async def _sleep(self) -> None:
        self._woken.clear()
        wait = _LONGEST_SLEEP_S
        if self._wake_at is not None:
            wait = min(wait, max(0, self._wake_at - self._env.now()) / 1000)
        try:
            async with asyncio.timeout(wait):
                await self._woken.wait()
        except TimeoutError:
            return

    def _on_rows(self, news: RowNews) -> None:
        if news.rows:
            self._node.rows_changed(news.rows, news.version)
        if news.floors:
            self._refresh_due.set()

    async def _follow_changes(self) -> None:
        """Floors that quotas or retention raised, and grants that were written."""
        while True:
            await self._refresh_due.wait()
            self._refresh_due.clear()
            grants, self._grants_due = self._grants_due, False
            try:
                await self._refresh()
            except Exception as error:
                log.failure("sync.refresh_failed", error)
                continue
            if grants:
                self._do(self._node.grants_due(self._env.now()))

    async def _refresh(self) -> None:
        """Tell the machine of people, circles and floors as they are now."""

        def work(db: sqlite3.Connection) -> tuple[list[Epoch], dict[AuthorId, Floor]]:
            return epochs(db), {author: (f.time, f.id) for author, f in floors(db).items()}

        async with self._refreshing:
            known, self._floors = await self._env.store.read(work)
            self._tell(known)

    def _tell(self, known: Sequence[Epoch]) -> None:
        self._epochs = {epoch.key.tag: epoch for epoch in known}
        view = self._people.view
        now = self._env.now()
        self._do(self._node.circles_changed(self._circles(), now))
        self._do(
            self._node.horizon_changed(Horizon(view.me, view.distances, view.blocked, self._floors), now)
        )

    def _circles(self) -> Circles:
        return {
            tag: Circle(epoch.key, epoch.author)
            for tag, epoch in self._epochs.items()
            if epoch.circle != PRIVATE
        }

    def _quota(self, author: AuthorId) -> Quota | None:
        view = self._people.view
        if author == view.me:
            return None
        if author in view.quotas:
            return view.quotas[author]
        return stranger_quota(len(self._strangers), max_disk=self._max_disk())


def _outcome(taken: Taken) -> Stored:
    return Stored(
        added=tuple(map(facts_of, taken.added)),
        known=tuple(taken.known),
        refused={reason: tuple(ids) for reason, ids in taken.refused.items()},
        retractions=tuple(taken.retractions),
        unknown=tuple(taken.unknown),
        fault=taken.fault,
    )
