"""The daemon: every part made, joined and ended here, and nowhere else."""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from importlib.metadata import version

from pkn_protocol.channel import messages as m
from pkn_protocol.channel.errors import CloseCode
from pkn_protocol.channel.handshake import PeerAuthenticated
from pkn_protocol.control.people import Announcement, Trust
from pkn_protocol.gossip.neighbourhood import Candidate
from pkn_protocol.records.ids import AuthorId, DeviceId
from pknd import log
from pknd.channel.conduct import Conduct
from pknd.channel.link import Link
from pknd.channel.network import Handlers, Network
from pknd.config import Config
from pknd.config_file import ConfigFile
from pknd.control.server import serving
from pknd.control.services import Services
from pknd.discovery.dialer import Dialer
from pknd.discovery.known import KnownDevices
from pknd.discovery.mdns import Found, LocalDiscovery, interface_addresses
from pknd.discovery.plan import Key, is_refusal
from pknd.discovery.watch import Watch
from pknd.environment import Environment
from pknd.home import Home
from pknd.items.fetching import Fetcher
from pknd.items.giving import BlockGiver
from pknd.items.importing import Importer
from pknd.items.publisher import Publisher
from pknd.items.service import Items
from pknd.items.sketch_check import SketchCheck
from pknd.items.summaries import Holders
from pknd.items.verifying import Verifier
from pknd.items.work import LongWork
from pknd.log import LogHistory
from pknd.loops import kept_up
from pknd.news.gathering import Gatherer
from pknd.news.service import NewsService
from pknd.people.founding import founding_records
from pknd.people.identity import Identity
from pknd.people.keys import open_keys
from pknd.people.service import People
from pknd.retention import Retention
from pknd.search.answering import Answering
from pknd.search.discovering import Discovering
from pknd.search.service import Queries
from pknd.search.texts import Texts
from pknd.status import StatusReport
from pknd.store.peers import MOST_PEERS
from pknd.store.peers import peers as known_peers
from pknd.store.people import device_block, device_record
from pknd.store.records import get
from pknd.store.store import Store
from pknd.sync.intake import Taken
from pknd.sync.link import PeerLink
from pknd.sync.peers import PeerDirectory, join_address, parse_address
from pknd.sync.service import Sync

MAINTENANCE_SECONDS = 300.0
MOST_HELD_BY = 256
"""Devices of which it is remembered whose records they keep."""


async def run(config: ConfigFile, home: Home, stop: asyncio.Event) -> None:
    """Run until `stop` is set; returns when all is closed.

    Raises:
        DomainError: the daemon cannot start.
    """
    # Keys are on disk before there is a database.
    keys, _ = open_keys(home.keys, random_bytes=os.urandom, in_use=home.database.exists())
    store = Store.open(home.folder)
    env = Environment(home.folder, store, keys, _now, time.monotonic, os.urandom)
    try:
        await Daemon(env, config, home, stop).run()
    finally:
        await store.close()


def _now() -> int:
    return int(time.time() * 1000)


