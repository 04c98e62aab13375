"""Broadcast of new records: whole along a tree, as ids beside it (SPEC, Gossip).

After "Epidemic Broadcast Trees" (Leitão, Pereira, Rodrigues 2007), with differences that our network asks
for:

- **The tree grows along ids.** There, the first message floods, and duplicates prune the flood to a tree:
  each node gets it as often as it has neighbours. Here whoever publishes pushes to a few, and a node tells
  its neighbours ids at once as long as it has told them none; who has no way to the author in the tree asks
  the first that tells, and that link is in the tree from then on. It takes a round trip a hop, once.
- **The tree stays.** What is late is asked for beside it; only a tree that fails again is changed (`Ways`).
- **Interests differ.** One tree is shared by all authors; where an author's tree has to leave it, both ends
  of a link hold an exception. A duplicate makes one; the second author's duplicate on the same link takes the
  link out of the shared tree.
- **Many at once.** Records, ids and questions go in batches; what exceeds the bounds is left to a comparison.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

from pkn_protocol.channel.messages import (
    MOST_ANNOUNCED,
    MOST_ANNOUNCED_AUTHORS,
    MOST_FETCHED,
    MOST_RECORD_BYTES,
    Tree,
)
from pkn_protocol.gossip.effects import (
    Charge,
    CompareDue,
    Effect,
    Effects,
    Fresh,
    Interests,
    SendAnnounce,
    SendGraft,
    SendPrune,
    SendPush,
    WakeAt,
)
from pkn_protocol.gossip.history import Entry, History, Name, State
from pkn_protocol.gossip.limits import BroadcastLimits
from pkn_protocol.gossip.missing import MissingRecords
from pkn_protocol.gossip.neighbour import Neighbour
from pkn_protocol.gossip.ways import Ways
from pkn_protocol.records.ids import AuthorId, Cid, DeviceId, ShortId, short_id
from pkn_protocol.sync.spreading import How

_PRUNE_AGAIN = 1000
"""Milliseconds: what was under way when a neighbour was told to send ids needs no second word."""
_MOST_PRUNED = 64
_LONGER, _SHORTER = 1.2, 0.98


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
        self._neighbours: dict[DeviceId, Neighbour] = {}
        self._history = History(self._limits)
        self._missing = MissingRecords(self._limits)
        self._ways = Ways()
        self._patience: float = self._limits.patience
        self._wake: int | None = None

    @property
    def next_wake(self) -> int | None:
        """When `timer` is due."""
        times = [n.flush_at for n in self._neighbours.values() if n.flush_at is not None]
        if (due := self._missing.next_due()) is not None:
            times.append(due)
        return min(times, default=None)

    @property
    def counts(self) -> Counts:
        return Counts(
            len(self._history),
            len(self._missing),
            sum(len(n.queue) for n in self._neighbours.values()),
            len(self._neighbours),
            sum(n.branch.shared for n in self._neighbours.values()),
        )

    def neighbour_up(self, device: DeviceId, now: int, *, speaks: bool = True) -> Effects:
        """A neighbour is there and has said what it wants; one that does not `speak` of ids gets all."""
        if device in self._neighbours:
            self.neighbour_down(device, now)
        taken = {n.bit for n in self._neighbours.values()}
        bit = 1
        while bit in taken:
            bit <<= 1
        self._history.forget_neighbour(bit)
        self._neighbours[device] = Neighbour.make(device, bit, speaks=speaks, limits=self._limits)
        return ()

    def neighbour_down(self, device: DeviceId, now: int) -> Effects:
        neighbour = self._neighbours.pop(device, None)
        if neighbour is None:
            return ()
        if neighbour.branch.shared:
            self._ways.lost_link()
        self._missing.gone(device, now, lambda name: not self._has_way(name.author))
        return self._done([])

    def stored(self, records: Sequence[Fresh], source: DeviceId | None, how: How, now: int) -> Effects:
        """Records are on disk and to be passed on; `source` is who sent them."""
        new: list[tuple[Name, Entry, Fresh]] = []
        for fresh in records:
            name = Name(fresh.author, short_id(fresh.id))
            entry = self._history.get(name, now)
            if entry is None:
                entry = Entry(fresh.id, State.ARRIVING, now)
                self._history.add(name, entry)
            elif entry.fresh is not None or entry.id != fresh.id:
                continue
            beside = how is How.FETCHED or entry.state is State.ASKED
            entry.state = State.FETCHED if beside else State.PASSED_ON
            entry.fresh = fresh
            self._missing.came(name)
            if source in self._neighbours:
                entry.known_by |= self._neighbours[source].bit
            new.append((name, entry, fresh))
        effects: list[Effect] = []
        parcels = _Parcels()
        for name, entry, fresh in new:
            self._pass_on(name, entry, fresh, how, parcels, now, effects)
        return self._done([*parcels.pushes(), *effects])

    def settled(self, author: AuthorId, ids: Iterable[Cid], source: DeviceId | None, now: int) -> Effects:
        """Records were refused, or are held but not passed on."""
        for cid in ids:
            name = Name(author, short_id(cid))
            entry = self._history.get(name, now)
            if entry is None:
                entry = Entry(cid, State.KEPT, now)
                self._history.add(name, entry)
            if entry.id == cid and entry.fresh is None:
                entry.state = State.KEPT
            self._missing.came(name)
            if source in self._neighbours:
                entry.known_by |= self._neighbours[source].bit
        return self._done([])

    def push_received(self, device: DeviceId, author: AuthorId, ids: Sequence[Cid], now: int) -> Effects:
        """Records came in full, not checked yet; `stored` or `settled` follows."""
        neighbour = self._neighbours.get(device)
        if neighbour is None:
            return ()
        by_tree = asked = late = duplicates = 0
        for cid in ids:
            name = Name(author, short_id(cid))
            missing = self._missing.came(name)
            entry = self._history.get(name, now)
            if entry is not None:
                if entry.state in (State.ASKED, State.FETCHED) or entry.answering & neighbour.bit:
                    late += 1
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
            entry = Entry(cid, state, now, known_by=neighbour.bit)
            if missing is not None:
                entry.answering = self._bits(missing.beside)
            self._history.add(name, entry)
        effects: list[Effect] = []
        if by_tree and not neighbour.is_eager(author):
            neighbour.branch.set_eager(author, True, self._tree_without(neighbour, author))
        if (by_tree or late) and neighbour.is_eager(author):
            self._ways.brought(author)
        if by_tree or asked or late:
            self._learn_patience(in_vain=late > by_tree + asked)
        if duplicates > by_tree and neighbour.speaks:
            self._prune(neighbour, author, now, effects)
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
        now: int,
        held: Collection[ShortId] = (),
    ) -> Effects:
        """A neighbour has records; `held` are those of `unknown` that the store has."""
        neighbour = self._neighbours.get(device)
        if neighbour is None:
            return ()
        # Who is in the tree and tells an id alone has asked for the record itself: the tree is late.
        has_way = self._has_way(author) and not neighbour.is_eager(author)
        heeded = self.heeds(device, author, now)
        effects: list[Effect] = []
        excess = ignored = 0
        for short in shorts:
            name = Name(author, short)
            entry = self._history.get(name, now)
            if entry is not None:
                entry.known_by |= neighbour.bit
            elif not heeded:
                ignored += 1
            elif short not in held:
                wait = int(self._patience * (1 + self._chance())) if has_way else 0
                due = now + wait
                excess += not self._missing.announce(name, device, now, due)
        if ignored:
            effects.append(Charge(device, "announced what nobody asks it for", ignored))
        if excess:
            effects += [Charge(device, "announced more than it gave", excess), CompareDue(device)]
        self._ask_for_due(now, effects)
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
        parcels = _Parcels()
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
            parcels.add(device, entry.fresh)
        effects: list[Effect] = list(parcels.pushes())
        if joins:
            self._tell_missed(neighbour, now, effects)
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
        for neighbour in self._neighbours.values():
            if neighbour.flush_at is not None and neighbour.flush_at <= now:
                self._flush(neighbour, now, effects)
        self._ask_for_due(now, effects)
        self._wake = None
        return self._done(effects)

    def _pass_on(
        self,
        name: Name,
        entry: Entry,
        fresh: Fresh,
        how: How,
        parcels: _Parcels,
        now: int,
        effects: list[Effect],
    ) -> None:
        takers = [
            n
            for n in self._neighbours.values()
            if not entry.known_by & n.bit and self._interests.takes(n.device, fresh)
        ]
        eager: list[Neighbour] = []
        if entry.state is State.FETCHED:
            # Others had it for a while, or the tree is about to bring it: only who lacks it asks.
            eager = [n for n in takers if not n.speaks]
        else:
            eager = [n for n in takers if n.is_eager(fresh.author)]
            if how is How.PUBLISHED and not any(n.speaks for n in eager):
                eager += self._begin_tree(fresh.author, [n for n in takers if n.speaks])
        for neighbour in eager:
            entry.known_by |= neighbour.bit
            parcels.add(neighbour.device, fresh)
        rest = [n for n in takers if not entry.known_by & n.bit]
        for neighbour in self._to_tell(rest, fresh.author, parcels, now):
            is_awaited = how is not How.FETCHED and neighbour.is_eager(fresh.author)
            self._queue(neighbour, name, is_awaited, now, effects)

    def _to_tell(
        self, neighbours: list[Neighbour], author: AuthorId, parcels: _Parcels, now: int
    ) -> list[Neighbour]:
        """Those in the tree, those along whom it may grow, and a few others by chance, the same for all
        records that came together."""
        told = [n for n in neighbours if n.is_new(now) or n.is_eager(author)]
        others = [n for n in neighbours if not (n.is_new(now) or n.is_eager(author))]
        chosen = parcels.told.setdefault(author, set())
        few = [n for n in others if n.device in chosen]
        others = [n for n in others if n.device not in chosen]
        while others and len(few) < self._limits.lazy:
            few.append(others.pop(int(self._chance() * len(others))))
            chosen.add(few[-1].device)
        return told + few

    def _begin_tree(self, author: AuthorId, takers: list[Neighbour]) -> list[Neighbour]:
        """The first neighbours of a tree: a few by chance."""
        chosen: list[Neighbour] = []
        rest = list(takers)
        while rest and len(chosen) < self._limits.eager_at_first:
            chosen.append(rest.pop(int(self._chance() * len(rest))))
        is_first = not any(n.branch.shared for n in self._neighbours.values())
        for neighbour in chosen:
            neighbour.branch.set_eager(author, True, Tree.EVERYBODY if is_first else Tree.AUTHOR)
        return chosen

    def _tell_missed(self, neighbour: Neighbour, now: int, effects: list[Effect]) -> None:
        """Who joins the tree had no way to what went by just before, or heard of a part alone."""
        for name, entry in self._history.newest(now - self._limits.missed_for, self._limits.missed):
            if (
                entry.fresh is not None
                and not (entry.known_by | entry.told) & neighbour.bit
                and self._interests.takes(neighbour.device, entry.fresh)
            ):
                self._queue(neighbour, name, True, now, effects)

    def _queue(
        self, neighbour: Neighbour, name: Name, is_awaited: bool, now: int, effects: list[Effect]
    ) -> None:
        if len(neighbour.queue) >= self._limits.queued_each:
            neighbour.queue.clear()
            neighbour.flush_at = None
            effects.append(CompareDue(neighbour.device))
            return
        neighbour.queue[name] = None
        if neighbour.is_new(now) or is_awaited:
            neighbour.flush_at = now
        elif neighbour.flush_at is None:
            neighbour.flush_at = now + int(self._limits.announce_after * (1 + self._chance()))

    def _flush(self, neighbour: Neighbour, now: int, effects: list[Effect]) -> None:
        by_author: dict[AuthorId, list[ShortId]] = {}
        for name in neighbour.queue:
            entry = self._history.get(name, now)
            if entry is None or entry.fresh is None or entry.known_by & neighbour.bit:
                continue
            entry.told |= neighbour.bit
            by_author.setdefault(name.author, []).append(name.short)
        neighbour.queue.clear()
        neighbour.flush_at = None
        if by_author and neighbour.settled_at is None:
            neighbour.settled_at = now + self._limits.new_for
        effects += (SendAnnounce(neighbour.device, lists) for lists in _messages(by_author))

    def _ask_for_due(self, now: int, effects: list[Effect]) -> None:
        due = self._missing.due(now, max(self._limits.graft_again, int(3 * self._patience)))
        for device, author in due.no_way:
            neighbour = self._neighbours[device]
            tree = Tree.EVERYBODY if neighbour.branch.shared else Tree.AUTHOR
            neighbour.branch.set_eager(author, False, tree)
        for device, names in due.asks.items():
            neighbour = self._neighbours[device]
            by_author: dict[AuthorId, list[ShortId]] = {}
            for name in names:
                by_author.setdefault(name.author, []).append(name.short)
            for author, shorts in by_author.items():
                tree = self._tree_to_join(neighbour, author, now)
                neighbour.branch.set_eager(author, True, tree)
                if tree is Tree.NOBODY:
                    for short in shorts:
                        self._missing.asked_beside(Name(author, short), device)
                effects += (
                    SendGraft(device, author, tuple(shorts[at : at + MOST_FETCHED]), tree)
                    for at in range(0, len(shorts), MOST_FETCHED)
                )
        for device, names in due.in_vain.items():
            effects.append(Charge(device, "announced what it did not give", len(names)))
            neighbour = self._neighbours[device]
            neighbour.undelivered += len(names)
            if neighbour.undelivered >= self._limits.undelivered:
                neighbour.undelivered = 0
                neighbour.ignored_until = now + self._limits.ignored_for

    def _prune(self, neighbour: Neighbour, author: AuthorId, now: int, effects: list[Effect]) -> None:
        told = neighbour.pruned.get(author)
        if told is not None and now - told < _PRUNE_AGAIN and not neighbour.is_eager(author):
            return
        tree = neighbour.branch.leaves(author)
        neighbour.branch.set_eager(author, False, tree)
        neighbour.pruned.pop(author, None)
        neighbour.pruned[author] = now
        if len(neighbour.pruned) > _MOST_PRUNED:
            neighbour.pruned.popitem(last=False)
        effects.append(SendPrune(neighbour.device, author, tree))

    def _bits(self, devices: Iterable[DeviceId]) -> int:
        return sum({self._neighbours[device].bit for device in devices if device in self._neighbours})

    def _has_way(self, author: AuthorId) -> bool:
        """Whether somebody is expected to push an author's records to us."""
        return any(
            n.is_eager(author) and self._interests.brings(n.device, author) for n in self._neighbours.values()
        )

    def _tree_to_join(self, neighbour: Neighbour, author: AuthorId, now: int) -> Tree:
        """Which tree a neighbour joins by being asked for an author's record."""
        if neighbour.is_eager(author):
            return Tree.NOBODY
        if self._has_way(author):
            return self._ways.failed(author, now)
        return self._tree_without(neighbour, author)

    def _tree_without(self, neighbour: Neighbour, author: AuthorId) -> Tree:
        """Which tree a link joins that brings an author's records: everybody's, unless the shared tree leaves
        this author out here, because those who are in it do not want the author."""
        others = [n for n in self._neighbours.values() if n is not neighbour and n.branch.shared]
        if not others or neighbour.branch.shared:
            return Tree.EVERYBODY
        reached = any(n.branch.is_eager(author) and self._interests.brings(n.device, author) for n in others)
        return Tree.EVERYBODY if reached else Tree.AUTHOR

    def _learn_patience(self, *, in_vain: bool) -> None:
        """Settles where one message in ten brings what is there already: asking sooner would cost more, and
        later would leave records waiting that the tree has lost."""
        limits = self._limits
        patience = self._patience * (_LONGER if in_vain else _SHORTER)
        self._patience = min(limits.most_patience, max(limits.patience, patience))

    def _done(self, effects: list[Effect]) -> Effects:
        wake = self.next_wake
        if wake is not None and wake != self._wake:
            self._wake = wake
            effects.append(WakeAt(wake))
        return tuple(effects)


