"""All connections of one node, without I/O: the machine that the daemon and the simulation both run.

Every input takes the time (ms since 1970) where time matters and returns effects, which the owner carries
out in their order. An answer for a connection that is gone is passed over.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from heapq import heapify, heappop, heappush

from pkn_protocol.channel import messages as m
from pkn_protocol.channel.errors import ChannelError
from pkn_protocol.records.ids import AuthorId, Cid, ShortId
from pkn_protocol.sync.effects import Computed, Effect, Send, WakeAt
from pkn_protocol.sync.facts import (
    Circles,
    ConnectionId,
    Horizon,
    Meeting,
    Progress,
    RecordFacts,
    RowChange,
    RowName,
    RowsRead,
    Stored,
)
from pkn_protocol.sync.rows import Key
from pkn_protocol.sync.session import Session
from pkn_protocol.sync.shared import Shared
from pkn_protocol.sync.spreading import (
    CompareDue,
    Eager,
    Everybody,
    Give,
    How,
    LookUp,
    Say,
    Spread,
    Spreading,
)


class SyncNode:
    """`spreading` decides who is offered a new record; without one everybody is, in full."""

    def __init__(self, horizon: Horizon, circles: Circles, *, spreading: Spreading | None = None) -> None:
        self._shared = Shared(horizon, circles)
        self._spreading = spreading if spreading is not None else Everybody()
        self._spreading.attach(self)
        self._sessions: dict[ConnectionId, Session] = {}
        self._wake: int | None = None
        # Most inputs concern one connection of many: the others are not asked each time.
        self._touched: dict[ConnectionId, None] = {}
        self._deadlines: dict[ConnectionId, int] = {}
        # By time, with entries of deadlines that are others by now.
        self._soonest: list[tuple[int, ConnectionId]] = []

    @property
    def connections(self) -> Sequence[ConnectionId]:
        return tuple(self._sessions)

    def connected(self, conn: ConnectionId, meeting: Meeting, now: int) -> list[Effect]:
        """A connection was authenticated."""
        session = self._sessions[conn] = Session(conn, meeting, self._shared)
        self._touched[conn] = None
        session.start(now)
        return self._effects(now)

    def disconnected(self, conn: ConnectionId, now: int) -> list[Effect]:
        session = self._sessions.pop(conn, None)
        self._deadlines.pop(conn, None)
        if session is not None:
            session.end()
            if session.joined:
                self._spread(self._spreading.left(conn, now), now)
        return self._effects(now)

    def received(self, conn: ConnectionId, message: m.Message, now: int) -> list[Effect]:
        """A message that is neither a request nor a reply."""
        session = self._touch(conn)
        if session is not None:
            if isinstance(message, self._spreading.messages):
                try:
                    self._spread(self._spreading.received(conn, message, now), now)
                except ChannelError as error:
                    session.fail(error)
            else:
                session.receive(message, now)
                self._after_message(session, now)
        return self._effects(now)

    def requested(self, conn: ConnectionId, number: int, fetch: m.Fetch, now: int) -> list[Effect]:
        """The peer asks for records, under a number of the owner's choice."""
        return self._with(conn, now, lambda session: session.requested(number, fetch))

    def records_read(
        self, conn: ConnectionId, number: int, blocks: Sequence[bytes], missing: Sequence[Cid], now: int
    ) -> list[Effect]:
        """The answer to `ReadRecords`: what is there, and which whole ids are not there for this peer."""
        return self._with(conn, now, lambda session: session.records_read(number, blocks, missing))

    def replied(self, conn: ConnectionId, number: int, records: m.Records, now: int) -> list[Effect]:
        """A reply to `Request`; the last one says that there are no more."""
        return self._with(conn, now, lambda session: session.replied(number, records, now))

    def request_failed(self, conn: ConnectionId, number: int, now: int) -> list[Effect]:
        """No more replies to a `Request` will come."""
        return self._with(conn, now, lambda session: session.request_failed(number, now))

    def rows_read(self, conn: ConnectionId, number: int, answer: RowsRead, now: int) -> list[Effect]:
        return self._with(conn, now, lambda session: session.rows_read(number, answer, now))

    def ids_read(
        self, conn: ConnectionId, number: int, ids: Mapping[Key, Sequence[Cid]], now: int
    ) -> list[Effect]:
        return self._with(conn, now, lambda session: session.ids_read(number, ids, now))

    def computed(self, conn: ConnectionId, number: int, result: Computed, now: int) -> list[Effect]:
        """The answer to `Compute`: what its work returned."""
        return self._with(conn, now, lambda session: session.computed(number, result, now))

    def compute_failed(self, conn: ConnectionId, error: ChannelError, now: int) -> list[Effect]:
        """The answer to `Compute` where its work found that the peer is at fault."""
        return self._with(conn, now, lambda session: session.fail(error))

    def placed(
        self, conn: ConnectionId, number: int, places: Mapping[Cid, RowName], now: int
    ) -> list[Effect]:
        """The answer to `Place`; absent are those that are not held or do not travel."""
        return self._with(conn, now, lambda session: session.placed(places, now))

    def looked_up(self, conn: ConnectionId, number: int, held: Collection[ShortId], now: int) -> list[Effect]:
        """The answer to `LookUpShorts`."""
        session = self._touch(conn)
        asked = None if session is None else session.looked_up(number)
        if asked is not None:
            self._spread(self._spreading.looked_up(conn, *asked, held, now), now)
        return self._effects(now)

    def stored(self, conn: ConnectionId, number: int, outcome: Stored, now: int) -> list[Effect]:
        """A batch is on disk. New records count even if the connection that brought them is gone."""
        session = self._sessions.get(conn)
        how = How.FETCHED if session is None else session.how(number)
        near = self._shared.horizon.distances
        self._shared.claims.came(((record.author, record.id) for record in outcome.added), now)
        # What strangers say is kept apart: it is not passed on.
        relayed = [record for record in outcome.added if record.author in near]
        if relayed:
            self._spread(self._spreading.fresh(relayed, conn, how, now), now)
        if how is How.PUSHED:
            settled = [record.id for record in outcome.added if record.author not in near]
            settled += [*outcome.known, *(cid for ids in outcome.refused.values() for cid in ids)]
            self._spread(self._spreading.settled(settled, conn, now), now)
        for each in self._sessions.values():
            if each.now_held(outcome.added):
                self._touched[each.conn] = None
        return self._with(conn, now, lambda session: session.stored(number, outcome, now))

    def not_stored(self, conn: ConnectionId, number: int, now: int) -> list[Effect]:
        """A batch could not be written, as when the disk is full; it is asked for again later."""
        return self._with(conn, now, lambda session: session.not_stored(number, now))

    def grants_read(self, conn: ConnectionId, blocks: Sequence[bytes], now: int) -> list[Effect]:
        """The answer to `ReadGrants`; empty where none is meant for this peer."""
        return self._with(conn, now, lambda session: session.grants_read(blocks))

    def grants_opened(self, conn: ConnectionId, now: int) -> list[Effect]:
        """The answer to `OpenGrants`, after `circles_changed`."""
        return self._with(conn, now, lambda session: session.grants_opened())

    def published(self, records: Sequence[RecordFacts], now: int) -> list[Effect]:
        """Records that were written here are on disk (grants are given otherwise)."""
        if records:
            self._spread(self._spreading.fresh(records, None, How.PUBLISHED, now), now)
        return self._effects(now)

    def rows_changed(self, changes: Sequence[RowChange], version: int) -> None:
        """After every commit that changed rows, in order and before anything else is said of it. `version`
        counts these commits."""
        for session in self._sessions.values():
            session.rows_changed(changes, version)

    def horizon_changed(self, horizon: Horizon, now: int) -> list[Effect]:
        """Trust, vouches, blocks or floors are others than before."""
        self._shared.claims.forget(horizon.less_kept_than(self._shared.horizon))
        self._shared.horizon = horizon
        for session in self._open():
            session.horizon_changed(now)
        return self._effects(now)

    def circles_changed(self, circles: Circles, now: int) -> list[Effect]:
        """Other keys are known than before."""
        self._shared.circles = circles
        for session in self._open():
            session.circles_changed(now)
        return self._effects(now)

    def grants_due(self, now: int) -> list[Effect]:
        """Somebody is trusted who was not, or new grants were written: members shall have them."""
        for session in self._open():
            session.grants_due()
        return self._effects(now)

    def dropped(self, conn: ConnectionId, now: int) -> list[Effect]:
        """A message was left out because the peer reads slowly."""
        return self._with(conn, now, lambda session: session.dropped(now))

    def timer(self, now: int) -> list[Effect]:
        """The time that `WakeAt` named has come."""
        self._wake = None
        for conn in self._due(now):
            if (session := self._touch(conn)) is not None:
                session.timer(now)
        spreading = self._spreading.deadline()
        if spreading is not None and spreading <= now:
            self._spread(self._spreading.timer(now), now)
        return self._effects(now)

    def is_full(self, conn: ConnectionId) -> bool:
        """Whether the peer should not be read from until this is over."""
        session = self._session(conn)
        return session is not None and session.is_full

    def may_see(self, conn: ConnectionId, scope: bytes) -> bool:
        """Whether the peer may have what is of a scope."""
        session = self._session(conn)
        return session is not None and session.may_see(scope)

    def may_have(self, conn: ConnectionId, record: RecordFacts) -> bool:
        session = self._session(conn)
        return session is not None and session.may_have(record)

    def brings(self, conn: ConnectionId, author: AuthorId) -> bool:
        session = self._session(conn)
        return session is not None and session.brings(author)

    def is_coming(self, author: AuthorId, short: ShortId, now: int) -> bool:
        return self._shared.claims.is_claimed((author, short), now)

    def asked(self, author: AuthorId, shorts: Sequence[ShortId], now: int) -> None:
        self._shared.claims.asked(author, shorts, now)

    def hash_of(self, conn: ConnectionId, author: AuthorId) -> bytes:
        return self._sessions[conn].meeting.pair.hash(author)

    def author_of(self, conn: ConnectionId, hashed: bytes) -> AuthorId | None:
        session = self._session(conn)
        return None if session is None else session.author_of(hashed)

    def progress(self, conn: ConnectionId | None = None) -> Progress:
        """How far the fetching is, over one connection or over all."""
        sessions = self._sessions.values() if conn is None else [self._sessions[conn]]
        return sum((session.progress for session in sessions), Progress())

    def counts(self, conn: ConnectionId) -> tuple[int, int]:
        """Records that came in and went out over a connection."""
        session = self._sessions[conn]
        return session.records_in, session.records_out

    def _session(self, conn: ConnectionId) -> Session | None:
        session = self._sessions.get(conn)
        return None if session is None or session.closed else session

    def _touch(self, conn: ConnectionId) -> Session | None:
        """An open connection, which may have something to say or to wait for after this."""
        self._touched[conn] = None
        return self._session(conn)

    def _open(self) -> list[Session]:
        self._touched.update(dict.fromkeys(self._sessions))
        return [session for session in self._sessions.values() if not session.closed]

    def _with(self, conn: ConnectionId, now: int, act: Callable[[Session], None]) -> list[Effect]:
        session = self._touch(conn)
        if session is not None:
            act(session)
        return self._effects(now)

    def _after_message(self, session: Session, now: int) -> None:
        if session.ready and not session.joined and not session.closed:
            session.joined = True
            self._spread(self._spreading.joined(session.conn, session.meeting, now), now)
        pushed, session.pushed = session.pushed, []
        for author, push in pushed:
            spreads = self._spreading.pushed(session.conn, author, push.blocks, push.hops, now)
            self._spread(spreads, now)

    def _spread(self, spreads: Sequence[Spread], now: int) -> None:
        for spread in spreads:
            session = self._touch(spread.conn)
            if session is None:
                continue
            match spread:
                case Eager(records=records, hops=hops):
                    session.push(records, hops)
                case Give(author=author, shorts=shorts, hops=hops):
                    session.give(author, shorts, hops)
                case LookUp(author=author, shorts=shorts):
                    session.look_up(author, shorts)
                case Say(message=message):
                    session.out.append(Send(spread.conn, message))
                case CompareDue():
                    session.compare_soon(now)

    def _effects(self, now: int) -> list[Effect]:
        effects: list[Effect] = []
        for conn in self._touched:
            session = self._sessions.get(conn)
            if session is None:
                continue
            effects += session.out
            session.out.clear()
            deadline = None if session.closed else session.deadline()
            if deadline is None:
                self._deadlines.pop(conn, None)
            elif self._deadlines.get(conn) != deadline:
                self._deadlines[conn] = deadline
                heappush(self._soonest, (deadline, conn))
        self._touched.clear()
        wake, spreading = self._next_deadline(), self._spreading.deadline()
        if wake is None or (spreading is not None and spreading < wake):
            wake = spreading
        if wake is not None and (self._wake is None or max(wake, now) < self._wake):
            self._wake = max(wake, now)
            effects.append(WakeAt(self._wake))
        return effects

    def _due(self, now: int) -> list[ConnectionId]:
        """The connections whose deadlines have passed."""
        found: dict[ConnectionId, None] = {}
        while self._soonest and self._soonest[0][0] <= now:
            deadline, conn = heappop(self._soonest)
            if self._deadlines.get(conn) == deadline:
                # It is put in again, even if it stays the same.
                del self._deadlines[conn]
                found[conn] = None
        return list(found)

    def _next_deadline(self) -> int | None:
        soonest = self._soonest
        while soonest and self._deadlines.get(soonest[0][1]) != soonest[0][0]:
            heappop(soonest)
        if len(soonest) > 4 * len(self._deadlines) + 16:
            self._soonest = soonest = [(time, conn) for conn, time in self._deadlines.items()]
            heapify(soonest)
        return soonest[0][0] if soonest else None