class Daemon:
    """One run: made, started, run, stopped."""

    def __init__(self, env: Environment, config: ConfigFile, home: Home, stop: asyncio.Event) -> None:
        self._env = env
        self._config = config
        self._home = home
        self._stop = stop
        self._background: set[asyncio.Task[None]] = set()
        self._known_devices = KnownDevices(MOST_PEERS, self._is_kept)
        self._held_by: dict[DeviceId, frozenset[AuthorId]] = {}

    async def run(self) -> None:
        env, config = self._env, self._config
        settings = config.config
        await env.store.write(lambda db: founding_records(db, env, settings.name))

        def ceiling() -> int:
            return config.config.disk_ceiling(env.home)

        self.people = people = People(env, max_disk=ceiling)
        await people.refresh()
        self.conduct = Conduct(env, self._in_background)
        await self.conduct.load()
        self.sync = sync = Sync(env, people, max_disk=ceiling)
        await sync.start()
        self.giver = BlockGiver(env, self._may_see)
        self.network = await self._make_network()
        self.discovery = LocalDiscovery(
            env.keys.device, random_bytes=os.urandom, found=self._found, gone=self._gone
        )
        self.dialer = dialer = Dialer(
            env.keys.device,
            self,
            clock=env.monotonic,
            chance=random.random,
            known=lambda: list(self._known_devices),
            describe=self._candidate,
        )
        dialer.people_changed(people.view.near)
        self.directory = PeerDirectory(
            env,
            self.network,
            dialer,
            view=lambda: people.view,
            announcement=lambda: self.discovery.announcement,
            listen=self._listening,
            progress=sync.progress_by_device,
        )
        self.retention = retention = Retention(
            env, view=lambda: people.view, online=self._authors_online, max_disk=ceiling
        )
        publisher = Publisher(
            env,
            view=lambda: people.view,
            default_lang=lambda: config.config.lang,
            announce=sync.announce,
            check_room=retention.check_own,
        )
        self.sketches = SketchCheck(env, found_out=people.refresh)
        self.fetcher = fetcher = Fetcher(
            env,
            lambda: list(self.network.links.values()),
            lambda: people.view,
            retention,
            self.sketches.content_came,
            catching_up=lambda: sync.progress().known > 0,
        )
        people.wire(publisher, changed=self._people_changed, online=self._authors_online)
        sync.on_arrival(self._arrived)
        self.queries = Queries(
            env,
            view=lambda: people.view,
            holders=self._holders,
            links=self._links,
            in_step=self._in_step,
            default_lang=lambda: config.config.lang,
            rank_weights=lambda: config.config.rank_weights,
            in_vain=lambda: fetcher.in_vain.records,
        )
        self.answering = Answering(
            env,
            view=lambda: people.view,
            links=self._links,
            may_see=self._may_see,
            text_of=Texts(env.store.files).of,
            in_vain=lambda: fetcher.in_vain.records,
        )
        services = self._services(publisher, fetcher, ceiling)
        await self.network.start(settings.listen)
        log.event("daemon.listening", address=" ".join(self._listening()))
        try:
            async with asyncio.TaskGroup() as tasks, serving(self._home, services):
                loops = {
                    "sync": sync.run,
                    "fetch": fetcher.run,
                    "sketches": self.sketches.run,
                    "news": self.gatherer.run,
                    "dial": dialer.run,
                    "watch": self._watch().run,
                    "maintain": self._maintain,
                }
                if settings.mdns:
                    loops["mdns"] = self._announce
                running = [tasks.create_task(kept_up(name, loop)) for name, loop in loops.items()]
                await self._remember_peers()
                log.event("daemon.ready", version=version("pknd"), home=env.home, pid=os.getpid())
                await self._stop.wait()
                for task in running:
                    task.cancel()
        finally:
            await self.discovery.stop()
            await self.network.stop()
            self.sync.close()
            try:
                await fetcher.stop()
            finally:
                await self.giver.close()

    def is_connected(self, device: DeviceId) -> bool:
        return device in self.network.links

    def _is_kept(self, device: DeviceId, author: AuthorId | None) -> bool:
        return self.is_connected(device) or author in self.people.view.distances

    async def dial(self, host: str, port: int, expected: DeviceId | None) -> DeviceId:
        link = await self.network.dial(host, port, expected=expected)
        return link.peer.device

    async def drop(self, device: DeviceId, reason: str) -> None:
        link = self.network.links.get(device)
        if link is not None:
            await link.close(CloseCode.TOO_MANY, reason)

    def _candidate(self, device: DeviceId) -> Candidate[Key]:
        """What is known of a device as a neighbour: it has its author's records, if nothing else."""
        author, view = self._known_devices.author(device), self.people.view
        if author is None:
            return Candidate(device)
        return Candidate(
            device,
            trusted=view.trust(author) in (Trust.SELF, Trust.TRUSTED),
            near=author in view.distances,
            holds=self._held_by.get(device, frozenset()) | {author} | view.vouches.get(author, frozenset()),
        )

    async def _learn_who_holds(self) -> None:
        """Remember of whom the neighbours keep the records, for when they are to be chosen again."""
        for device in self.sync.peers():
            held = self.sync.held_by(device)
            if held:
                self._held_by[device] = held
            await asyncio.sleep(0)
        while len(self._held_by) > MOST_HELD_BY:
            del self._held_by[next(iter(self._held_by))]
        self.dialer.people_changed(self.people.view.near)

    async def _make_network(self) -> Network:
        env = self._env
        cid = await env.store.read(lambda db: device_record(db, env.keys.device))
        held = None if cid is None else await env.store.read(lambda db: get(db, cid))
        if held is None:
            raise RuntimeError("the device's own record is not in the store")
        return Network(
            author=env.keys.author,
            device_key=env.keys.device_key,
            device_record=held.record.block,
            agent=f"pkn/{version('pknd')}",
            random_bytes=os.urandom,
            clock=env.monotonic,
            handlers=Handlers(
                serve=self._serve,
                request=self._request,
                message=self.sync.receive,
                block=self.giver.give,
                welcome=self._why_refused,
                ended=self._ended,
                is_near=lambda author: author in self.people.view.distances,
                violated=lambda peer, end: self.conduct.note(peer, end.reason),
                device_block=lambda device: env.store.read(lambda db: device_block(db, device)),
            ),
        )

    def _services(self, publisher: Publisher, fetcher: Fetcher, ceiling: Callable[[], int]) -> Services:
        env, people, config = self._env, self.people, self._config
        discovering = Discovering(
            env,
            view=lambda: people.view,
            holders=self._holders,
            default_lang=lambda: config.config.lang,
            rank_weights=lambda: config.config.rank_weights,
        )
        self.gatherer = gatherer = Gatherer(
            env,
            view=lambda: people.view,
            holders=self._holders,
            default_lang=lambda: config.config.lang,
            may_know=discovering.may_know,
        )
        self.identity = identity = Identity(env, self._home.keys, publisher, view=lambda: people.view)
        config.on_change = self._config_changed
        config.worked_out = lambda key: people.view.names.get(env.keys.author) if key == "name" else None
        self.items = items = Items(
            env,
            publisher,
            view=lambda: people.view,
            holders=self._holders,
            default_audience=lambda: config.config.default_audience,
            fetcher=fetcher,
            related=discovering.related_to,
        )
        importer = Importer(env, publisher, default_audience=lambda: config.config.default_audience)
        report = StatusReport(
            env,
            identity,
            view=lambda: people.view,
            listen=self._listening,
            online=lambda: len(self.network.links),
            max_disk=ceiling,
            pid=os.getpid(),
            progress=self.sync.progress,
        )
        return Services(
            status=report,
            identity=identity,
            items=items,
            work=LongWork(importer, Verifier(env)),
            query=self.queries,
            discovering=discovering,
            news=NewsService(
                env,
                gatherer,
                view=lambda: people.view,
                holders=self._holders,
                default_lang=lambda: config.config.lang,
            ),
            people=people,
            peers=self.directory,
            config=config,
            log=LogHistory(),
            lifecycle=_Lifecycle(self._stop),
        )

    async def _serve(self, link: Link) -> None:
        self._known_devices.met(link.peer.device, link.peer.author)
        self.dialer.met(link.peer.device)
        await self.directory.remember(link)
        self.fetcher.look_for_work()
        await self.sync.serve(link)

    async def _request(self, link: Link, message: m.Message) -> AsyncIterator[m.Message]:
        match message:
            case m.Fetch():
                async for part in self.sync.give_records(link, message, self.answering.forwarder.passed_on):
                    yield part
            case m.Ask():
                async for answers in self.answering.answer(link, message):
                    yield answers
            case m.Have():
                yield await self.giver.which(link, message)
            case _:
                yield m.Unsupported(type(message).__name__.lower())

    def _may_see(self, link: PeerLink, scope: bytes) -> bool:
        return self.sync.may_see(link, scope)

    def _in_step(self, device: DeviceId) -> bool:
        peer = self.sync.peers().get(device)
        return peer is not None and peer.in_step.is_set()

    def _why_refused(self, peer: PeerAuthenticated) -> str | None:
        if self.people.view.trust(peer.author) is Trust.BLOCKED:
            return "not welcome here"
        return self.conduct.refusal(peer.device)

    def _ended(self, link: Link) -> None:
        refused = link.ended is not None and is_refusal(link.ended.code)
        self.dialer.lost(link.peer.device, refused=refused)
        if not self._stop.is_set():
            self._in_background(self.directory.note_end(link))

    async def _arrived(self, taken: Taken, link: PeerLink) -> None:
        self.fetcher.look_for_work()

    async def _people_changed(self) -> None:
        await self.sync.people_changed()
        # Who was blocked until now was refused, and would dial again only minutes later.
        self.dialer.retry_all()
        self.dialer.people_changed(self.people.view.near)
        self.fetcher.look_for_work()

    async def _config_changed(self, config: Config) -> None:
        if config.name is not None:
            await self.identity.rename(config.name)
            await self.people.refresh()

    def _found(self, found: Found) -> None:
        self.dialer.seen(found)

    def _gone(self, instance: str) -> None:
        self.dialer.gone(instance)

    def _links(self) -> Mapping[DeviceId, PeerLink]:
        return dict(self.network.links)

    def _authors_online(self) -> frozenset[AuthorId]:
        return frozenset(link.peer.author for link in self.network.links.values())

    def _holders(self) -> Holders:
        online: dict[AuthorId, tuple[str, ...]] = {}
        for device, link in self.network.links.items():
            online[link.peer.author] = (*online.get(link.peer.author, ()), device.hex())
        return Holders(self._env.keys.device.hex(), online)

    def _listening(self) -> tuple[str, ...]:
        host = self._config.config.listen.host
        if host is not None:
            return (join_address(host, self.network.port),)
        return tuple(join_address(address, self.network.port) for address in interface_addresses())

    async def _remember_peers(self) -> None:
        """Dial again whom this device met before."""
        rows = await self._env.store.read(known_peers)
        for row in reversed(rows):  # those met last come first
            self._known_devices.met(row.device, row.author)
        for row in rows:
            addresses = tuple(parse_address(address) for address in row.addresses)
            self.dialer.remember(row.device, addresses, row.found)

    def _watch(self) -> Watch:
        async def changed(reason: str) -> None:
            log.event("network.changed", reason=reason)
            # Connections may have died without a word: who does not answer now is dialled again.
            self.network.check_all()
            if self._config.config.mdns and self.discovery.announcement is not Announcement.OFF:
                await self.discovery.restart(self._config.config.listen.host, self.network.port)
            self.dialer.retry_all()

        return Watch(wall=time.time, monotonic=time.monotonic, addresses=interface_addresses, changed=changed)

    async def _announce(self) -> None:
        await self.discovery.start(self._config.config.listen.host, self.network.port)

    async def _maintain(self) -> None:
        while True:
            await asyncio.sleep(MAINTENANCE_SECONDS)
            await self._learn_who_holds()
            await self.retention.maintain()
            await self._env.store.maintain(now=self._env.now())

    def _in_background(self, work: Awaitable[None]) -> None:
        """A short write that nobody waits for; the store finishes it before it closes."""

        async def quietly() -> None:
            try:
                await work
            except RuntimeError:
                log.event("daemon.late_write")
            except Exception as error:
                log.failure("daemon.write_failed", error)

        task = asyncio.ensure_future(quietly())
        self._background.add(task)
        task.add_done_callback(self._background.discard)


class _Lifecycle:
    def __init__(self, stop: asyncio.Event) -> None:
        self._stop = stop

    def stop(self) -> None:
        self._stop.set()
