"""Nodes joined in memory: the machines of synchronisation over stores that are dictionaries, in virtual time.

Messages go through the codec. What the store is asked is answered after a random while, so that answers of
one connection overtake each other as threads do.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256

from pkn_protocol.channel import messages as m
from pkn_protocol.channel.codec import Stage, decode_message, encode_message
from pkn_protocol.channel.errors import ChannelError, CloseCode
from pkn_protocol.channel.handshake import GREATEST_VERSION
from pkn_protocol.records.ids import AuthorId, Cid, DeviceId, dag_cbor_cid, short_id
from pkn_protocol.sync import effects as e
from pkn_protocol.sync.facts import (
    Circles,
    ConnectionId,
    Horizon,
    Meeting,
    RecordFacts,
    RowChange,
    RowName,
    RowsQuery,
    RowsRead,
    Stored,
)
from pkn_protocol.sync.node import SyncNode
from pkn_protocol.sync.rows import Key, RowSum
from pkn_protocol.sync.spreading import Spreading
from pkn_protocol.sync.sums import PeriodSum, comparison_instant, counts_at, period_of
from pkn_protocol.sync.wants import Floor, PairKey

NOW = 1_700_000_000_000
BAD_BLOCK = b"no record"
_FIELDS = (32, 32, 8, 8, 1, 8)


def author_id(name: str) -> AuthorId:
    return AuthorId(sha256(b"author " + name.encode()).digest())


def device_of(author: AuthorId) -> DeviceId:
    return DeviceId(sha256(b"device" + author).digest())


@dataclass(frozen=True)
class Entry:
    """A record of the test's own make: fields of fixed size one after the other, then the scope."""

    facts: RecordFacts
    device: DeviceId
    expires: int | None
    makes_known: bool
    """Whether it says that its device is its author's."""


def make_block(
    author: AuthorId,
    time: int,
    *,
    number: int = 0,
    standing: bool = False,
    device: DeviceId | None = None,
    makes_known: bool = False,
    expires: int | None = None,
    scope: bytes = b"",
    size: int = 0,
) -> bytes:
    flags = standing | (makes_known << 1)
    return (
        author
        + (device or device_of(author))
        + time.to_bytes(8, "big")
        + (expires or 0).to_bytes(8, "big")
        + bytes((flags,))
        + number.to_bytes(8, "big")
        + bytes((len(scope),))
        + scope
        + bytes(size)
    )


def device_block(author: AuthorId, device: DeviceId | None = None) -> bytes:
    return make_block(author, 1, standing=True, makes_known=True, device=device)


def entry_of(block: bytes) -> Entry | None:
    if block.startswith(BAD_BLOCK):
        return None
    parts, at = [], 0
    for size in _FIELDS:
        parts.append(block[at : at + size])
        at += size
    scope = block[at + 1 : at + 1 + block[at]]
    flags, expires = parts[4][0], int.from_bytes(parts[3], "big")
    author = AuthorId(parts[0])
    time = int.from_bytes(parts[2], "big")
    facts = RecordFacts(dag_cbor_cid(block), author, scope, time, bool(flags & 1), block)
    return Entry(facts, DeviceId(parts[1]), expires or None, bool(flags & 2))


