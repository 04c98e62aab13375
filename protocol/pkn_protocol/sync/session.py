"""One connection's synchronisation, without I/O: the peer's messages and the store's answers in, effects out.

Wants and proofs are `wanting`, comparisons `comparing`, requests `fetching`; here they are joined, and what
came from the peer waits to be stored. What concerns several connections is the node's (`node`).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence

from pkn_protocol.channel import messages as m
from pkn_protocol.channel.errors import ChannelError, CloseCode
from pkn_protocol.records.ids import AuthorId, Cid, ShortId
from pkn_protocol.sync.arrivals import Arrivals
from pkn_protocol.sync.compare import Ended
from pkn_protocol.sync.comparing import COMPARISON_MESSAGES, Comparing
from pkn_protocol.sync.effects import (
    Close,
    Computed,
    Effect,
    InStep,
    LookUpShorts,
    OpenGrants,
    Place,
    ReadGrants,
    ReadRecords,
    Reply,
    Request,
    Send,
    StoreBatch,
)
from pkn_protocol.sync.facts import (
    PUBLIC_SCOPE,
    ConnectionId,
    Meeting,
    Progress,
    RecordFacts,
    RowChange,
    RowName,
    RowsRead,
    Stored,
)
from pkn_protocol.sync.fetching import ASKED_MS, Fetching
from pkn_protocol.sync.parts import in_parts
from pkn_protocol.sync.rows import Key
from pkn_protocol.sync.shared import Shared
from pkn_protocol.sync.spreading import How
from pkn_protocol.sync.untaken import Untaken
from pkn_protocol.sync.wanting import Wanting

MOST_UNSTORED = 2048
"""Records of one peer that were asked for or have come, and are not on disk: two batches."""
MOST_ASKED = 8
"""Messages of the peer that the store or a thread still works on, beside comparisons and batches."""
TELL_AGAIN_MS = 10_000
"""Between two times that all that is wanted is told, since the other side seems not to know it."""
PROVE_EVERY_MS = 300_000
"""Proofs are shown again so often: one that was lost would leave a circle out of what is compared, unseen."""
WANT_PATIENCE_MS = 30_000
"""For the other side's first want; without it nothing can be compared."""
PASSED_OVER_MS = 1000
"""After which it is looked whether what others were to bring has come; doubled while it has not."""
MOST_FRUITLESS = 6
"""Doublings: about a minute, when the claims of others have ended."""
NOT_STORED_MS = 5000
MOST_NOT_STORED_MS = 60_000
"""After which it is tried again what could not be written, as when the disk was full; doubled each time."""
_REASON_CHARS = 200
UNKNOWN_DEVICE = "its device is not known"


