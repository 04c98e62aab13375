"""Broadcast along a tree, put into the machine of a node (SPEC, Gossip): devices to connections, authors to
their names on a connection, ids to records."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from pkn_protocol.channel import messages as m
from pkn_protocol.channel.errors import ChannelError, CloseCode
from pkn_protocol.gossip import effects as e
from pkn_protocol.gossip.limits import BroadcastLimits
from pkn_protocol.gossip.plumtree import Broadcast, Counts
from pkn_protocol.records.ids import AuthorId, Cid, DeviceId, ShortId, dag_cbor_cid, short_id
from pkn_protocol.sync.facts import ConnectionId, Meeting, RecordFacts
from pkn_protocol.sync.spreading import CompareDue, Eager, Give, How, LookUp, Neighbours, Say, Spread

MOST_CHARGED = 16_384
"""Records' worth of work in vain that one connection may cause: four times what is waited for on one word."""
FORGIVEN_A_SECOND = 8
"""Of what was charged; about what a link over which packets are lost can cause."""


@dataclass(slots=True)
class _Account:
    """What a connection has been charged."""

    amount: float = 0.0
    at: int = 0
    reason: str = ""

    def charge(self, amount: int, reason: str, now: int) -> None:
        forgiven = FORGIVEN_A_SECOND * max(0, now - self.at) / 1000
        self.amount, self.at, self.reason = max(0.0, self.amount - forgiven) + amount, now, reason


