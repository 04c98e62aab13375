"""Broadcast of new records: whole along a tree, as ids beside it (SPEC, Gossip).

After "Epidemic Broadcast Trees" (Leitão, Pereira, Rodrigues 2007), with differences that our network asks
for:

- **The tree grows along ids.** There, the first message floods, and duplicates prune the flood to a tree:
  each node gets it as often as it has neighbours. Here whoever publishes pushes to a few, and a node tells
  its neighbours ids at once as long as it has told them none; who has no way to the author in the tree asks
  the first that tells, and that link is in the tree from then on. It takes a round trip a hop, once.
- **The tree gets shorter.** Records carry how far they have come; where a neighbour beside the tree has one
  over a shorter way, that link takes the place of the tree's (section 3.8 of the paper).
- **The tree stays.** What is late is asked for beside it; only a tree that fails again is changed (`Ways`).
- **Interests differ.** One tree is shared by all authors; where an author's tree has to leave it, both ends
  of a link remember so. A duplicate is cut from its author's tree; from the shared one too if
  all in that want the author, or by the second author's duplicate.
- **Many at once.** Records, ids and questions go in batches; what exceeds the bounds is left to a comparison.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

from pkn_protocol.channel.messages import Tree
from pkn_protocol.gossip.asking import Asking
from pkn_protocol.gossip.effects import (
    Charge,
    CompareDue,
    Effect,
    Effects,
    Fresh,
    Interests,
    WakeAt,
)
from pkn_protocol.gossip.history import Entry, History, Name, State
from pkn_protocol.gossip.limits import BroadcastLimits
from pkn_protocol.gossip.missing import MissingRecords
from pkn_protocol.gossip.neighbour import Neighbour
from pkn_protocol.gossip.neighbours import Neighbours
from pkn_protocol.gossip.parcels import Parcels
from pkn_protocol.gossip.telling import Telling
from pkn_protocol.gossip.trees import Trees
from pkn_protocol.records.ids import AuthorId, Cid, DeviceId, ShortId, short_id
from pkn_protocol.sync.spreading import How


@dataclass(frozen=True, slots=True)
class Counts:
    """How much a machine holds: records and neighbours."""

    remembered: int
    missing: int
    queued: int
    neighbours: int
    eager: int


class Broadcast:
    """`chance` gives numbers from 0 to 1, 1 excluded; times are milliseconds of one clock."""

    def __init__(
        self,
        interests: Interests,
        *,
        chance: Callable[[], float],
        limits: BroadcastLimits | None = None,
    ) -> None:
        self._interests = interests
        self._chance = chance
        self._limits = limits or BroadcastLimits()
        self._neighbours = Neighbours(interests, self._limits)
        self._history = History(self._limits)
        self._missing = MissingRecords(self._limits)
        self._trees = Trees(self._neighbours, interests, self._limits)
        self._telling = Telling(self._neighbours, self._history, interests, chance, self._limits)
        self._asking = Asking(
            self._neighbours, self._history, self._missing, self._trees, chance, self._limits
        )
        self._wake: int | None = None
        self.next_wake: int | None = None
        """When `timer` is due."""

    def _next_due(self) -> int | None:
        times = (self._telling.next_due(), self._missing.next_due(), self._trees.ways.next_due())
        return min((time for time in times if time is not None), default=None)

    @property
    def counts(self) -> Counts:
        return Counts(
            len(self._history),
            len(self._missing),
            sum(len(n.queue) for n in self._neighbours),
            len(self._neighbours),
            sum(n.branch.shared for n in self._neighbours),
        )

    def neighbour_up(self, device: DeviceId, now: int, *, speaks: bool = True) -> Effects:
        """A neighbour is there and has said what it wants; one that does not `speak` of ids gets all."""
        if self._neighbours.get(device) is not None:
            self.neighbour_down(device, now)
        # Its bit was another's before.
        self._history.forget_neighbour(self._neighbours.add(device, speaks=speaks).bit)
        return ()

    def neighbour_down(self, device: DeviceId, now: int) -> Effects:
        neighbour = self._neighbours.remove(device)
        if neighbour is None:
            return ()
        if neighbour.branch.shared:
            self._trees.ways.lost_link()
        self._missing.gone(neighbour, now, lambda name: not self._neighbours.has_way(name.author))
        return self._done([])

    def stored(self, records: Sequence[Fresh], source: DeviceId | None, how: How, now: int) -> Effects:
        """Records are on disk and to be passed on; `source` is who sent them."""
        sender = self._neighbours.get(source)
        new: list[tuple[Name, Entry, Fresh]] = []
        for fresh in records:
            name = Name(fresh.author, short_id(fresh.id))
            entry = self._history.get(name, now)
            if entry is None:
                entry = Entry(fresh.id, State.ARRIVING, now, hops=0 if how is How.PUBLISHED else None)
                self._history.add(name, entry)
            elif entry.fresh is not None or entry.id != fresh.id:
                continue
            if entry.state is State.ASKED and sender is not None and not sender.is_eager(fresh.author):
                self._trees.ways.doubt(name, sender.device, now)
            beside = how is How.FETCHED or entry.state is State.ASKED
            entry.state = State.FETCHED if beside else State.PASSED_ON
            entry.fresh = fresh
            if (missing := self._missing.came(name)) is not None:
                entry.known_by |= missing.tellers
            if sender is not None:
                entry.known_by |= sender.bit
            new.append((name, entry, fresh))
        effects: list[Effect] = []
        parcels = Parcels()
        for name, entry, fresh in new:
            self._pass_on(name, entry, fresh, how, parcels, now, effects)
        return self._done([*parcels.pushes(), *effects])

    def settled(self, author: AuthorId, ids: Iterable[Cid], source: DeviceId | None, now: int) -> Effects:
        """Records were refused, or are held but not passed on."""
        sender = self._neighbours.get(source)
        for cid in ids:
            name = Name(author, short_id(cid))
            entry = self._history.get(name, now)
            if entry is None:
                entry = Entry(cid, State.KEPT, now)
                self._history.add(name, entry)
            if entry.id == cid and entry.fresh is None:
                entry.state = State.KEPT
            self._missing.came(name)
            if sender is not None:
                entry.known_by |= sender.bit
        return self._done([])

    def push_received(
        self, device: DeviceId, author: AuthorId, ids: Sequence[Cid], hops: int, now: int
    ) -> Effects:
        """Records came in full, not checked yet; `stored` or `settled` follows."""
        neighbour = self._neighbours.get(device)
        if neighbour is None:
            return ()
        by_tree = asked = late = duplicates = 0
        nearest: tuple[int, DeviceId] | None = None
        for cid in ids:
            name = Name(author, short_id(cid))
            missing = self._missing.came(name)
            entry = self._history.get(name, now)
            if entry is not None:
                if entry.state in (State.ASKED, State.FETCHED) or entry.answering & neighbour.bit:
                    late += 1
                    entry.is_late |= hops > 0 and neighbour.is_eager(author)
                else:
                    duplicates += 1
                entry.known_by |= neighbour.bit
                continue
            state = State.ARRIVING
            if missing is not None and device in missing.beside:
                state = State.ASKED
                asked += 1
            else:
                by_tree += 1
            entry = Entry(cid, state, now, hops=hops or None, known_by=neighbour.bit)
            if state is State.ARRIVING:
                entry.by = device
            if missing is not None:
                entry.known_by |= missing.tellers
                entry.answering = self._neighbours.bits(missing.beside)
                nearest = missing.nearest if entry.by is not None else nearest
            self._history.add(name, entry)
        effects: list[Effect] = []
        if by_tree:
            self._trees.brought(neighbour, author)
        if by_tree or asked or late:
            self._asking.learn_patience(in_vain=late > by_tree + asked)
        if duplicates > by_tree and neighbour.speaks:
            effects += self._trees.prune(neighbour, author, now)
        elif nearest is not None:
            effects += self._trees.shorten(neighbour, author, hops, nearest)
        # Without hops a late one came beside the tree there too.
        if (by_tree or (late and hops)) and neighbour.is_eager(author):
            self._trees.ways.brought(author, device)
        return self._done(effects)

    def heeds(self, device: DeviceId, author: AuthorId, now: int) -> bool:
        """Whether it matters what a neighbour announces of an author."""
        neighbour = self._neighbours.get(device)
        if neighbour is None or now < neighbour.ignored_until:
            return False
        return self._interests.brings(device, author)

    def unknown(self, author: AuthorId, shorts: Sequence[ShortId], now: int) -> tuple[ShortId, ...]:
        """The announced records that are not remembered: the store may have them."""
        return tuple(short for short in shorts if self._history.get(Name(author, short), now) is None)

    def announce_received(
        self,
        device: DeviceId,
        author: AuthorId,
        shorts: Sequence[ShortId],
        hops: int,
        now: int,
        held: Collection[ShortId] = (),
    ) -> Effects:
        """A neighbour has records; `held` are those of `unknown` that the store has."""
        neighbour = self._neighbours.get(device)
        if neighbour is None:
            return ()
        # Who is in the tree and tells an id alone has asked for the record itself: the tree is late.
        has_way = self._neighbours.has_way(author) and not neighbour.is_eager(author)
        heeded = self.heeds(device, author, now)
        effects: list[Effect] = []
        excess = ignored = 0
        longer: Entry | None = None
        for short in shorts:
            name = Name(author, short)
            entry = self._history.get(name, now)
            if entry is not None:
                entry.known_by |= neighbour.bit
                longer = entry if entry.by is not None else longer
            elif not heeded:
                ignored += 1
            elif short not in held:
                wait = self._asking.wait() if has_way else 0
                due = now + wait
                excess += not self._missing.announce(name, neighbour, hops, now, due)
        if longer is not None and heeded and (parent := self._neighbours.get(longer.by)) is not None:
            effects += self._trees.shorten(parent, author, longer.hops or 0, (hops, device))
        if ignored:
            effects.append(Charge(device, "announced what nobody asks it for", ignored))
        if excess:
            effects += [Charge(device, "announced more than it gave", excess), CompareDue(device)]
        self._asking.ask(now, effects)
        return self._done(effects)

    def graft_received(
        self, device: DeviceId, author: AuthorId, shorts: Sequence[ShortId], tree: Tree, now: int
    ) -> Effects:
        """A neighbour asks for records that it was told of, and for the next ones in full."""
        neighbour = self._neighbours.get(device)
        if neighbour is None:
            return ()
        joins = tree is not Tree.NOBODY and not neighbour.is_eager(author)
        neighbour.branch.set_eager(author, True, tree)
        parcels = Parcels()
        refused = 0
        for short in shorts:
            entry = self._history.get(Name(author, short), now)
            if (
                entry is None
                or entry.fresh is None
                or not entry.told & neighbour.bit
                or entry.asked_again & neighbour.bit
                or not self._interests.takes(device, entry.fresh)
            ):
                refused += 1
                continue
            if entry.asked & neighbour.bit:
                entry.asked_again |= neighbour.bit
            entry.asked |= neighbour.bit
            entry.known_by |= neighbour.bit
            parcels.add(device, entry.fresh, entry.hops)
        effects: list[Effect] = list(parcels.pushes())
        if joins:
            self._telling.tell_missed(neighbour, now, effects)
        if refused:
            effects.append(Charge(device, "asked for what it was not told", refused))
        return self._done(effects)

    def prune_received(self, device: DeviceId, author: AuthorId, tree: Tree, now: int) -> Effects:
        """A neighbour wants ids alone of the author's, or everybody's, next records."""
        neighbour = self._neighbours.get(device)
        if neighbour is not None and neighbour.speaks:
            neighbour.branch.set_eager(author, False, tree)
        return ()

    def timer(self, now: int) -> Effects:
        """Tell the ids that have gathered; ask for what did not come."""
        effects: list[Effect] = []
        self._telling.tell(now, effects)
        self._asking.ask(now, effects)
        self._asking.look_at_doubts(now, effects)
        self._wake = None
        return self._done(effects)

    def _pass_on(
        self,
        name: Name,
        entry: Entry,
        fresh: Fresh,
        how: How,
        parcels: Parcels,
        now: int,
        effects: list[Effect],
    ) -> None:
        takers = self._neighbours.takers(fresh, entry.known_by)
        eager: list[Neighbour] = []
        if entry.state is State.FETCHED:
            # How far it has come along the tree is not known.
            entry.hops = None
            parent = None if how is How.FETCHED else self._trees.ways.parent(fresh.author)
            # Others had it for a while, or the tree is about to bring it: only who lacks it asks. Yet who
            # gets the author's records from here alone has lacked it as long as we had.
            eager = [
                n
                for n in takers
                if not n.speaks or (parent not in (None, n.device) and n.is_eager(fresh.author))
            ]
        else:
            eager = [n for n in takers if n.is_eager(fresh.author)]
            if how is How.PUBLISHED and not any(n.speaks for n in eager):
                eager += self._begin_tree(fresh.author, [n for n in takers if n.speaks])
        for neighbour in eager:
            neighbour.branch.used(fresh.author)
            entry.known_by |= neighbour.bit
            parcels.add(neighbour.device, fresh, entry.hops)
        rest = [n for n in takers if not entry.known_by & n.bit]
        for neighbour in self._telling.chosen(rest, fresh.author, parcels, now):
            is_awaited = how is not How.FETCHED and (
                neighbour.is_eager(fresh.author) or not self._trees.ways.is_known(fresh.author)
            )
            self._telling.put(neighbour, name, is_awaited, now, effects)

    def _begin_tree(self, author: AuthorId, takers: list[Neighbour]) -> list[Neighbour]:
        """The first neighbours of a tree: a few by chance."""
        chosen: list[Neighbour] = []
        rest = list(takers)
        while rest and len(chosen) < self._limits.eager_at_first:
            chosen.append(rest.pop(int(self._chance() * len(rest))))
        self._trees.begin(author, chosen)
        return chosen

    def _done(self, effects: list[Effect]) -> Effects:
        wake = self.next_wake = self._next_due()
        if wake is not None and wake != self._wake:
            self._wake = wake
            effects.append(WakeAt(wake))
        return tuple(effects)