class MemoryStore:
    """What a node holds. Every commit that changes rows has a version, as in the daemon."""

    def __init__(self) -> None:
        self.entries: dict[Cid, Entry] = {}
        self.devices: dict[DeviceId, AuthorId] = {}
        self.sums: dict[RowName, PeriodSum] = {}
        self.version = 0
        self.transactions = 0
        self.reads: Counter[str] = Counter()
        self.taken_back: dict[Cid, bytes] = {}
        """Ids that are retracted, with the block of the retraction."""

    def ids(self, author: AuthorId | None = None) -> set[Cid]:
        return {cid for cid, one in self.entries.items() if author in (None, one.facts.author)}

    def put(self, entries: Iterable[Entry], now: int) -> tuple[list[RecordFacts], list[RowChange]]:
        """One commit: what was new, and how rows changed."""
        before: dict[RowName, PeriodSum] = {}
        added = []
        for one in entries:
            if one.facts.id in self.entries:
                continue
            self.entries[one.facts.id] = one
            if one.makes_known:
                self.devices[one.device] = one.facts.author
            name = row_of(one.facts)
            before.setdefault(name, self.sums.get(name, PeriodSum()))
            self.sums[name] = self.sums.get(name, PeriodSum()).with_id(one.facts.id)
            added.append(one.facts)
        self.transactions += 1
        return added, self._changes(before, now)

    def remove(self, ids: Iterable[Cid], now: int) -> list[RowChange]:
        before: dict[RowName, PeriodSum] = {}
        for cid in ids:
            name = row_of(self.entries.pop(cid).facts)
            before.setdefault(name, self.sums[name])
            self.sums[name] = self.sums[name].without_id(cid)
        return self._changes(before, now)

    def _changes(self, before: Mapping[RowName, PeriodSum], now: int) -> list[RowChange]:
        if not before:
            return []
        self.version += 1
        at = comparison_instant(now)
        uneven = self._uneven(at)
        return [
            RowChange(name, _row_sum(old), _row_sum(self.sums[name]), even=name not in uneven)
            for name, old in before.items()
        ]

    def _uneven(self, at: int) -> set[RowName]:
        return {
            row_of(one.facts)
            for one in self.entries.values()
            if not counts_at(one.facts.time, one.expires, at)
        }

    def rows(self, query: RowsQuery) -> RowsRead:
        self.reads["rows"] += 1
        table: dict[Key, RowSum] = {}
        for name, ids in self._compared(query).items():
            total = PeriodSum()
            for cid in ids:
                total = total.with_id(cid)
            row = _row_sum(total)
            if row is not None:
                table[(name.scope, query.pair.hash(name.author), name.period)] = row
        uneven = frozenset(name.author for name in self._uneven(query.at))
        return RowsRead(table, self.version, uneven)

    def row_ids(self, rows: Sequence[Key], query: RowsQuery) -> dict[Key, list[Cid]]:
        self.reads["ids"] += 1
        wanted = set(rows)
        found: dict[Key, list[Cid]] = {}
        for name, ids in self._compared(query).items():
            key = (name.scope, query.pair.hash(name.author), name.period)
            if key in wanted:
                found[key] = sorted(ids, key=lambda cid: (self.entries[cid].facts.time, cid), reverse=True)
        return found

    def _compared(self, query: RowsQuery) -> dict[RowName, list[Cid]]:
        found: dict[RowName, list[Cid]] = {}
        for cid, one in self.entries.items():
            facts = one.facts
            if facts.author not in query.authors or facts.scope not in query.scopes_of(facts.author):
                continue
            name, floor = row_of(facts), query.authors[facts.author]
            if not counts_at(facts.time, one.expires, query.at) or cid in query.refused.get(name, ()):
                continue
            if floor is None or facts.standing or (facts.time, cid) >= floor:
                found.setdefault(name, []).append(cid)
        return found


def row_of(facts: RecordFacts) -> RowName:
    return RowName(facts.scope, facts.author, period_of(facts.standing, facts.time))


def _row_sum(total: PeriodSum) -> RowSum | None:
    return (total.count, total.digest()) if total.count else None


@dataclass(eq=False)
class Connection:
    """One side of a connection."""

    id: ConnectionId
    node: Node
    other: Connection | None = None
    open: bool = True
    code: CloseCode | None = None
    reason: str = ""