class Session:
    """One connection. Effects gather in `out`, which the node empties after each input."""

    def __init__(self, conn: ConnectionId, meeting: Meeting, shared: Shared) -> None:
        self.conn = conn
        self.meeting = meeting
        self.out: list[Effect] = []
        self.records_in = 0
        self.records_out = 0
        self.closed = False
        self.joined = False
        """Whether both sides have said what they want, and the node knows it."""
        self.pushed: list[tuple[AuthorId, m.Push]] = []
        """What has just come in pushes, for the node to see."""
        self._shared = shared
        self._numbers = itertools.count(1)
        self._wanting = Wanting(meeting)
        self._comparing = Comparing(conn, meeting, self._wanting, self.out, self._numbers)
        self._fetching = Fetching(shared.claims)
        self._arrivals = Arrivals()
        self._untaken = Untaken()
        self._giving: dict[int, tuple[AuthorId, int]] = {}
        self._looking_up: dict[int, tuple[AuthorId, tuple[ShortId, ...]]] = {}
        self._want_until = 0
        self._tell_again_at = 0
        self._prove_at: int | None = None
        self._introduced = False
        self._introduce_at: int | None = None
        self._store_again = NOT_STORED_MS
        self._asked = 0
        self._settling = False
        self._compare_again = False
        self._settled = 0
        self._refuse_waiting_at = 0
        self._fruitless = 0

    @property
    def is_full(self) -> bool:
        """Whether nothing more of the peer should be read for now."""
        return self._comparing.is_full or self._arrivals.count > MOST_UNSTORED or self._asked >= MOST_ASKED

    @property
    def progress(self) -> Progress:
        return self._fetching.progress

    def start(self, now: int) -> None:
        """Introduce this side: its grants, proofs and wants; take in who the other side is."""
        if self.meeting.author in self._shared.horizon.blocked:
            self._close(CloseCode.BLOCKED, "not welcome here")
            return
        self._want_until = now + WANT_PATIENCE_MS
        self._arrivals.put([self.meeting.device_block], How.FETCHED, ordered=True)
        self._prove(now)
        self._tell_wants()
        if self.meeting.outbound:
            self._comparing.set_due()
        self._go_on(now)

    def end(self) -> None:
        """The connection is gone."""
        self.closed = True
        self._fetching.end()

    def receive(self, message: m.Message, now: int) -> None:
        """Take a message that is neither a request nor a reply."""
        with _Fault(self):
            self._on_message(message, now)
        self._go_on(now)

    def requested(self, number: int, fetch: m.Fetch) -> None:
        """The peer asks for records."""
        named = []
        for part in fetch.shorts:
            author = self._wanting.author_of(part.author)
            if author is not None:
                named.append((author, part.shorts))
        scopes = frozenset({PUBLIC_SCOPE}) | self._wanting.proven
        self.out.append(ReadRecords(self.conn, number, fetch.ids, tuple(named), fetch.devices, scopes))

    def give(self, author: AuthorId, shorts: tuple[ShortId, ...], hops: int) -> None:
        """Push records that the peer asked for otherwise."""
        number = -next(self._numbers)
        self._giving[number] = (author, hops)
        scopes = frozenset({PUBLIC_SCOPE}) | self._wanting.proven
        self.out.append(ReadRecords(self.conn, number, (), ((author, shorts),), False, scopes))

    def look_up(self, author: AuthorId, shorts: tuple[ShortId, ...]) -> None:
        number = next(self._numbers)
        self._looking_up[number] = (author, shorts)
        self.out.append(LookUpShorts(self.conn, number, author, shorts))

    def looked_up(self, number: int) -> tuple[AuthorId, tuple[ShortId, ...]] | None:
        """What had been asked under a number."""
        return self._looking_up.pop(number, None)

    def records_read(self, number: int, blocks: Sequence[bytes], missing: Sequence[Cid]) -> None:
        given = self._giving.pop(number, None)
        if given is not None:
            author, hops = given
            self._push(self.meeting.pair.hash(author), blocks, hops)
            return
        parts = list(in_parts(blocks)) or [()]
        for at, part in enumerate(parts, start=1):
            last = at == len(parts)
            self.records_out += len(part)
            records = m.Records(part, tuple(missing[: m.MOST_FETCHED]) if last else (), more=not last)
            self.out.append(Reply(self.conn, number, records))

    def replied(self, number: int, records: m.Records, now: int) -> None:
        standing = self._fetching.replied(number, len(records.blocks), now, more=records.more)
        if standing is not None:
            self.records_in += len(records.blocks)
            self._arrivals.put(records.blocks, How.FETCHED, ordered=standing)
        self._go_on(now)

    def request_failed(self, number: int, now: int) -> None:
        self._fetching.failed(number)
        self._go_on(now)

    def rows_read(self, number: int, answer: RowsRead, now: int) -> None:
        with _Fault(self):
            self._comparing.rows_read(number, answer, now)
        self._go_on(now)

    def ids_read(self, number: int, ids: Mapping[Key, Sequence[Cid]], now: int) -> None:
        self._comparing.ids_read(number, ids, now)
        self._go_on(now)

    def computed(self, number: int, result: Computed, now: int) -> None:
        with _Fault(self):
            self._comparing.computed(number, result, now)
        self._go_on(now)

    def placed(self, places: Mapping[Cid, RowName], now: int) -> None:
        self._asked -= 1
        with _Fault(self):
            self._wanting.refuse(places)
            if places:
                self._comparing.wants_changed()
        self._go_on(now)

    def stored(self, number: int, outcome: Stored, now: int) -> None:
        self._arrivals.stored(number)
        self._store_again = NOT_STORED_MS
        if not self._introduced:
            # A grant is made for devices that are known.
            self._introduced = True
            self.grants_due()
        for reason, ids in outcome.refused.items():
            self._refuse(ids, reason)
        if outcome.retractions:
            own = self.meeting.pair.hash(self.meeting.author)
            for part in in_parts(outcome.retractions):
                self._say(m.Push(own, part))
        if any(record.standing for record in outcome.added) and self._untaken.waits:
            self._arrivals.put(self._untaken.try_again(), How.PUSHED, ordered=True)
        self._wait_for_devices(outcome.unknown)
        if outcome.fault is not None:
            self._close(outcome.fault.code, outcome.fault.reason)
        self._go_on(now)

    def not_stored(self, number: int, now: int) -> None:
        wait = self._store_again
        self._store_again = min(2 * wait, MOST_NOT_STORED_MS)
        self._arrivals.stored(number)
        if not self._introduced:
            # Without its device record nothing of the peer can be taken.
            self._introduce_at = now + wait
        # What had come was lost, and may be fetched of anybody.
        self._shared.claims.clear()
        self._comparing.set_due(not_before=now + wait)
        self._go_on(now)

    def now_held(self, records: Iterable[RecordFacts]) -> bool:
        """Records are on disk, whoever brought them. Whether this connection had waited for their devices, or
        had refused them.

        What was refused is left out of the sums by the other side for as long as the connection lasts; so it
        is here.
        """
        waited, places = self._untaken.now_held(records)
        if places:
            with _Fault(self):
                self._wanting.refuse(places)
                self._comparing.wants_changed()
        return waited or bool(places)

    def grants_opened(self) -> None:
        self._asked -= 1

    def grants_read(self, blocks: Sequence[bytes]) -> None:
        if blocks:
            self._say(m.Grants(tuple(blocks[: m.MOST_FETCHED])))

    def rows_changed(self, changes: Sequence[RowChange], version: int) -> None:
        self._comparing.rows_changed(changes, version)

    def horizon_changed(self, now: int) -> None:
        if self.meeting.author in self._shared.horizon.blocked:
            self._close(CloseCode.BLOCKED, "not welcome here")
            return
        before = self._wanting.wanted.keys()
        self._tell_wants()
        if self._wanting.wanted.keys() - before:
            self._comparing.set_due()
        self._go_on(now)

    def grants_due(self) -> None:
        """Somebody is trusted who was not, or new grants were written."""
        self.out.append(ReadGrants(self.conn))

    def circles_changed(self, now: int) -> None:
        self._prove(now)
        self._verify()
        self._go_on(now)

    def dropped(self, now: int) -> None:
        self._comparing.set_due(not_before=now + PASSED_OVER_MS)
        self._go_on(now)

    def timer(self, now: int) -> None:
        for number in self._fetching.overdue(now):
            self._fetching.failed(number)
        if not self._wanting.ready and now >= self._want_until:
            self._close(CloseCode.GOING_AWAY, "nothing was said of what is wanted")
        if self._introduce_at is not None and now >= self._introduce_at:
            self._introduce_at = None
            self._arrivals.put([self.meeting.device_block], How.FETCHED, ordered=True)
        self._go_on(now)

    def deadline(self) -> int | None:
        want = None if self._wanting.ready else self._want_until
        again = self._tell_again_at if self._comparing.want_was_lost else None
        own = (want, self._prove_at, again, self._introduce_at)
        times = (self._comparing.deadline(), self._fetching.deadline(), *own)
        return min((time for time in times if time is not None), default=None)

    def push(self, records: Iterable[RecordFacts], hops: int) -> None:
        """Give new records in full, those that the peer wants and may see."""
        for hashed, found in self._wanting.wanted_there(records).items():
            self._push(hashed, [record.block for record in found], hops)

    @property
    def ready(self) -> bool:
        return self._wanting.ready

    def how(self, number: int) -> How:
        """How the records of a batch that is being stored came here."""
        return self._arrivals.how(number)

    def compare_soon(self, now: int) -> None:
        self._comparing.set_due()
        self._go_on(now)

    def author_of(self, hashed: bytes) -> AuthorId | None:
        return self._wanting.author_of(hashed)

    def brings(self, author: AuthorId) -> bool:
        hashed = self.meeting.pair.hash(author)
        return author in self._wanting.wanted and hashed in self._wanting.peer.floors

    def may_have(self, record: RecordFacts) -> bool:
        return self._wanting.may_have(record)

    def may_see(self, scope: bytes) -> bool:
        return self._wanting.may_see(scope)

    def fail(self, error: ChannelError) -> None:
        self._close(error.code, error.reason)

    def _on_message(self, message: m.Message, now: int) -> None:
        match message:
            case m.Want():
                self._want_until = now + WANT_PATIENCE_MS
                if self._wanting.hear(message):
                    self._comparing.wants_changed()
                    if self._wanting.peer.number > 1:
                        self._comparing.set_due()
            case m.Circles():
                self._wanting.shown(message)
                self._verify()
            case m.Grants():
                self._asked += 1
                self.out.append(OpenGrants(self.conn, message.blocks))
            case m.Push():
                self._on_push(message)
            case m.Refused():
                self._asked += 1
                self.out.append(Place(self.conn, next(self._numbers), message.ids))
            case m.Unsupported():
                pass
            case _ if isinstance(message, COMPARISON_MESSAGES):
                self._comparing.receive(message, now)
            case _:
                raise ChannelError(CloseCode.BAD_MESSAGE, f"{type(message).__name__} is not expected here")

    def _on_push(self, push: m.Push) -> None:
        # Known by its author's hash before anything is decoded: what is not wanted costs nothing.
        author = self._wanting.author_of(push.author)
        if author is not None:
            self.records_in += len(push.blocks)
            self.pushed.append((author, push))
            self._arrivals.put(push.blocks, How.PUSHED, ordered=True)

    def _push(self, hashed: bytes, blocks: Sequence[bytes], hops: int) -> None:
        for part in in_parts(blocks):
            self.records_out += len(part)
            self.out.append(Send(self.conn, m.Push(hashed, part, hops), droppable=True))

    def _tell_wants(self) -> None:
        messages = self._wanting.tell(self._shared.wanted_from(self.meeting.author))
        if messages:
            self._comparing.wants_changed()
        for message in messages:
            self._say(message)

    def _prove(self, now: int, *, again: bool = False) -> None:
        proofs = self._wanting.proofs(self._shared.circles)
        if proofs is None and again:
            proofs = self._wanting.proofs_again()
        if proofs is not None:
            self._prove_at = now + PROVE_EVERY_MS
            self._say(proofs)

    def _verify(self) -> None:
        if self._wanting.verify(self._shared.circles):
            self._comparing.wants_changed()
            self._comparing.set_due()

    def _repair(self, now: int) -> None:
        """Say again what seems to have been lost, or may have been."""
        if self._comparing.want_was_lost and now >= self._tell_again_at:
            self._comparing.want_was_lost = False
            self._tell_again_at = now + TELL_AGAIN_MS
            for message in self._wanting.tell_again():
                self._say(message)
            self._comparing.wants_changed()
        # A time far ahead was named before the clock was set back.
        if self._prove_at is not None and not now < self._prove_at <= now + PROVE_EVERY_MS:
            self._prove_at = now + PROVE_EVERY_MS
            self._prove(now, again=True)

    def _wait_for_devices(self, blocks: Sequence[bytes]) -> None:
        if not blocks:
            return
        if not self._untaken.waits:
            # A comparison that is under way may have been made before the device was known there.
            self._refuse_waiting_at = self._settled + (2 if self._settling else 1)
        self._untaken.wait(blocks)
        # Their devices are standing records, which a comparison finds.
        self._comparing.set_due()

    def _refuse(self, ids: Sequence[Cid], reason: str) -> None:
        self._untaken.refuse(ids)
        for at in range(0, len(ids), m.MOST_FETCHED):
            self._say(m.Refused(tuple(ids[at : at + m.MOST_FETCHED]), reason[:_REASON_CHARS]))

    def _go_on(self, now: int) -> None:
        """All that follows from what has just changed."""
        if self.closed:
            return
        self._comparing.work(now)
        self._repair(now)
        self._take_results(now)
        self._store_next()
        self._fetch_next(now)
        self._settle(now)
        self._comparing.work(now)

    def _take_results(self, now: int) -> None:
        results, self._comparing.results = self._comparing.results, []
        for result in results:
            self._settling = True
            if not isinstance(result, Ended):
                distances = self._shared.horizon.distances
                self._fetching.lacking(result.rows, self._wanting.author_of, distances)
                self._compare_again |= result.partial

    def _fetch_next(self, now: int) -> None:
        while True:
            room = MOST_UNSTORED - self._arrivals.count - self._fetching.requested
            number = next(self._numbers)
            fetch = self._fetching.next_fetch(number, now, room)
            if fetch is None:
                return
            self.out.append(Request(self.conn, number, fetch))

    def _store_next(self) -> None:
        first = self._fetching.standing_under_way
        while True:
            number = next(self._numbers)
            blocks = self._arrivals.next_batch(number, only_ordered=first)
            if blocks is None:
                return
            self.out.append(StoreBatch(self.conn, number, blocks, self._wanting.wanted.keys()))

    def _settle(self, now: int) -> None:
        if not self._settling or not self._fetching.idle or self._arrivals.count:
            return
        self._settling = False
        self._settled += 1
        if (
            self._untaken.waits
            and self._settled >= self._refuse_waiting_at
            and not (self._fetching.passed_over or self._fetching.was_asked)
        ):
            # All that the peer has was fetched, and nothing says whose these devices are.
            self._refuse(self._untaken.give_up(), UNKNOWN_DEVICE)
        if self._compare_again:
            self._compare_again = False
            self._comparing.set_due()
        elif self._fetching.passed_over:
            self._comparing.set_due(not_before=now + (PASSED_OVER_MS << self._fruitless))
        elif self._fetching.was_asked:
            self._comparing.set_due(not_before=now + ASKED_MS)
        if self._fetching.passed_over and not self._fetching.came:
            self._fruitless = min(self._fruitless + 1, MOST_FRUITLESS)
        else:
            self._fruitless = 0
        self._fetching.passed_over = self._fetching.was_asked = False
        self.out.append(InStep(self.conn))

    def _say(self, message: m.Message) -> None:
        if not self.closed:
            self.out.append(Send(self.conn, message))

    def _close(self, code: CloseCode, reason: str) -> None:
        if not self.closed:
            self.closed = True
            self.out.append(Close(self.conn, code, reason))


class _Fault:
    """What the peer did wrong ends the connection."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        if isinstance(error, ChannelError):
            self._session.fail(error)
            return True
        return False
