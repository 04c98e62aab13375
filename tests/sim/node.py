"""A node: the protocol's machines for one device, with a store in memory, over the simulated network.

It does what the daemon does around these machines, and nothing else: it carries out their effects, after the
delays of a disk, and tells them of connections, messages and time by its own clock.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pkn_protocol.channel import messages as m
from pkn_protocol.channel.errors import ChannelError
from pkn_protocol.gossip.spreading import TreeSpreading
from pkn_protocol.records.ids import AuthorId
from pkn_protocol.records.model import Record, Vouch
from pkn_protocol.sync import effects as e
from pkn_protocol.sync.node import SyncNode
from pkn_protocol.sync.sums import comparison_instant
from pkn_protocol.trust.vouches import standing_vouches
from pknd.discovery.plan import is_refusal
from tests.sim import answers
from tests.sim.horizon import People
from tests.sim.intake import take_in
from tests.sim.link import Link
from tests.sim.network import Connection
from tests.sim.plan import WALL_START_MS
from tests.sim.store import Store

if TYPE_CHECKING:
    from tests.sim.simulation import Simulation

EXPIRE_EVERY_MS = 60_000.0
PEOPLE_AFTER_MS = 2_000.0


class Node:
    """`store`, `strangers` and `learned` (by node, the authors that it brings) outlive a restart; all else
    begins anew with `start`."""

    def __init__(self, world: Simulation, number: int) -> None:
        self.world = world
        self.number = number
        self.author = world.authors[number].author
        self.clock = world.plan.clocks[number]
        self.store = Store()
        self.strangers: set[AuthorId] = set()
        self.met: set[int] = set()
        self.learned: dict[int, frozenset[AuthorId]] = {}
        self.links: dict[int, Link] = {}
        self.by_node: dict[int, Link] = {}
        self.up = False
        self.life = 0
        """How often it has begun: what was put off in an earlier life is not done."""
        self.people = People(self.author, (), (), {}, max_disk=world.settings.max_disk)
        self._queue: deque[e.Effect] = deque()
        self._busy = False
        self._wake: float | None = None
        self._people_are_due = False
        self._sync: SyncNode | None = None

    def now(self) -> int:
        """Ms since 1970 by this node's clock."""
        return WALL_START_MS + self.clock + int(self.world.events.now)

    @property
    def sync(self) -> SyncNode:
        if self._sync is None:
            raise RuntimeError(f"node {self.number} is not running")
        return self._sync

    def start(self) -> None:
        self.up = True
        self.life += 1
        self.store.expire(self.now())
        self.store.take_changes()
        self._look_at_people()
        for author in self.store.authors:
            self.store.keep_quota(author, self.people.quota(author, len(self.strangers)))
        self.store.take_changes()
        spreading = TreeSpreading(chance=self.world.random.random)
        self._sync = SyncNode(self.people.horizon(self.store.floors), {}, spreading=spreading)
        self._later(self.world.random.uniform(0, EXPIRE_EVERY_MS), self._expire)

    def fill(self, records: Iterable[Record]) -> None:
        """These have come in an earlier life."""
        for record in records:
            self.store.ingest(record, self.now())

    def stop(self) -> None:
        """The process ends; what was on its way to the disk is gone."""
        self.up = False
        self._sync = None
        self._wake = None
        self._people_are_due = False
        self._queue.clear()
        for link in self.links.values():
            link.up = False
        self.links.clear()
        self.by_node.clear()

    # Connections

    def connected(self, connection: Connection, side: int) -> None:
        """The handshake is over."""
        number = self.world.next_number()
        link = Link(self, connection, side, number)
        connection.ends[side] = link
        link.up = True
        self.links[number] = self.by_node[link.other] = link
        self.met.add(link.other)
        other = self.world.authors[link.other]
        if other.author not in self.distances:
            self.strangers.add(other.author)
        meeting = self.world.meetings.of(connection, side)
        self._do(self.sync.connected(number, meeting, self.now()))

    def lost(self, link: Link) -> None:
        """The other side or the network ended a connection."""
        if not link.up:
            return
        link.up = False
        if self.links.pop(link.number, None) is not None:
            if self.by_node.get(link.other) is link:
                del self.by_node[link.other]
            self._do(self.sync.disconnected(link.number, self.now()))
            self.world.overlay.ended(self.number, link.other, refused=link.connection.refused)

    def handle(self, link: Link, envelope: m.Envelope) -> None:
        if not link.up or self._sync is None:
            return
        message, now = envelope.message, self.now()
        if envelope.request is not None and isinstance(message, m.Fetch):
            self._do(self._sync.requested(link.number, envelope.request, message, now))
        elif envelope.reply is not None and isinstance(message, m.Records):
            self._do(self._sync.replied(link.number, envelope.reply, message, now))
        else:
            self._do(self._sync.received(link.number, message, now))

    def is_full(self, link: Link) -> bool:
        return self._sync is not None and link.up and self._sync.is_full(link.number)

    def write(self, record: Record) -> None:
        """An own record is on disk: tell the machines."""
        self.store.ingest(record, self.now())
        self._committed()
        self._do(self.sync.published((self.world.library.facts(record),), self.now()))

    # Effects

    def _do(self, effects: Iterable[e.Effect]) -> None:
        """Carry effects out in order, and those that follow from them after those."""
        self._queue.extend(effects)
        if self._busy:
            return
        self._busy = True
        try:
            while self._queue and self._sync is not None:
                self._carry_out(self._queue.popleft())
        finally:
            self._busy = False

    def _carry_out(self, effect: e.Effect) -> None:
        match effect:
            case e.Send():
                if (link := self.links.get(effect.conn)) is not None:
                    link.send(effect.message)
            case e.WakeAt():
                self._wake_at(effect.time)
            case e.StoreBatch():
                self._later(self.world.disk_delay(), self._store, effect)
            case e.ReadRows():
                self._later(self.world.disk_delay(), self._read_rows, effect)
            case e.ReadIds():
                self._later(self.world.disk_delay(), self._read_ids, effect)
            case e.ReadRecords():
                self._later(self.world.disk_delay(), self._read_records, effect)
            case e.Compute():
                self._compute(effect)
            case e.Request():
                if (link := self.links.get(effect.conn)) is not None:
                    link.send(effect.fetch, request=effect.number)
            case e.Reply():
                if (link := self.links.get(effect.conn)) is not None:
                    link.send(effect.records, reply=effect.number)
            case e.Place():
                self._place(effect)
            case e.LookUpShorts():
                self._later(self.world.disk_delay(), self._look_up, effect)
            case e.ReadGrants():
                self._do(self.sync.grants_read(effect.conn, (), self.now()))
            case e.Close():
                self._close(effect)
            case e.InStep() | e.OpenGrants():
                pass

    def _compute(self, effect: e.Compute) -> None:
        try:
            result: Any = effect.work()
        except ChannelError as error:
            self._do(self.sync.compute_failed(effect.conn, error, self.now()))
        else:
            self._do(self.sync.computed(effect.conn, effect.number, result, self.now()))

    def _close(self, effect: e.Close) -> None:
        link = self.links.get(effect.conn)
        if link is None:
            return
        self.world.meter.closed[f"{effect.code.name}: {effect.reason}"] += 1
        self.world.network.close(link.connection, link.side, refused=is_refusal(effect.code))
        self.lost(link)

    def _store(self, effect: e.StoreBatch) -> None:
        store, now, world = self.store, self.now(), self.world
        link = self.links.get(effect.conn)
        taken = take_in(store, [world.library.records[block] for block in effect.blocks], effect.wanted, now)
        for record in taken.added:
            world.meter.arrived(record, self.number, link.other if link else None, world.events.now)
        floors = dict(store.floors)
        for author in {record.author for record in taken.added}:
            store.keep_quota(author, self.people.quota(author, len(self.strangers)))
        stored = taken.told(world.library, store)
        self._committed()
        self._do(self.sync.stored(effect.conn, effect.number, stored, now))
        if any(isinstance(record.body, Vouch) for record in taken.added):
            self._people_due()
        elif floors != store.floors:
            self._do(self.sync.horizon_changed(self.people.horizon(self.store.floors), self.now()))
        if link is not None:
            link.resume()

    def _read_rows(self, effect: e.ReadRows) -> None:
        read = answers.rows(self.store, effect.query)
        self._do(self.sync.rows_read(effect.conn, effect.number, read, self.now()))

    def _read_ids(self, effect: e.ReadIds) -> None:
        found = answers.ids(self.store, effect.query, effect.rows)
        self._do(self.sync.ids_read(effect.conn, effect.number, found, self.now()))

    def _read_records(self, effect: e.ReadRecords) -> None:
        blocks, missing = answers.records(self.store, self.world.library, effect)
        self._do(self.sync.records_read(effect.conn, effect.number, blocks, missing, self.now()))

    def _look_up(self, effect: e.LookUpShorts) -> None:
        held = answers.held(self.store, self.world.library, effect.author, effect.shorts)
        self._do(self.sync.looked_up(effect.conn, effect.number, held, self.now()))

    def _place(self, effect: e.Place) -> None:
        places = answers.places(self.store, self.world.library, effect.ids)
        self._do(self.sync.placed(effect.conn, effect.number, places, self.now()))

    # Time

    def _wake_at(self, time: float) -> None:
        self._wake = time
        due = time - WALL_START_MS - self.clock
        self.world.events.at(due, self._woken, self.life, time)

    def _woken(self, life: int, time: float) -> None:
        if life == self.life and self._wake == time and self._sync is not None:
            self._wake = None
            self._do(self._sync.timer(self.now()))

    def _later(self, delay: float, act: object, *arguments: object) -> None:
        self.world.events.after(delay, self._if_alive, self.life, act, arguments)

    def _if_alive(self, life: int, act: object, arguments: Sequence[object]) -> None:
        if life == self.life and self._sync is not None and callable(act):
            act(*arguments)

    def _expire(self) -> None:
        self.store.expire(self.now())
        self._committed()
        self._later(EXPIRE_EVERY_MS, self._expire)

    def _people_due(self) -> None:
        """Vouches come many at a time: they are looked at together."""
        if not self._people_are_due:
            self._people_are_due = True
            self._later(PEOPLE_AFTER_MS, self._people_changed)

    def _people_changed(self) -> None:
        self._people_are_due = False
        before = self.distances
        self._look_at_people()
        self.strangers -= self.distances.keys()
        self.store.lift_floors(lambda author: self.people.quota(author, len(self.strangers)))
        if before != self.distances:
            self.world.overlay.people_changed(self.number)
        self._do(self.sync.horizon_changed(self.people.horizon(self.store.floors), self.now()))

    def _look_at_people(self) -> None:
        trusted, blocked = self.world.opinions[self.number]
        vouches = standing_vouches(self.store.vouches, now=self.now())
        self.people = People(self.author, trusted, blocked, vouches, max_disk=self.world.settings.max_disk)

    @property
    def distances(self) -> Mapping[AuthorId, int]:
        """Who is within the horizon, as far as is known here, and how far away."""
        return self.people.distances

    def _committed(self) -> None:
        """Tell the machines which rows a commit has changed, before anything else is said of it."""
        changes = answers.changes(self.store, comparison_instant(self.now()))
        if changes and self._sync is not None:
            self._sync.rows_changed(changes, self.store.version)
