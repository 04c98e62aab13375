"""Comparing what two sides hold: root, sums, ids (SPEC, Sync). Machines without I/O.

    A  compare(at, wants, root) -->
       <-- same, or stale, or sums (all rows)
       ids (of the rows that differ) -->
       <-- ids (of the same rows)

Then each side fetches what it lacks. The owner reads sums and ids from its store when the machine asks; the
exchange of lists can be replaced by a code for set differences without changing what is around it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from hashlib import sha256
from typing import TypeAlias

from pkn_protocol.channel.errors import ChannelError, CloseCode
from pkn_protocol.channel.messages import MOST_IDS, MOST_ROWS, Compare, IdList, Ids, Message, SumRow, Sums
from pkn_protocol.records.ids import Cid

Key: TypeAlias = tuple[bytes, bytes, int]
"""Scope, author's hash, period."""
SumTable: TypeAlias = Mapping[Key, tuple[int, bytes]]
"""Count and digest by row; rows without records are absent."""
IdTable: TypeAlias = Mapping[Key, Sequence[Cid]]
MOST_COMPARED_ROWS = 1_000_000
MOST_LISTED_IDS = 1_000_000
_ROOT_DOMAIN = b"pkn sums root 1\n"


@dataclass(frozen=True, slots=True)
class NeedIds:
    """The owner shall give the ids of these rows to `own_ids`."""

    rows: tuple[Key, ...]


@dataclass(frozen=True, slots=True)
class Lacking:
    """The comparison is done: these ids are held there and not here, in the order to fetch them."""

    ids: tuple[Cid, ...]


class Ended(Enum):
    """It ended without ids."""

    SAME = auto()
    STALE = auto()


Effect: TypeAlias = Message | NeedIds | Lacking | Ended


def root_of(sums: SumTable) -> bytes:
    """The digest of all rows in order."""
    state = sha256(_ROOT_DOMAIN)
    for (scope, author, period), (count, digest) in sorted(sums.items()):
        state.update(bytes((len(scope),)) + scope + author + period.to_bytes(8, "big"))
        state.update(count.to_bytes(8, "big") + digest)
    return state.digest()


class _Lists:
    """Takes the other side's lists, and finds what is lacking once both are known."""

    def __init__(self, number: int) -> None:
        self.number = number
        self._theirs: dict[Key, list[Cid]] = {}
        self._total = 0
        self._complete = False
        self._own: IdTable | None = None

    def take(self, message: Ids) -> None:
        if self._complete:
            raise ChannelError(CloseCode.BAD_MESSAGE, "ids after the last ids")
        for part in message.lists:
            self._total += max(1, len(part.ids))
            if self._total > MOST_LISTED_IDS:
                raise ChannelError(CloseCode.OVER_BUDGET, f"more than {MOST_LISTED_IDS} ids in a comparison")
            self._theirs.setdefault((part.scope, part.author, part.period), []).extend(part.ids)
        self._complete = not message.more

    def own(self, ids: IdTable) -> Iterator[Message]:
        self._own = ids
        return list_messages(self.number, ids)

    @property
    def complete(self) -> bool:
        return self._complete

    @property
    def rows(self) -> tuple[Key, ...]:
        return tuple(self._theirs)

    def lacking(self) -> Lacking | None:
        """None while one side's lists are not here."""
        if not self._complete or self._own is None:
            return None
        ids: dict[Cid, None] = {}
        for row in sorted(self._theirs, key=_newest_first):
            # Rows that were not asked about are not fetched.
            if row in self._own:
                held = set(self._own[row])
                ids.update(dict.fromkeys(cid for cid in self._theirs[row] if cid not in held))
        return Lacking(tuple(ids))


class Initiator:
    """The side that begins. `sums` are those of the authors that both want, at the instant `at`."""

    def __init__(self, number: int, *, at: int, mine: int, yours: int, sums: SumTable) -> None:
        self.number = number
        self._compare = Compare(number, at, mine, yours, root_of(sums))
        self._sums = sums
        self._theirs: dict[Key, tuple[int, bytes]] = {}
        self._sums_complete = False
        self._lists = _Lists(number)

    def start(self) -> Compare:
        return self._compare

    def same(self) -> Ended:
        return Ended.SAME

    def stale(self) -> Ended:
        return Ended.STALE

    def receive_sums(self, message: Sums) -> NeedIds | Ended | None:
        """Raises ChannelError: too many rows, or rows after the last."""
        if self._sums_complete:
            raise ChannelError(CloseCode.BAD_MESSAGE, "sums after the last sums")
        for row in message.rows:
            self._theirs[(row.scope, row.author, row.period)] = (row.count, row.digest)
        if len(self._theirs) > MOST_COMPARED_ROWS:
            raise ChannelError(CloseCode.OVER_BUDGET, f"more than {MOST_COMPARED_ROWS} rows in a comparison")
        if message.more:
            return None
        self._sums_complete = True
        rows = [key for key in {**self._sums, **self._theirs} if self._sums.get(key) != self._theirs.get(key)]
        return NeedIds(tuple(sorted(rows, key=_newest_first))) if rows else Ended.SAME

    def own_ids(self, ids: IdTable) -> Iterator[Message]:
        return self._lists.own(ids)

    def receive_ids(self, message: Ids) -> Lacking | None:
        if not self._sums_complete:
            raise ChannelError(CloseCode.BAD_MESSAGE, "ids before sums")
        self._lists.take(message)
        return self._lists.lacking()


class Responder:
    """The other side, made when `compare` arrives and the versions of both wants are right."""

    def __init__(self, compare: Compare, sums: SumTable) -> None:
        self.number = compare.number
        self.same = compare.root == root_of(sums)
        self._sums = sums
        self._lists = _Lists(compare.number)

    def start(self) -> Iterator[Message]:
        """The sums of all rows; for when the roots differ."""
        rows = [
            SumRow(scope, author, period, count, digest)
            for (scope, author, period), (count, digest) in sorted(self._sums.items())
        ]
        for at in range(0, max(1, len(rows)), MOST_ROWS):
            yield Sums(self.number, tuple(rows[at : at + MOST_ROWS]), more=at + MOST_ROWS < len(rows))

    def receive_ids(self, message: Ids) -> NeedIds | None:
        """Raises ChannelError: too many ids, or ids after the last."""
        self._lists.take(message)
        return NeedIds(self._lists.rows) if self._lists.complete else None

    def own_ids(self, ids: IdTable) -> tuple[Iterator[Message], Lacking]:
        messages = self._lists.own(ids)
        lacking = self._lists.lacking()
        return messages, lacking if lacking is not None else Lacking(())


def list_messages(number: int, ids: IdTable) -> Iterator[Message]:
    """Lists in messages of bounded size; a long list goes in several parts."""
    lists: list[IdList] = []
    room = MOST_IDS
    for (scope, author, period), whole in ids.items():
        for at in range(0, max(1, len(whole)), MOST_IDS):
            part = tuple(whole[at : at + MOST_IDS])
            if len(part) > room or len(lists) >= MOST_ROWS:
                yield Ids(number, tuple(lists), more=True)
                lists, room = [], MOST_IDS
            lists.append(IdList(scope, author, period, part))
            room -= len(part)
    yield Ids(number, tuple(lists), more=False)


def _newest_first(key: Key) -> tuple[bool, int, bytes, bytes]:
    # Standing records (period 0) before all: they say whose devices are whose.
    return (key[2] != 0, -key[2], key[0], key[1])
