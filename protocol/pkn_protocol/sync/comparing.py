"""When a connection compares, and what its comparisons need of the store (SPEC, Sync)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeAlias

from pkn_protocol.channel import messages as m
from pkn_protocol.channel.errors import ChannelError, CloseCode
from pkn_protocol.records.ids import Cid
from pkn_protocol.sync.allowance import Allowance
from pkn_protocol.sync.compare import Effects, Ended, Initiator, Lacking, NeedIds, NeedRows, Responder
from pkn_protocol.sync.effects import Compute, Computed, Effect, ReadIds, ReadRows, Send
from pkn_protocol.sync.facts import ConnectionId, Meeting, RowChange, RowsQuery, RowsRead
from pkn_protocol.sync.kept_root import KeptRoot, RootsRead, roots_read
from pkn_protocol.sync.rows import ConnectionRoot, Key
from pkn_protocol.sync.sums import HOUR_MS, comparison_instant
from pkn_protocol.sync.wanting import Wanting

COMPARE_EVERY_MS = 60_000
"""In step or not, the side that dialled looks this often: a push may have been left out."""
PATIENCE_MS = 30_000
"""Without any sign of progress, after which a comparison is given up until the next is due."""
LEAST_INTERVAL_MS = 200
"""Between two comparisons that this side begins; it doubles while they are answered with `stale`."""
BURST = 10
ONE_IN_MS = 2_000
"""So many comparisons of each side at once, then one in so long: each may cost a look at all rows, and what
makes one due comes from the peer. One more waits, and the newest takes the place of an older one."""
STALE_OFTEN = 2
"""Comparisons in a row over a want that one side does not know: a message that told it was lost."""
MOST_AT_DISTANCE_MS = 2 * HOUR_MS
MOST_HELD = 256
"""Messages of a comparison that wait for the store; then nothing more of the peer should be read."""

ComparisonMessage: TypeAlias = (
    m.Compare | m.Same | m.Stale | m.Rows | m.MoreIds | m.Lacks | m.MoreRows | m.Groups | m.Parts
)
COMPARISON_MESSAGES = (
    m.Compare, m.Same, m.Stale, m.Rows, m.MoreIds, m.Lacks, m.MoreRows, m.Groups, m.Parts,
)  # fmt: skip
_OF_RESPONDERS = (m.MoreRows, m.Groups, m.Parts)


@dataclass(slots=True, eq=False)
class _Run:
    """A comparison under way. While the store is asked, or a thread computes, its messages are held."""

    machine: Initiator | Responder
    query: RowsQuery
    heard: int
    busy: bool = False
    held: list[m.Message] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Root:
    """Rows are read for the root that is kept (`compare` None), or for one comparison of the other side."""

    query: RowsQuery
    compare: m.Compare | None = None
    whole: bool = True


@dataclass(frozen=True, slots=True)
class _ForRun:
    run: _Run


class Comparing:
    """One connection's comparisons: at most one that this side began, and one of the other side.

    `out` takes effects, `numbers` numbers them. `results` collects how comparisons ended, for the owner.
    """

    def __init__(
        self,
        conn: ConnectionId,
        meeting: Meeting,
        wanting: Wanting,
        out: list[Effect],
        numbers: Iterator[int],
    ) -> None:
        self._conn = conn
        self._meeting = meeting
        self._wanting = wanting
        self._out = out
        self._numbers = numbers
        self._root = KeptRoot()
        # Odd numbers are the dialling side's comparisons, even ones the other's.
        self._next_number = 1 if meeting.outbound else 2
        self._own: _Run | None = None
        self._other: _Run | None = None
        self._jobs: dict[int, _Root | _ForRun] = {}
        self._reading_root = False
        self._begin_with_root = False
        self._compare_waits: m.Compare | None = None
        self._compare_early: m.Compare | None = None
        self._answer_at = 0
        self._may_begin = Allowance(BURST, ONE_IN_MS)
        self._may_answer = Allowance(BURST, ONE_IN_MS)
        self._due = False
        self._not_before = 0
        self._next_check: int | None = None
        self._stale = 0
        self._behind = 0
        self.want_was_lost = False
        """Whether the other side seems not to know what is wanted here; for the owner, who tells it again."""
        self.results: list[Lacking | Ended] = []

    @property
    def is_full(self) -> bool:
        return any(run is not None and len(run.held) >= MOST_HELD for run in (self._own, self._other))

    def set_due(self, *, not_before: int = 0) -> None:
        """Compare as soon as can be, and after `not_before`."""
        self._due = True
        self._not_before = max(self._not_before, not_before)

    def wants_changed(self) -> None:
        """Something else is compared from now on."""
        self._root.forget()

    def rows_changed(self, changes: Sequence[RowChange], version: int) -> None:
        self._root.change(changes, version)

    def deadline(self) -> int | None:
        times = []
        if self._own is not None:
            times.append(self._own.heard + PATIENCE_MS)
        elif self._due and self._wanting.ready and not self._begin_with_root:
            times.append(self._not_before)
        if self._compare_early is not None:
            times.append(self._answer_at)
        if self._next_check is not None and not self._due:
            times.append(self._next_check)
        return min(times, default=None)

    def work(self, now: int) -> None:
        """Give up what takes too long, and begin what is due."""
        if self._own is not None and now >= self._own.heard + PATIENCE_MS:
            self._own = None
            self._next_check = now + COMPARE_EVERY_MS
        # A time far ahead was named before the clock was set back.
        if self._next_check is not None and not now < self._next_check <= now + COMPARE_EVERY_MS:
            self._due = True
        if self._compare_early is not None and now >= self._may_answer.earliest(now):
            self._take_compare(self._compare_early, now)
        if self._own is not None or self._begin_with_root or not self._due or now < self._not_before:
            return
        earliest = self._may_begin.earliest(now)
        if now < earliest:
            self._not_before = earliest
            return
        if not self._wanting.ready:
            # The other side has not said what it wants; its want sets this going again.
            return
        self._due = False
        self._may_begin.take(now)
        self._next_check = now + COMPARE_EVERY_MS if self._meeting.outbound else None
        root = self._root.at(comparison_instant(now))
        if root is None:
            self._begin_with_root = True
            self._read_root(now)
        else:
            self._begin(root, now)

    def receive(self, message: ComparisonMessage, now: int) -> None:
        """Raises ChannelError."""
        if isinstance(message, m.Compare):
            self._on_compare(message, now)
            return
        run = self._other if isinstance(message, _OF_RESPONDERS) else self._own
        if run is None or message.number != run.machine.number:
            # Of a comparison that was given up.
            return
        run.heard = now
        if run.busy:
            run.held.append(message)
        else:
            self._do(run, run.machine.receive(message), now)

    def rows_read(self, number: int, answer: RowsRead, now: int) -> None:
        match self._jobs.pop(number, None):
            case _Root(query) as job:
                self._compute(job, partial(roots_read, query, answer, whole=job.whole))
            case _ForRun(run) if self._is_current(run):
                self._compute(_ForRun(run), partial(run.machine.own_rows, answer.table))

    def ids_read(self, number: int, ids: Mapping[Key, Sequence[Cid]], now: int) -> None:
        job = self._jobs.pop(number, None)
        if isinstance(job, _ForRun) and self._is_current(job.run):
            self._compute(job, partial(job.run.machine.own_ids, ids))

    def computed(self, number: int, result: Computed, now: int) -> None:
        """Raises ChannelError."""
        job = self._jobs.pop(number, None)
        if isinstance(result, RootsRead):
            if isinstance(job, _Root):
                self._roots_are_here(job, result, now)
            return
        if not isinstance(job, _ForRun) or not self._is_current(job.run):
            return
        run, effects = job.run, result
        run.busy, run.heard = False, now
        self._do(run, effects, now)
        while run.held and not run.busy and self._is_current(run):
            self._do(run, run.machine.receive(run.held.pop(0)), now)

    def _begin(self, root: ConnectionRoot, now: int) -> None:
        wanting = self._wanting
        machine = Initiator(
            self._next_number,
            session=self._meeting.transcript,
            at=root.at,
            mine=wanting.number,
            yours=wanting.peer.number,
            root=root,
        )
        self._next_number += 2
        self._not_before = now + LEAST_INTERVAL_MS
        self._own = _Run(machine, wanting.query(root.at), now)
        self._send(machine.start())

    def _on_compare(self, compare: m.Compare, now: int) -> None:
        at = comparison_instant(now)
        if abs(compare.at - at) > MOST_AT_DISTANCE_MS:
            raise ChannelError(
                CloseCode.BAD_MESSAGE, "a comparison at an instant hours away: check the clocks"
            )
        self._take_compare(compare, now)

    def _take_compare(self, compare: m.Compare, now: int) -> None:
        # One at a time: a new comparison ends the one before.
        self._other = self._compare_waits = self._compare_early = None
        self._answer_at = self._may_answer.earliest(now)
        if now < self._answer_at:
            self._compare_early = compare
            return
        self._may_answer.take(now)
        if self._is_stale(compare):
            self._send(m.Stale(compare.number))
            return
        at = comparison_instant(now)
        root = self._root.at(compare.at)
        if root is not None:
            self._answer(compare, self._wanting.query(compare.at), root, now)
        elif compare.at == at:
            self._compare_waits = compare
            self._read_root(now)
        else:
            # Clocks differ about the hour: a root for this once.
            self._read_rows(_Root(self._wanting.query(compare.at), compare))

    def _is_stale(self, compare: m.Compare) -> bool:
        self._behind = 0 if compare.yours == self._wanting.number else self._behind + 1
        self.want_was_lost |= self._behind >= STALE_OFTEN
        return compare.mine != self._wanting.peer.number or compare.yours != self._wanting.number

    def _answer(self, compare: m.Compare, query: RowsQuery, root: ConnectionRoot, now: int) -> None:
        if self._is_stale(compare):
            self._send(m.Stale(compare.number))
            return
        machine = Responder(compare, session=self._meeting.transcript, root=root)
        self._other = run = _Run(machine, query, now)
        self._do(run, machine.start(), now)

    def _read_root(self, now: int) -> None:
        if not self._reading_root:
            self._reading_root = True
            everything = self._wanting.query(comparison_instant(now))
            query = self._root.ask(everything)
            self._read_rows(_Root(query, whole=query is everything))

    def _roots_are_here(self, job: _Root, roots: RootsRead, now: int) -> None:
        if job.compare is not None:
            whole = roots.even
            for part in roots.odd.values():
                whole.add(part)
            self._answer(job.compare, job.query, whole, now)
            return
        self._reading_root = False
        root = self._root.read(job.query, roots)
        if root is None:
            # What is compared has changed meanwhile, or only a part was asked for.
            root = self._root.at(comparison_instant(now))
        if root is None:
            self._read_root(now)
        else:
            self._root_is_here(root, now)

    def _root_is_here(self, root: ConnectionRoot, now: int) -> None:
        if self._begin_with_root:
            self._begin_with_root = False
            self._begin(root, now)
        compare, self._compare_waits = self._compare_waits, None
        if compare is not None:
            if compare.at == root.at:
                self._answer(compare, self._wanting.query(root.at), root, now)
            else:
                self._take_compare(compare, now)

    def _read_rows(self, job: _Root) -> None:
        self._out.append(ReadRows(self._conn, self._job(job), job.query))

    def _do(self, run: _Run, effects: Effects, now: int) -> None:
        for effect in effects:
            match effect:
                case NeedRows():
                    run.busy = True
                    number = self._job(_ForRun(run))
                    self._out.append(ReadRows(self._conn, number, run.query))
                case NeedIds(rows=rows):
                    run.busy = True
                    number = self._job(_ForRun(run))
                    self._out.append(ReadIds(self._conn, number, rows, run.query))
                case Lacking() | Ended():
                    self._end(run, effect, now)
                case _:
                    self._send(effect)

    def _end(self, run: _Run, result: Lacking | Ended, now: int) -> None:
        if run is self._own:
            self._own = None
        elif run is self._other:
            self._other = None
        if result is Ended.STALE:
            wait = min(LEAST_INTERVAL_MS << min(self._stale, 16), COMPARE_EVERY_MS)
            self._stale += 1
            self.want_was_lost |= self._stale >= STALE_OFTEN
            self.set_due(not_before=now + wait)
            return
        self._stale = 0
        self.results.append(result)

    def _compute(self, job: _Root | _ForRun, work: Callable[[], Computed]) -> None:
        self._out.append(Compute(self._conn, self._job(job), work))

    def _job(self, job: _Root | _ForRun) -> int:
        number = next(self._numbers)
        self._jobs[number] = job
        return number

    def _is_current(self, run: _Run) -> bool:
        return run is self._own or run is self._other

    def _send(self, message: m.Message) -> None:
        self._out.append(Send(self._conn, message))
