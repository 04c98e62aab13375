"""Two comparing machines joined in memory: every message goes through the codec, and is counted."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256

from pkn_protocol.channel import messages as m
from pkn_protocol.channel.codec import Stage, decode_message, encode_message
from pkn_protocol.channel.handshake import GREATEST_VERSION
from pkn_protocol.records.ids import AuthorId, Cid, ShortId, short_id
from pkn_protocol.sync.compare import Effects, Ended, Initiator, Lacking, NeedIds, NeedRows, Responder
from pkn_protocol.sync.rows import ConnectionRoot, Key, RowSum, root_of
from pkn_protocol.sync.sums import HOUR_MS

SESSION = b"s" * 32
Holding = Mapping[Key, Sequence[Cid]]
Change = Callable[[m.Message], m.Message | None]
"""What becomes of a message on its way; None: it is lost."""


@dataclass
class Side:
    """What one side holds: ids by row."""

    holding: Holding
    result: Lacking | Ended | None = None
    seconds: float = 0.0
    """Processor time of its machine alone."""

    def __post_init__(self) -> None:
        self.rows = rows_of(self.holding)

    def root(self) -> ConnectionRoot:
        return root_of(self.rows, HOUR_MS)


@dataclass
class Meeting:
    """One comparison and what it cost."""

    one: Side
    other: Side
    sizes: Counter[str] = field(default_factory=Counter)
    """Bytes of frames by type of message."""
    frames: int = 0
    trips: int = 0
    """How often the direction changed; a question and its answer are two."""
    symbols: Counter[str] = field(default_factory=Counter)
    """Coded symbols that went over the wire, of rows and of ids."""

    @property
    def total(self) -> int:
        return sum(self.sizes.values())

    def lacking(self) -> tuple[set[bytes], set[bytes]]:
        """What each side found that it lacks: short ids, or whole ones."""
        return names_of(self.one.result), names_of(self.other.result)


def rows_of(holding: Holding) -> dict[Key, RowSum]:
    """Counts and digests. Any hash of the set serves a test as its sum, and is cheaper than the real one."""
    return {row: (len(ids), sha256(b"".join(sorted(ids))).digest()) for row, ids in holding.items() if ids}


def names_of(result: Lacking | Ended | None) -> set[bytes]:
    return {bytes(name) for row in result.rows for name in row.ids} if isinstance(result, Lacking) else set()


def matching(names: set[bytes], ids: Iterator[Cid] | Sequence[Cid]) -> set[Cid]:
    """Which of these ids are named, by short id or whole."""
    return {cid for cid in ids if cid in names or short_id(cid) in names}


def meet(
    one: Holding | Side,
    other: Holding | Side,
    *,
    number: int = 1,
    session: bytes = SESSION,
    change: Change = lambda message: message,
) -> Meeting:
    """Compare, `one` beginning. Ends when no message is under way."""
    meeting = Meeting(
        one if isinstance(one, Side) else Side(one), other if isinstance(other, Side) else Side(other)
    )
    began = time.process_time()
    first = Initiator(number, session=session, at=HOUR_MS, mine=1, yours=1, root=meeting.one.root())
    meeting.one.seconds += time.process_time() - began
    second: Responder | None = None
    under_way: deque[tuple[bool, m.Message]] = deque([(False, first.start())])
    last = True
    while under_way:
        to_one, message = under_way.popleft()
        meeting.trips += to_one != last
        last = to_one
        frame = encode_message(m.Envelope(message), GREATEST_VERSION)
        _count(meeting, message, frame)
        received = change(decode_message(frame, Stage.OPEN).message)
        if received is None:
            continue
        side = meeting.one if to_one else meeting.other
        began = time.process_time()
        if isinstance(received, m.Compare) and not to_one:
            side.result = None
            second = Responder(received, session=session, root=side.root())
            effects = second.start()
            machine: Initiator | Responder = second
        else:
            assert second is not None
            machine = first if to_one else second
            effects = machine.receive(received)
        sent = list(carry_out(machine, effects, side))
        side.seconds += time.process_time() - began
        under_way.extend((not to_one, reply) for reply in sent)
    return meeting


def carry_out(machine: Initiator | Responder, effects: Effects, side: Side) -> Iterator[m.Message]:
    """Do what a machine asks for; what it sends."""
    for effect in effects:
        match effect:
            case NeedRows():
                yield from carry_out(machine, machine.own_rows(side.rows), side)
            case NeedIds(rows=rows):
                ids = {row: side.holding[row] for row in rows if row in side.holding}
                yield from carry_out(machine, machine.own_ids(ids), side)
            case Lacking() | Ended():
                assert side.result is None
                side.result = effect
            case _:
                yield effect


def _count(meeting: Meeting, message: m.Message, frame: bytes) -> None:
    meeting.sizes[type(message).__name__] += len(frame)
    meeting.frames += 1
    match message:
        case m.Rows(form=m.Form.CODE):
            meeting.symbols["rows"] += len(message.data) // 17
        case m.Groups() | m.Parts():
            parts = message.groups if isinstance(message, m.Groups) else message.parts
            coded = sum(len(part.data) for part in parts if part.form is m.Form.CODE)
            meeting.symbols["ids"] += coded // 17


def author(number: int) -> bytes:
    """An author's keyed hash."""
    return AuthorId(sha256(b"author %d" % number).digest())[:8]


def shorts(ids: Sequence[Cid]) -> set[ShortId]:
    return set(map(short_id, ids))