class _Parcels:
    """Records on their way to neighbours, by author."""

    def __init__(self) -> None:
        self.told: dict[AuthorId, set[DeviceId]] = {}
        self._records: dict[tuple[DeviceId, AuthorId], list[Fresh]] = {}

    def add(self, device: DeviceId, fresh: Fresh) -> None:
        self._records.setdefault((device, fresh.author), []).append(fresh)

    def pushes(self) -> Iterable[SendPush]:
        for (device, author), records in self._records.items():
            part: list[Cid] = []
            size = 0
            for fresh in records:
                if part and (size + fresh.size > MOST_RECORD_BYTES or len(part) >= MOST_FETCHED):
                    yield SendPush(device, author, tuple(part))
                    part, size = [], 0
                part.append(fresh.id)
                size += fresh.size
            yield SendPush(device, author, tuple(part))


_Lists = tuple[tuple[AuthorId, tuple[ShortId, ...]], ...]


def _messages(by_author: dict[AuthorId, list[ShortId]]) -> Iterable[_Lists]:
    """Ids in messages of bounded size."""
    lists: list[tuple[AuthorId, tuple[ShortId, ...]]] = []
    count = 0
    for author, shorts in by_author.items():
        for at in range(0, len(shorts), MOST_ANNOUNCED):
            part = tuple(shorts[at : at + MOST_ANNOUNCED])
            if lists and (count + len(part) > MOST_ANNOUNCED or len(lists) >= MOST_ANNOUNCED_AUTHORS):
                yield tuple(lists)
                lists, count = [], 0
            lists.append((author, part))
            count += len(part)
    if lists:
        yield tuple(lists)
