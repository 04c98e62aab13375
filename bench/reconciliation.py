"""What it costs to find out what two sides lack of each other: round trips, bytes, processor time.

Both machines run in one process and every message goes through the codec. Ids are random; each author has
records in 24 months. Differences are spread over all months or lie in the newest one, on both sides or on
one. Bytes are frames both ways, without those of WebSocket (6 and 2 a frame) and TLS (22).
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import cache
from itertools import product
from statistics import median

from bench.report import Figure
from pkn_protocol.channel.codec import encode_message
from pkn_protocol.channel.handshake import GREATEST_VERSION
from pkn_protocol.channel.messages import Envelope
from pkn_protocol.records.cbor import Link, Value, encode
from pkn_protocol.records.ids import AuthorId, Cid, record_cid
from pkn_protocol.records.signing import Ed25519Key
from pkn_protocol.sync.compare import Ended, Initiator, Lacking, Responder
from pkn_protocol.sync.rows import Key, root_of
from pkn_protocol.sync.sums import HOUR_MS
from pkn_protocol.sync.wants import PairKey, whole_want
from tests.protocol.sync.meeting import SESSION, Meeting, Side, author, matching, meet

MONTHS = 24
NEWEST = 671
SIZES = (1_000, 10_000, 100_000)
DIFFERENCES = (0, 1, 10, 100, 1_000, 10_000)
AUTHORS = (1, 10, 100)
ROUNDS = 5
"""Of what has a limit; the table has one of each, with a seed of its own."""
LIMITS = {1: 5_000, 10: 8_000, 100: 15_000}
"""Bytes for 100 differences between 100,000 records each, by authors."""
IN_STEP_BYTES = 100
SYMBOLS_A_DIFFERENCE = 1.6
FIRST_AUTHORS = 10_000
FIRST_RECORDS_EACH = 10
_CHECKS = 500
_WEBSOCKET_BYTES = 6 + 2
"""Headers of one short frame each way, the client's with its mask."""
_TLS_BYTES = 2 * 22


@dataclass(frozen=True, slots=True)
class Case:
    """One line of the table."""

    ids: int
    differences: int
    authors: int
    where: str
    sided: str


@dataclass(frozen=True, slots=True)
class Cost:
    """What a comparison took; `plain_bytes` is what lists of sums and then of ids would take."""

    round_trips: float
    bytes: int
    cpu_ms: float
    symbols_of_ids: int
    plain_bytes: int


def run() -> list[Figure]:
    table = [{**asdict(case), **asdict(measure(case, seed=1))} for case in cases()]
    return [
        in_step_bytes(),
        in_step_time(),
        *map(limited, _limited_cases()),
        *symbols(),
        *first_meeting(),
        Figure("comparisons in the table", len(table), "", details={"table": table}),
    ]


def cases() -> Iterable[Case]:
    for ids, differences, authors, where, sided in product(
        SIZES, DIFFERENCES, AUTHORS, ("spread", "recent"), ("both", "one")
    ):
        if differences <= ids and (differences or (where, sided) == ("spread", "both")):
            yield Case(ids, differences, authors, where, sided)


def _limited_cases() -> Iterable[Case]:
    for authors, where, sided in product(AUTHORS, ("spread", "recent"), ("both", "one")):
        yield Case(100_000, 100, authors, where, sided)


@cache
def shared(ids: int, authors: int) -> dict[Key, tuple[Cid, ...]]:
    """What both sides hold."""
    chance = random.Random(ids * authors)
    rows = [(b"", author(who), NEWEST - month) for month in range(MONTHS) for who in range(authors)]
    found: dict[Key, list[Cid]] = {row: [] for row in rows}
    for number in range(ids):
        found[rows[number % len(rows)]].append(record_cid(chance.randbytes(32)))
    return {row: tuple(held) for row, held in found.items() if held}


def two_sides(case: Case, seed: int) -> tuple[Side, Side]:
    chance = random.Random(f"{case} {seed}")
    common = shared(case.ids, case.authors)
    rows = [row for row in common if case.where == "spread" or row[2] == NEWEST]
    extra: tuple[dict[Key, list[Cid]], dict[Key, list[Cid]]] = ({}, {})
    for number in range(case.differences):
        side = 0 if case.sided == "one" else number % 2
        extra[side].setdefault(chance.choice(rows), []).append(record_cid(chance.randbytes(32)))
    one, other = (
        Side({**common, **{row: (*common[row], *new) for row, new in added.items()}}) for added in extra
    )
    return one, other


def measure(case: Case, *, seed: int) -> Cost:
    """Raises RuntimeError: a difference was not found."""
    one, other = two_sides(case, seed)
    meeting = meet(one, other)
    _check(one, other, meeting)
    return Cost(
        meeting.trips / 2,
        meeting.total,
        (one.seconds + other.seconds) * 1000,
        meeting.symbols["ids"],
        plain_bytes(one, other),
    )


def plain_bytes(one: Side, other: Side) -> int:
    """What it takes to exchange all sums, and then the ids of the rows that differ."""
    differing = [row for row in {**one.rows, **other.rows} if one.rows.get(row) != other.rows.get(row)]
    if not differing:
        return 0
    told: list[Value] = [[*row, count, digest] for row, (count, digest) in other.rows.items()]
    lists: list[Value] = [
        [*row, list(map(Link, side.holding.get(row, ())))] for side in (one, other) for row in differing
    ]
    return len(encode(told)) + len(encode(lists))


