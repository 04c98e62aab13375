"""What every node must hold in the end, found without the machines: from the plan and the list of what was
written, by the rules of SPEC (Trust, Records, Sync) as simply as they can be said.

Nothing of `pkn_protocol.trust` or `pkn_protocol.sync` is used here, so that an error there shows.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from pkn_protocol.records.ids import Cid
from pkn_protocol.records.model import Record
from tests.sim.people import Ties

HORIZON = 3
_STANDING = {"profile", "device", "vouch", "retraction"}
_STRANGER_BYTES = 8 * 1024 * 1024
_SWEPT_MS = 60_000
"""So often what has expired is deleted."""
_HOUR_MS = 3_600_000
_AHEAD_MS = 600_000


@dataclass(frozen=True, slots=True)
class Expected:
    """By author's node: ids that must be held; and ids that may be, since they are about to expire and
    travel by push alone."""

    must: Mapping[int, frozenset[Cid]]
    may: Mapping[int, frozenset[Cid]]


@dataclass(slots=True)
class Verdict:
    """What is wrong at one node: ids that are lacking, and ids that should not be there."""

    node: int
    missing: dict[int, frozenset[Cid]] = field(default_factory=dict)
    extra: dict[int, frozenset[Cid]] = field(default_factory=dict)

    @property
    def right(self) -> bool:
        return not self.missing and not self.extra


def horizon(ties: Ties, node: int) -> dict[int, int]:
    """Everybody within the horizon of a node, with the distance."""
    found = {node: 0}
    for distance in range(1, HORIZON + 1):
        for person in [p for p, d in found.items() if d == distance - 1]:
            known: Iterable[int] = ties.trusted[node] if person == node else ties.vouches[person]
            for other in known:
                if other not in found and other not in ties.blocked[node]:
                    found[other] = distance
    return found


def quotas(ties: Ties, node: int, max_disk: int) -> dict[int, int]:
    """Bytes of records for each person within the horizon but oneself: weight by the best of all paths."""
    judged = ties.trusted[node] | ties.blocked[node] | {node}
    best: dict[int, float] = {}

    def follow(person: int, weight: float, steps: int) -> None:
        best[person] = max(best.get(person, 0.0), weight)
        others = [p for p in ties.vouches[person] if p not in judged and p != person]
        if steps < HORIZON:
            for other in others:
                follow(other, weight / 2 / len(others), steps + 1)

    for person in ties.trusted[node] - ties.blocked[node]:
        follow(person, 1.0, 1)
    total = sum(best.values())
    return {person: int(max_disk // 2 * weight / total) for person, weight in best.items()}


class Oracle:
    """`written`: by node, all records that it has written. `max_disk` in bytes."""

    def __init__(self, ties: Ties, written: Sequence[Sequence[Record]], *, max_disk: int) -> None:
        self._ties = ties
        self._max_disk = max_disk
        self._standing: list[frozenset[Cid]] = []
        self._others: list[list[Record]] = []
        for records in written:
            retracted = {record.item for record in records if record.kind == "retraction"}
            self._standing.append(frozenset(r.id for r in records if r.kind in _STANDING))
            kept = [
                r
                for r in records
                if r.kind not in _STANDING and (r.id if r.item is None else r.item) not in retracted
            ]
            self._others.append(sorted(kept, key=lambda r: (r.time, r.id), reverse=True))

    def readers(self) -> Mapping[int, Sequence[int]]:
        """By node, who has its person within the horizon."""
        found: dict[int, list[int]] = defaultdict(list)
        for node in range(len(self._others)):
            for other in horizon(self._ties, node):
                if other != node:
                    found[other].append(node)
        return found

    def expected(self, node: int, now: int) -> Expected:
        """What a node must hold of the people within its horizon, `now` by its own clock."""
        must, may = {}, {}
        allowed = quotas(self._ties, node, self._max_disk)
        for other in horizon(self._ties, node):
            must[other], may[other] = self._of(other, allowed.get(other), now)
        return Expected(must, may)

    def of_stranger(self, other: int, now: int, met: int) -> tuple[frozenset[Cid], frozenset[Cid]]:
        """What a node has of a stranger that it is connected to, after it has met so many people. The room
        was divided among the strangers of the time when a record came: they were no more than all who were
        met, so that the newest that fit into such a part are there, and older ones may be."""
        must, may = self._of(other, min(_STRANGER_BYTES, self._max_disk // 10 // max(1, met)), now)
        everything, passing = self._of(other, None, now)
        return must, may | everything | passing

    def _of(self, other: int, most: int | None, now: int) -> tuple[frozenset[Cid], frozenset[Cid]]:
        must, may, used = set(self._standing[other]), set(), 0
        for record in self._others[other]:
            if record.expires is not None and record.expires <= now:
                if now < record.expires + _SWEPT_MS:
                    may.add(record.id)
                continue
            used += len(record.block)
            if most is not None and used > most:
                break
            # The instant that comparisons name, by clocks that differ by no more than the tolerance.
            latest = ((now + 3 * _AHEAD_MS) // _HOUR_MS + 1) * _HOUR_MS
            if record.expires is not None and record.expires <= latest:
                may.add(record.id)
            else:
                must.add(record.id)
        return frozenset(must), frozenset(may)

    def judge(
        self,
        node: int,
        held: Mapping[int, Collection[Cid]],
        now: int,
        *,
        connected: Collection[int],
        met: Collection[int],
    ) -> Verdict:
        """Compare what a node holds, by author's node. `connected`: nodes that it has been connected to for a
        while; `met`: those that it ever was. Of a stranger who has left, what it had is kept as it was."""
        verdict = Verdict(node)
        expected = self.expected(node, now)
        blocked = self._ties.blocked[node]
        for other in {*expected.must, *held, *connected}:
            has = frozenset(held.get(other, ()))
            if other in expected.must:
                must, may = expected.must[other], expected.may[other]
            elif other in blocked:
                must, may = frozenset[Cid](), frozenset[Cid]()
            elif other in connected:
                must, may = self.of_stranger(other, now, len(met))
            elif other in met:
                must, may = frozenset[Cid](), has
            else:
                must, may = frozenset[Cid](), frozenset[Cid]()
            if must - has:
                verdict.missing[other] = must - has
            if has - must - may:
                verdict.extra[other] = has - must - may
        return verdict