class Node:
    """A person's node: the machine, its store, and the owner's part, which carries out effects."""

    def __init__(self, world: World, name: str, *, spreading: Spreading | None = None) -> None:
        self.world = world
        self.name = name
        self.author = author_id(name)
        self.store = MemoryStore()
        self.horizon = Horizon(self.author, {self.author: 0})
        self.circles: Circles = {}
        self.machine = SyncNode(self.horizon, {}, spreading=spreading)
        self.connections: dict[ConnectionId, Connection] = {}
        self.in_step: Counter[ConnectionId] = Counter()
        self.sent: Counter[str] = Counter()
        self.skew = 0
        self.disk_full = False
        self.refuse: Callable[[Entry], str | None] = lambda entry: None
        self._wake: int | None = None
        self.keep(device_block(self.author))

    @property
    def now(self) -> int:
        return self.world.now + self.skew

    def keep(self, *blocks: bytes) -> list[Cid]:
        """Records are here, whoever wrote them; nobody is told."""
        entries = [one for block in blocks if (one := entry_of(block)) is not None]
        added, changes = self.store.put(entries, self.now)
        if changes:
            self.machine.rows_changed(changes, self.store.version)
        return [facts.id for facts in added]

    def publish(self, *, number: int = 0, time: int | None = None, scope: bytes = b"") -> Cid:
        block = make_block(self.author, self.now if time is None else time, number=number, scope=scope)
        [cid] = self.keep(block)
        self.do(self.machine.published([self.store.entries[cid].facts], self.now))
        return cid

    def forget(self, *ids: Cid) -> None:
        changes = self.store.remove(ids, self.now)
        self.machine.rows_changed(changes, self.store.version)

    def near(self, *nodes: Node, blocked: Iterable[Node] = (), floors: Mapping[AuthorId, Floor] = {}) -> None:
        """Whom this node trusts; floors of what it keeps."""
        self.sees(dict.fromkeys(nodes, 1), blocked=blocked, floors=floors)

    def sees(
        self,
        nodes: Mapping[Node, int],
        authors: Mapping[AuthorId, int] = {},
        *,
        blocked: Iterable[Node] = (),
        floors: Mapping[AuthorId, Floor] = {},
    ) -> None:
        """Who is within the horizon, at which distance."""
        distances = {**{node.author: distance for node, distance in nodes.items()}, **authors, self.author: 0}
        self.horizon = Horizon(self.author, distances, frozenset(b.author for b in blocked), dict(floors))
        self.do(self.machine.horizon_changed(self.horizon, self.now))

    def knows(self, circles: Circles) -> None:
        self.circles = circles
        self.do(self.machine.circles_changed(circles, self.now))

    def do(self, effects: list[e.Effect]) -> None:
        for effect in effects:
            self._carry_out(effect)

    def _carry_out(self, effect: e.Effect) -> None:
        machine = self.machine
        if isinstance(effect, e.WakeAt):
            self._wake = effect.time - self.skew
            self.world.at(self._wake, self._timer)
            return
        connection = self.connections[effect.conn]
        conn = connection.id
        match effect:
            case e.Send(message=message):
                self.sent[type(message).__name__] += 1
                self.world.send(connection, message)
            case e.Request(number=number, fetch=fetch):
                self.world.request(connection, number, fetch)
            case e.Reply(number=number, records=records):
                self.world.reply(connection, number, records)
            case e.Close(code=code, reason=reason):
                connection.code, connection.reason = code, reason
                self.world.cut(connection)
            case e.StoreBatch(number=number, blocks=blocks, wanted=wanted):
                if self.disk_full:
                    self._later(lambda: self.do(machine.not_stored(conn, number, self.now)))
                else:
                    self._later(lambda: self._store(conn, number, blocks, wanted))
            case e.ReadRows(number=number, query=query):
                self._later(lambda: self._answer(machine.rows_read, conn, number, self.store.rows(query)))
            case e.ReadIds(number=number, rows=rows, query=query):
                self._later(
                    lambda: self._answer(machine.ids_read, conn, number, self.store.row_ids(rows, query))
                )
            case e.Compute(number=number):
                self._later(lambda: self._compute(effect))
            case e.ReadRecords():
                self._later(lambda: self._read(effect))
            case e.Place(number=number, ids=ids):
                places = {c: row_of(self.store.entries[c].facts) for c in ids if c in self.store.entries}
                self._later(lambda: self.do(machine.placed(conn, number, places, self.now)))
            case e.LookUpShorts(number=number, author=author, shorts=shorts):
                held = {short_id(cid) for cid in self.store.ids(author)} & set(shorts)
                self._later(lambda: self.do(machine.looked_up(conn, number, held, self.now)))
            case e.ReadGrants():
                self._later(lambda: self.do(machine.grants_read(conn, (), self.now)))
            case e.InStep():
                self.in_step[conn] += 1

    def _later(self, act: Callable[[], None]) -> None:
        self.world.after(self.world.random.randint(0, 20), act)

    def _answer(self, method: Callable[..., list[e.Effect]], conn: int, number: int, answer: object) -> None:
        # The snapshot was made now; the answer arrives a little later.
        self._later(lambda: self.do(method(conn, number, answer, self.now)))

    def _compute(self, effect: e.Compute) -> None:
        try:
            result = effect.work()
        except ChannelError as error:
            self.do(self.machine.compute_failed(effect.conn, error, self.now))
        else:
            self.do(self.machine.computed(effect.conn, effect.number, result, self.now))

    def _store(self, conn: int, number: int, blocks: Sequence[bytes], wanted: Iterable[AuthorId]) -> None:
        outcome = self._stored(blocks, set(wanted))
        self._later(lambda: self.do(self.machine.stored(conn, number, outcome, self.now)))

    def _stored(self, blocks: Sequence[bytes], wanted: set[AuthorId]) -> Stored:
        refused: dict[str, list[Cid]] = {}
        good, known, unknown, fault = [], [], [], None
        devices = dict(self.store.devices)
        entries = [entry_of(block) for block in blocks]
        for one in entries:
            if one is not None and one.makes_known:
                devices[one.device] = one.facts.author
        for one in entries:
            if one is None:
                fault = ChannelError(CloseCode.BAD_RECORD, "no record")
                continue
            reason = None if one.facts.author in wanted else "not wanted"
            reason = reason or self.refuse(one)
            if one.facts.id in self.store.entries:
                known.append(one.facts.id)
            elif reason is not None:
                refused.setdefault(reason, []).append(one.facts.id)
            elif devices.get(one.device) != one.facts.author:
                unknown.append(one.facts.block)
            else:
                good.append(one)
        added, changes = self.store.put(good, self.now)
        if changes:
            self.machine.rows_changed(changes, self.store.version)
        taken = {reason: tuple(ids) for reason, ids in refused.items()}
        return Stored(tuple(added), tuple(known), taken, (), tuple(unknown), fault)

    def _read(self, effect: e.ReadRecords) -> None:
        entries = self.store.entries
        named = {(author, short) for author, shorts in effect.named for short in shorts}
        ids = [*effect.ids, *(c for c, x in entries.items() if (x.facts.author, short_id(c)) in named)]
        held = [c for c in ids if c in entries and entries[c].facts.scope in effect.scopes]
        missing = tuple(c for c in effect.ids if c not in held)
        blocks = [entries[c].facts.block for c in held]
        self.do(self.machine.records_read(effect.conn, effect.number, blocks, missing, self.now))

    def _timer(self) -> None:
        if self._wake is not None and self.world.now >= self._wake:
            self._wake = None
            self.do(self.machine.timer(self.now))


