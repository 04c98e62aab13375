"""What is lacking, fetched in order and in bounded portions, several requests at a time (SPEC, Sync)."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from pkn_protocol.channel.messages import MOST_FETCHED, Fetch, ShortIds
from pkn_protocol.records.ids import CID_BYTES, AuthorId, Cid, ShortId, short_id
from pkn_protocol.sync.compare import LackingRow
from pkn_protocol.sync.facts import Progress
from pkn_protocol.sync.sums import STANDING_PERIOD

MOST_REQUESTS = 4
"""Fetches of one connection that are under way: while one is answered the next are on their way there, and
while one is verified the next arrives. A channel bears 32 requests of all kinds."""
PATIENCE_MS = 30_000
"""For a reply to a fetch."""
CLAIM_MS = 60_000
"""A record that was asked of one peer is not asked of another for so long: more than a request may take,
little enough that what a peer promised and did not give is had elsewhere."""

COME_MS = 60_000
MOST_COME = 16_384
"""Records that came lately, and need not be fetched though a comparison before found them lacking."""

ASKED_MS = 2_000
MOST_ASKED = 4096
"""Records that neighbours were asked for by announced ids, and that are about to come: for so long they are
not fetched, though a comparison found them lacking. The time runs from the first question, and not again
within `CLAIM_MS`: else whoever announces a record ever again without giving it would keep all others from
giving it."""

Name: TypeAlias = tuple[AuthorId, bytes]
"""A record by its author and short id, or whole id."""


class Claims:
    """Which records are on their way to this node, over whichever connection."""

    def __init__(self) -> None:
        # In the order in which they end.
        self._until: dict[Name, int] = {}
        self._come: OrderedDict[Name, int] = OrderedDict()
        self._asked: OrderedDict[Name, int] = OrderedDict()

    def is_claimed(self, name: Name, now: int) -> bool:
        """Whether it is on its way already."""
        return self._until.get(name, 0) > now

    def came(self, records: Iterable[tuple[AuthorId, Cid]], now: int) -> None:
        """Records are on disk, whoever brought them."""
        for author, cid in records:
            self._come[(author, short_id(cid))] = now + COME_MS
        while self._come:
            name, until = next(iter(self._come.items()))
            if until > now and len(self._come) <= MOST_COME:
                break
            del self._come[name]

    def has_come(self, name: Name, now: int) -> bool:
        """Whether it has come since a comparison may have missed it."""
        return self._come.get(_by_short(name), 0) > now

    def asked(self, author: AuthorId, shorts: Iterable[ShortId], now: int) -> None:
        """A neighbour that announced them was asked for these."""
        while self._asked and next(iter(self._asked.values())) + CLAIM_MS <= now:
            self._asked.popitem(last=False)
        for short in shorts:
            # Where there are too many to remember, more are fetched than need be: never fewer.
            if len(self._asked) < MOST_ASKED:
                self._asked.setdefault((author, short), now)

    def is_asked(self, name: Name, now: int) -> bool:
        """Whether it is about to come, though nobody fetches it."""
        return self._asked.get(_by_short(name), now - ASKED_MS) + ASKED_MS > now

    def claim(self, name: Name, now: int) -> bool:
        """False: it is on its way already."""
        while self._until:
            oldest = next(iter(self._until))
            if self._until[oldest] > now:
                break
            del self._until[oldest]
        if name in self._until:
            return False
        self._until[name] = now + CLAIM_MS
        return True

    def forget(self, authors: Collection[AuthorId]) -> None:
        """What came of these is not kept any more: wanted again, it is to be fetched again."""
        if authors:
            self._come.clear()
            self._until = {name: until for name, until in self._until.items() if name[0] not in authors}

    def clear(self) -> None:
        """Nothing is sure to be on its way."""
        self._until.clear()
        self._asked.clear()

    def release(self, names: Sequence[Name]) -> None:
        for name in names:
            self._until.pop(name, None)


def _by_short(name: Name) -> Name:
    author, ref = name
    return (author, short_id(Cid(ref))) if len(ref) == CID_BYTES else name


@dataclass(slots=True)
class _Wanted:
    author: AuthorId
    hashed: bytes
    standing: bool
    names: Sequence[ShortId | Cid]
    at: int = 0


@dataclass(slots=True)
class _UnderWay:
    names: list[Name]
    standing: bool
    blocks: int
    until: int


class Fetching:
    """One connection's queue of lacking records, and its requests."""

    def __init__(self, claims: Claims) -> None:
        self._claims = claims
        self._queue: deque[_Wanted] = deque()
        self._queued = 0
        self._under_way: dict[int, _UnderWay] = {}
        self._come = 0
        self.came = 0
        """Records that came since a comparison said what is lacking."""
        self.passed_over = False
        """Whether something is left to another connection; whether it came is for a comparison to say."""
        self.was_asked = False
        """The same of what a neighbour was asked for by its announced id."""

    @property
    def idle(self) -> bool:
        return not self._queue and not self._under_way

    @property
    def standing_under_way(self) -> bool:
        """Whether standing records are still to come, without which others may say nothing."""
        return any(one.standing for one in self._under_way.values())

    @property
    def requested(self) -> int:
        """Records that are asked for and have not come."""
        return sum(max(0, len(one.names) - one.blocks) for one in self._under_way.values())

    @property
    def progress(self) -> Progress:
        """Nothing while nothing is lacking."""
        return Progress() if self.idle else Progress(self._come, self._come + self._queued + self.requested)

    def deadline(self) -> int | None:
        return min((one.until for one in self._under_way.values()), default=None)

    def lacking(
        self,
        rows: Sequence[LackingRow],
        author_of: Callable[[bytes], AuthorId | None],
        distances: Mapping[AuthorId, int],
    ) -> None:
        """What a comparison found; it takes the place of what an earlier one did.

        Standing records come first, then the nearest authors, of each the newest first.
        """
        if self.idle:
            self._come = 0
        self.came = 0
        found: list[tuple[tuple[bool, int, int], _Wanted]] = []
        for row in rows:
            author = author_of(row.author)
            if author is not None:
                standing = row.period == STANDING_PERIOD
                near = distances.get(author, max(distances.values(), default=0) + 1)
                entry = _Wanted(author, row.author, standing, row.ids)
                found.append(((not standing, near, -row.period), entry))
        found.sort(key=lambda one: one[0])
        self._queue = deque(entry for _, entry in found)
        self._queued = sum(len(entry.names) for entry in self._queue)

    def next_fetch(self, number: int, now: int, most: int) -> Fetch | None:
        """The next request, of at most `most` records; None while enough is under way, or nothing is left."""
        if len(self._under_way) >= MOST_REQUESTS or most <= 0:
            return None
        ids: list[Cid] = []
        shorts: dict[bytes, list[ShortId]] = {}
        names: list[Name] = []
        standing = bool(self._queue) and self._queue[0].standing
        for entry, name in self._take(min(most, MOST_FETCHED), standing, now):
            names.append((entry.author, name))
            if len(name) == CID_BYTES:
                ids.append(Cid(name))
            else:
                shorts.setdefault(entry.hashed, []).append(ShortId(name))
        if not names:
            return None
        self._under_way[number] = _UnderWay(names, standing, 0, now + PATIENCE_MS)
        return Fetch(tuple(ids), shorts=tuple(ShortIds(a, tuple(found)) for a, found in shorts.items()))

    def replied(self, number: int, blocks: int, now: int, *, more: bool) -> bool | None:
        """So many blocks came; whether they are standing records. None: nothing was asked by that number."""
        request = self._under_way.get(number)
        if request is None:
            return None
        request.blocks += blocks
        self._come += blocks
        self.came += blocks
        request.until = now + PATIENCE_MS
        if not more:
            del self._under_way[number]
        return request.standing

    def failed(self, number: int) -> bool:
        """It will not be answered; another connection may ask for it. False: it was not under way."""
        request = self._under_way.pop(number, None)
        if request is None:
            return False
        self._claims.release(request.names)
        self.passed_over = True
        return True

    def overdue(self, now: int) -> list[int]:
        return [number for number, one in self._under_way.items() if one.until <= now]

    def end(self) -> None:
        """The connection is gone."""
        for number in list(self._under_way):
            self.failed(number)
        self._queue.clear()
        self._queued = 0

    def _take(self, most: int, standing: bool, now: int) -> Iterator[tuple[_Wanted, ShortId | Cid]]:
        # Standing records are asked for apart: others are stored only when devices are known.
        while most and self._queue and self._queue[0].standing is standing:
            entry = self._queue[0]
            if entry.at == len(entry.names):
                self._queue.popleft()
                continue
            name = entry.names[entry.at]
            entry.at += 1
            self._queued -= 1
            if self._claims.has_come((entry.author, name), now):
                continue
            if self._claims.is_asked((entry.author, name), now):
                self.was_asked = True
            elif self._claims.claim((entry.author, name), now):
                most -= 1
                yield entry, name
            else:
                self.passed_over = True
        while self._queue and self._queue[0].at == len(self._queue[0].names):
            self._queue.popleft()