def _check(one: Side, other: Side, meeting: Meeting) -> None:
    for here, there, names in zip((one, other), (other, one), meeting.lacking(), strict=True):
        for row, ids in there.holding.items():
            if ids is here.holding.get(row):
                continue
            due = set(ids).difference(here.holding.get(row, ()))
            if due - matching(names, tuple(due)):
                raise RuntimeError("a difference was not found")


def in_step_bytes() -> Figure:
    held = Side(shared(100_000, 100))
    meeting = meet(held, Side(held.holding), number=2**20 + 1)
    if meeting.one.result is not Ended.SAME:
        raise RuntimeError("equal sides are not in step")
    size = meeting.total + _WEBSOCKET_BYTES
    details = {"frames_alone": meeting.total, "with_tls_too": size + _TLS_BYTES}
    return Figure("a check of two sides in step", size, "bytes", IN_STEP_BYTES, details=details)


def in_step_time() -> Figure:
    """The check of 100,000 records by 100 authors over that of 1,000: roots are kept, sets are not read."""
    samples = []
    for _ in range(ROUNDS):
        seconds = []
        for ids in (1_000, 100_000):
            root = root_of(Side(shared(ids, 100)).rows, HOUR_MS)
            began = time.process_time()
            for number in range(1, _CHECKS + 1):
                compare = Initiator(number, session=SESSION, at=HOUR_MS, mine=1, yours=1, root=root).start()
                encode_message(Envelope(compare), GREATEST_VERSION)
                Responder(compare, session=SESSION, root=root).start()
            seconds.append((time.process_time() - began) / _CHECKS)
        samples.append(seconds[1] / seconds[0])
    details = {"us_a_check_both_sides": seconds[1] * 1e6}
    return Figure(
        "processor time in step, 100,000 records over 1,000",
        median(samples),
        "",
        1.5,
        samples=samples,
        details=details,
    )


def limited(case: Case) -> Figure:
    costs = [measure(case, seed=seed) for seed in range(ROUNDS)]
    name = f"100 differences in {case.authors} authors, {case.where}, {case.sided}"
    details = {
        "round_trips": [cost.round_trips for cost in costs],
        "cpu_ms": [cost.cpu_ms for cost in costs],
        "plain_bytes": costs[0].plain_bytes,
    }
    sizes = [cost.bytes for cost in costs]
    return Figure(name, median(sizes), "bytes", LIMITS[case.authors], samples=sizes, details=details)


def symbols() -> Iterable[Figure]:
    """Of one author's newest month, so that all differences are of one set."""
    for differences in (100, 1_000, 10_000):
        case = Case(100_000, differences, 1, "spread", "both")
        costs = [measure(case, seed=seed) for seed in range(2 * ROUNDS + 1)]
        samples = [cost.symbols_of_ids / differences for cost in costs]
        yield Figure(
            f"symbols a difference, {differences} differences",
            median(samples),
            "",
            SYMBOLS_A_DIFFERENCE,
            samples=samples,
            details={"round_trips": [cost.round_trips for cost in costs]},
        )


def first_meeting() -> Iterable[Figure]:
    """Two devices that both want 10,000 authors, ten records each, in a month or two of each author."""
    chance = random.Random(7)
    full: dict[Key, tuple[Cid, ...]] = {}
    for who in range(FIRST_AUTHORS):
        for month, count in ((0, 2), (NEWEST - who % MONTHS, FIRST_RECORDS_EACH - 2)):
            full[(b"", author(who), month)] = tuple(record_cid(chance.randbytes(32)) for _ in range(count))
    own: dict[Key, tuple[Cid, ...]] = {
        (b"", author(FIRST_AUTHORS), 0): tuple(record_cid(chance.randbytes(32)) for _ in range(2))
    }
    key = PairKey.of(Ed25519Key.from_seed(b"a" * 32), Ed25519Key.from_seed(b"b" * 32).public)  # type: ignore[arg-type]
    wanted = {AuthorId(chance.randbytes(32)): None for _ in range(FIRST_AUTHORS)}
    wants = sum(
        len(encode_message(Envelope(message), GREATEST_VERSION)) for message in whole_want(1, wanted, key)
    )
    yield Figure("the want of 10,000 authors, told once", wants, "bytes")
    for name, one, other in (
        ("a newcomer asks one who holds 10,000 authors", own, full),
        ("one who holds 10,000 authors asks a newcomer", full, own),
        ("both hold 10,000 authors, first check", full, dict(full)),
        ("both hold 10,000 authors, each lacks 1 record of 100", full, _without_some(full, chance)),
    ):
        first, second = Side(one), Side(other)
        meeting = meet(first, second)
        _check(first, second, meeting)
        records = sum(
            len(row.ids)
            for side in (first, second)
            for row in (side.result.rows if isinstance(side.result, Lacking) else ())
        )
        details = {
            "round_trips": meeting.trips / 2,
            "cpu_ms": (first.seconds + second.seconds) * 1000,
            "records_to_fetch": records,
            "bytes_a_record": meeting.total / max(records, 1),
            "by_message": dict(meeting.sizes),
        }
        yield Figure(name, meeting.total, "bytes", details=details)


def _without_some(full: Mapping[Key, tuple[Cid, ...]], chance: random.Random) -> dict[Key, tuple[Cid, ...]]:
    lacking = set(chance.sample(sorted(full), 100))
    return {row: ids[1:] if row in lacking else ids for row, ids in full.items()}