@dataclass
class World:
    """Time, and what is under way. `loss`: of a hundred messages so many are not delivered."""

    seed: int = 0
    loss: int = 0
    now: int = NOW
    latency: int = 10
    bytes: int = 0
    frames: Counter[str] = field(default_factory=Counter)
    spared: tuple[type[m.Message], ...] = ()
    """What is never lost by chance."""
    lose: Callable[[m.Message], bool] = lambda message: False

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self._queue: list[tuple[int, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._ids = itertools.count(1)
        self._arrives: dict[ConnectionId, int] = {}

    def at(self, time: int, act: Callable[[], None]) -> None:
        heapq.heappush(self._queue, (max(time, self.now), next(self._order), act))

    def after(self, ms: int, act: Callable[[], None]) -> None:
        self.at(self.now + ms, act)

    def run(self, ms: int, *, until: Callable[[], bool] = lambda: False) -> bool:
        """Let time pass; whether the condition came true."""
        end = self.now + ms
        while not until():
            if not self._queue or self._queue[0][0] > end:
                self.now = end
                return until()
            self.now, _, act = heapq.heappop(self._queue)
            act()
        return True

    def connect(self, one: Node, other: Node) -> tuple[Connection, Connection]:
        """`one` dials."""
        ids = next(self._ids), next(self._ids)
        ours, theirs = Connection(ids[0], one), Connection(ids[1], other)
        ours.other, theirs.other = theirs, ours
        transcript = self.random.randbytes(32)
        pair = pair_of(one, other)
        for side, far, outbound in ((ours, theirs, True), (theirs, ours, False)):
            side.node.connections[side.id] = side
            peer = far.node.author
            meeting = Meeting(device_of(peer), peer, outbound, transcript, pair, device_block(peer))
            side.node.do(side.node.machine.connected(side.id, meeting, side.node.now))
        return ours, theirs

    def cut(self, connection: Connection) -> None:
        for side in (connection, connection.other):
            if side is not None and side.open:
                side.open = False
                self.after(0, lambda s=side: s.node.do(s.node.machine.disconnected(s.id, s.node.now)))  # type: ignore[misc]

    def send(self, connection: Connection, message: m.Message) -> None:
        self._deliver(
            connection,
            m.Envelope(message),
            lambda far, received: far.node.machine.received(far.id, received.message, far.node.now),
        )

    def request(self, connection: Connection, number: int, fetch: m.Fetch) -> None:
        def act(far: Connection, received: m.Envelope) -> list[e.Effect]:
            assert isinstance(received.message, m.Fetch)
            return far.node.machine.requested(far.id, number, received.message, far.node.now)

        self._deliver(connection, m.Envelope(fetch, request=number), act)

    def reply(self, connection: Connection, number: int, records: m.Records) -> None:
        def act(far: Connection, received: m.Envelope) -> list[e.Effect]:
            assert isinstance(received.message, m.Records)
            return far.node.machine.replied(far.id, number, received.message, far.node.now)

        self._deliver(connection, m.Envelope(records, reply=number), act)

    def _deliver(
        self,
        connection: Connection,
        envelope: m.Envelope,
        act: Callable[[Connection, m.Envelope], list[e.Effect]],
    ) -> None:
        far = connection.other
        assert far is not None
        frame = encode_message(envelope, GREATEST_VERSION)
        self.bytes += len(frame)
        self.frames[type(envelope.message).__name__] += 1
        chance = self.loss and not isinstance(envelope.message, self.spared)
        lost = self.lose(envelope.message) or (chance and self.random.randint(1, 100) <= self.loss)
        if lost or not connection.open:
            return

        def arrive() -> None:
            if far.open:
                far.node.do(act(far, decode_message(frame, Stage.OPEN)))

        # In the order in which they were sent, as over one stream.
        time = max(self._arrives.get(connection.id, 0), self.now + self.random.randint(1, self.latency))
        self._arrives[connection.id] = time
        self.at(time, arrive)


def pair_of(one: Node, other: Node) -> PairKey:
    return PairKey(sha256(b"".join(sorted((one.author, other.author)))).digest())


def same(*nodes: Node) -> bool:
    """Whether all hold the same."""
    return len({frozenset(node.store.entries) for node in nodes}) == 1