class TreeSpreading:
    """A `Spreading`; `chance` gives numbers from 0 to 1, 1 excluded."""

    messages: tuple[type[m.Message], ...] = (m.Announce, m.Graft, m.Prune)

    def __init__(self, *, chance: Callable[[], float], limits: BroadcastLimits | None = None) -> None:
        self._limits = limits or BroadcastLimits()
        self._machine = Broadcast(self, chance=chance, limits=self._limits)
        self._neighbours: Neighbours | None = None
        self._conns: dict[DeviceId, ConnectionId] = {}
        self._devices: dict[ConnectionId, DeviceId] = {}
        self._accounts: dict[ConnectionId, _Account] = {}
        self._arriving: OrderedDict[Cid, AuthorId] = OrderedDict()
        self._hops: dict[ConnectionId, dict[AuthorId, int]] = {}
        """What was told with the ids that are being looked up."""

    @property
    def counts(self) -> Counts:
        return self._machine.counts

    def attach(self, neighbours: Neighbours) -> None:
        self._neighbours = neighbours

    def takes(self, device: DeviceId, fresh: e.Fresh) -> bool:
        facts = RecordFacts(fresh.id, fresh.author, fresh.scope, fresh.time, fresh.standing, b"")
        return self._asked.may_have(self._conns[device], facts)

    def brings(self, device: DeviceId, author: AuthorId) -> bool:
        return self._asked.brings(self._conns[device], author)

    def joined(self, conn: ConnectionId, meeting: Meeting, now: int) -> Sequence[Spread]:
        before = self._conns.get(meeting.device)
        if before is not None:
            self._devices.pop(before, None)
        self._conns[meeting.device] = conn
        self._devices[conn] = meeting.device
        self._accounts[conn] = _Account(at=now)
        return self._spreads(self._machine.neighbour_up(meeting.device, now), now)

    def left(self, conn: ConnectionId, now: int) -> Sequence[Spread]:
        self._accounts.pop(conn, None)
        self._hops.pop(conn, None)
        device = self._devices.pop(conn, None)
        if device is None:
            return ()
        effects = self._machine.neighbour_down(device, now)
        del self._conns[device]
        return self._spreads(effects, now)

    def pushed(
        self, conn: ConnectionId, author: AuthorId, blocks: Sequence[bytes], hops: int, now: int
    ) -> Sequence[Spread]:
        device = self._devices.get(conn)
        if device is None:
            return ()
        ids = [dag_cbor_cid(block) for block in blocks]
        for cid in ids:
            self._arriving[cid] = author
        while len(self._arriving) > self._limits.history:
            self._arriving.popitem(last=False)
        return self._spreads(self._machine.push_received(device, author, ids, hops, now), now)

    def fresh(
        self, records: Sequence[RecordFacts], source: ConnectionId | None, how: How, now: int
    ) -> Sequence[Spread]:
        known = {record.id: record for record in records}
        for cid in known:
            self._arriving.pop(cid, None)
        fresh = [e.Fresh(r.id, r.author, len(r.block), r.time, r.standing, r.scope) for r in records]
        device = None if source is None else self._devices.get(source)
        return self._spreads(self._machine.stored(fresh, device, how, now), now, known)

    def settled(self, ids: Collection[Cid], source: ConnectionId, now: int) -> Sequence[Spread]:
        by_author: dict[AuthorId, list[Cid]] = {}
        for cid in ids:
            author = self._arriving.pop(cid, None)
            if author is not None:
                by_author.setdefault(author, []).append(cid)
        device = self._devices.get(source)
        effects: list[e.Effect] = []
        for author, found in by_author.items():
            effects += self._machine.settled(author, found, device, now)
        return self._spreads(effects, now)

    def received(self, conn: ConnectionId, message: m.Message, now: int) -> Sequence[Spread]:
        """Raises ChannelError: the peer has caused too much work that brought nothing."""
        device = self._devices.get(conn)
        if device is None:
            # It came before the wants were told: nothing can have been announced to it yet.
            return ()
        account = self._accounts[conn]
        if account.amount > MOST_CHARGED:
            raise ChannelError(CloseCode.OVER_BUDGET, account.reason)
        match message:
            case m.Announce(lists=lists):
                found: list[Spread] = []
                for part in lists:
                    author = self._asked.author_of(conn, part.author)
                    if author is not None:
                        found += self._announced(conn, device, author, part, now)
                return found
            case m.Graft(author=hashed, shorts=shorts, tree=tree):
                author = self._asked.author_of(conn, hashed)
                if author is None:
                    return ()
                return self._spreads(self._machine.graft_received(device, author, shorts, tree, now), now)
            case m.Prune(author=hashed, tree=tree):
                author = self._asked.author_of(conn, hashed)
                if author is None:
                    return ()
                return self._spreads(self._machine.prune_received(device, author, tree, now), now)
            case _:
                return ()

    def looked_up(
        self,
        conn: ConnectionId,
        author: AuthorId,
        asked: Sequence[ShortId],
        held: Collection[ShortId],
        now: int,
    ) -> Sequence[Spread]:
        device = self._devices.get(conn)
        if device is None:
            return ()
        hops = self._hops.get(conn, {}).pop(author, 0)
        # What is being fetched comes without being asked for here; if not, a comparison tells.
        here = {short for short in asked if short in held or self._asked.is_coming(author, short, now)}
        return self._spreads(self._machine.announce_received(device, author, asked, hops, now, here), now)

    def timer(self, now: int) -> Sequence[Spread]:
        return self._spreads(self._machine.timer(now), now)

    def deadline(self) -> int | None:
        return self._machine.next_wake

    @property
    def _asked(self) -> Neighbours:
        if self._neighbours is None:
            raise ValueError("not attached to a node")
        return self._neighbours

    def _announced(
        self,
        conn: ConnectionId,
        device: DeviceId,
        author: AuthorId,
        told: m.Announced,
        now: int,
    ) -> Iterable[Spread]:
        unknown: tuple[ShortId, ...] = ()
        if self._machine.heeds(device, author, now):
            unknown = self._machine.unknown(author, told.shorts, now)
        if unknown:
            self._hops.setdefault(conn, {})[author] = told.hops
            yield LookUp(conn, author, unknown)
        # Those that wait for the answer are not lacking yet; the others are known here, or not heeded.
        waiting = set(unknown)
        rest = [short for short in told.shorts if short not in waiting]
        yield from self._spreads(self._machine.announce_received(device, author, rest, told.hops, now), now)

    def _spreads(
        self, effects: Iterable[e.Effect], now: int, known: Mapping[Cid, RecordFacts] | None = None
    ) -> list[Spread]:
        spreads: list[Spread] = []
        for effect in effects:
            if isinstance(effect, e.WakeAt):
                continue
            conn = self._conns.get(effect.device)
            if conn is not None:
                spreads += self._spread(conn, effect, now, known or {})
        return spreads

    def _spread(
        self, conn: ConnectionId, effect: e.Effect, now: int, known: Mapping[Cid, RecordFacts]
    ) -> Iterable[Spread]:
        name = self._asked.hash_of
        match effect:
            case e.SendPush(author=author, ids=ids, hops=hops):
                if all(cid in known for cid in ids):
                    yield Eager(conn, tuple(known[cid] for cid in ids), hops)
                else:
                    yield Give(conn, author, tuple(map(short_id, ids)), hops)
            case e.SendAnnounce(lists=lists):
                told = (m.Announced(name(conn, part.author), part.shorts, part.hops) for part in lists)
                yield Say(conn, m.Announce(tuple(told)))
            case e.SendGraft(author=author, shorts=shorts, tree=tree):
                self._asked.asked(author, shorts, now)
                yield Say(conn, m.Graft(name(conn, author), shorts, tree))
            case e.SendPrune(author=author, tree=tree):
                yield Say(conn, m.Prune(name(conn, author), tree))
            case e.CompareDue():
                yield CompareDue(conn)
            case e.Charge(amount=amount, reason=reason):
                self._accounts[conn].charge(amount, reason, now)
            case e.WakeAt():
                return
