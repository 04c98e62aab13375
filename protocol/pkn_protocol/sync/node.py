"""All connections of one node, without I/O: the machine that the daemon and the simulation both run.

Every input takes the time (ms since 1970) where time matters and returns effects, which the owner carries
out in their order. An answer for a connection that is gone is passed over.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

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
from pkn_protocol.sync.session import Session, Shared
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

    @property
    def connections(self) -> Sequence[ConnectionId]:
        return tuple(self._sessions)

    def connected(self, conn: ConnectionId, meeting: Meeting, now: int) -> list[Effect]:
        """A connection was authenticated."""
        session = self._sessions[conn] = Session(conn, meeting, self._shared)
        session.start(now)
        return self._effects(now)

    def disconnected(self, conn: ConnectionId, now: int) -> list[Effect]:
        session = self._sessions.pop(conn, None)
        if session is not None:
            session.end()
            if session.joined:
                self._spread(self._spreading.left(conn, now), now)
        return self._effects(now)

    def received(self, conn: ConnectionId, message: m.Message, now: int) -> list[Effect]:
        """A message that is neither a request nor a reply."""
        session = self._session(conn)
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
        session = self._session(conn)
        asked = None if session is None else session.looked_up(number)
        if asked is not None:
            self._spread(self._spreading.looked_up(conn, *asked, held, now), now)
        return self._effects(now)

    def stored(self, conn: ConnectionId, number: int, outcome: Stored, now: int) -> list[Effect]:
        """A batch is on disk. New records count even if the connection that brought them is gone."""
        session = self._sessions.get(conn)
        how = How.FETCHED if session is None else session.how(number)
        near = self._shared.horizon.distances
        # What strangers say is kept apart: it is not passed on.
        relayed = [record for record in outcome.added if record.author in near]
        if relayed:
            self._spread(self._spreading.fresh(relayed, conn, how, now), now)
        if how is How.PUSHED:
            settled = [record.id for record in outcome.added if record.author not in near]
            settled += [*outcome.known, *(cid for ids in outcome.refused.values() for cid in ids)]
            self._spread(self._spreading.settled(settled, conn, now), now)
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
        for session in self._open():
            deadline = session.deadline()
            if deadline is not None and deadline <= now:
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

    def _open(self) -> list[Session]:
        return [session for session in self._sessions.values() if not session.closed]

    def _with(self, conn: ConnectionId, now: int, act: Callable[[Session], None]) -> list[Effect]:
        session = self._session(conn)
        if session is not None:
            act(session)
        return self._effects(now)

    def _after_message(self, session: Session, now: int) -> None:
        if session.ready and not session.joined and not session.closed:
            session.joined = True
            self._spread(self._spreading.joined(session.conn, session.meeting, now), now)
        pushed, session.pushed = session.pushed, []
        for author, blocks in pushed:
            self._spread(self._spreading.pushed(session.conn, author, blocks, now), now)

    def _spread(self, spreads: Sequence[Spread], now: int) -> None:
        for spread in spreads:
            session = self._session(spread.conn)
            if session is None:
                continue
            match spread:
                case Eager(records=records):
                    session.push(records)
                case Give(author=author, shorts=shorts):
                    session.give(author, shorts)
                case LookUp(author=author, shorts=shorts):
                    session.look_up(author, shorts)
                case Say(message=message):
                    session.out.append(Send(spread.conn, message))
                case CompareDue():
                    session.compare_soon(now)

    def _effects(self, now: int) -> list[Effect]:
        effects: list[Effect] = []
        for session in self._sessions.values():
            if session.out:
                effects += session.out
                session.out.clear()
        times = [session.deadline() for session in self._open()]
        wake = min((t for t in (*times, self._spreading.deadline()) if t is not None), default=None)
        if wake is not None and (self._wake is None or max(wake, now) < self._wake):
            self._wake = max(wake, now)
            effects.append(WakeAt(self._wake))
        return effects
