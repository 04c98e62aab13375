"""Comparing: whatever two sides hold and want, each finds exactly what it lacks, and then nothing more."""

from __future__ import annotations

import random
from dataclasses import replace
from hashlib import sha256
from itertools import count

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pkn_protocol.channel import messages as m
from pkn_protocol.channel.errors import ChannelError, CloseCode
from pkn_protocol.records.ids import Cid, dag_cbor_cid, record_cid, short_id
from pkn_protocol.sync import compare
from pkn_protocol.sync.compare import (
    MOST_LISTED_IDS,
    Ended,
    Initiator,
    Lacking,
    NeedIds,
    NeedRows,
    Responder,
    within_limit,
)
from pkn_protocol.sync.pace import MOST_ASKS
from pkn_protocol.sync.rows import Key, comparison_key, root_of
from pkn_protocol.sync.short_ids import cut
from pkn_protocol.sync.siphash import siphash
from pkn_protocol.sync.sums import HOUR_MS
from pkn_protocol.sync.symbols import advance
from tests.protocol.sync.meeting import (
    SESSION,
    Change,
    Side,
    author,
    carry_out,
    matching,
    meet,
    rows_of,
    shorts,
)

rows = st.tuples(
    st.sampled_from([b"", b"s" * 16]), st.sampled_from([author(1), author(2)]), st.integers(0, 3)
)
Holding = dict[Key, list[Cid]]
few = st.frozensets(st.integers(0, 40), min_size=1, max_size=20).map(sorted)
parts = st.tuples(st.integers(0, 400), st.integers(0, 120), st.integers(0, 120))
"""Of one row: ids that both hold, that one holds, that the other holds."""


def cids(what: str, count: int) -> list[Cid]:
    return [dag_cbor_cid(f"{what} {number}".encode()) for number in range(count)]


def with_ids(numbers: dict[Key, list[int]]) -> Holding:
    """A record belongs to one row, so that no id is in two."""
    return {row: [dag_cbor_cid(f"{row} {n}".encode()) for n in found] for row, found in numbers.items()}


small = st.dictionaries(rows, few, max_size=8).map(with_ids)


def two_sides(rows: dict[Key, tuple[int, int, int]]) -> tuple[Holding, Holding]:
    one: Holding = {}
    other: Holding = {}
    for row, (both, here, there) in rows.items():
        common = cids(f"{row} both", both)
        one[row] = common + cids(f"{row} one", here)
        other[row] = common + cids(f"{row} other", there)
    return ({row: found for row, found in side.items() if found} for side in (one, other))  # type: ignore[return-value]


def assert_all_found(one: Holding, other: Holding, lacking: tuple[set[bytes], set[bytes]]) -> None:
    for held, there, names in ((one, other, lacking[0]), (other, one, lacking[1])):
        due = {cid for row, found in there.items() for cid in set(found).difference(held.get(row, ()))}
        all_there = [cid for found in there.values() for cid in found]
        assert due <= matching(names, all_there)
        # Nothing is named that the other side does not have, nor what is not due by its row.
        assert len(names) <= len(due)


@given(small, small)
def test_each_side_finds_what_it_lacks_and_a_second_comparison_finds_nothing(
    one: Holding, other: Holding
) -> None:
    assert_all_found(one, other, meet(one, other).lacking())
    union = {row: sorted({*one.get(row, ()), *other.get(row, ())}) for row in {**one, **other}}
    again = meet(union, dict(union))
    assert again.one.result is again.other.result is Ended.SAME


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(rows, parts, max_size=8), st.integers(1, 2**40))
def test_every_difference_is_found_whatever_its_number(
    rows: dict[Key, tuple[int, int, int]], number: int
) -> None:
    one, other = two_sides(rows)
    assert_all_found(one, other, meet(one, other, number=number).lacking())


@pytest.mark.long
@settings(max_examples=400, deadline=None)
@given(
    st.dictionaries(rows, st.tuples(*(st.integers(0, most) for most in (4000, 900, 900))), max_size=8),
    st.integers(1, 2**40),
)
def test_every_difference_of_larger_sets_is_found(rows: dict[Key, tuple[int, int, int]], number: int) -> None:
    one, other = two_sides(rows)
    assert_all_found(one, other, meet(one, other, number=number).lacking())


@pytest.mark.parametrize("many", [{}, {(b"", author(7), 0): (0, 3, 0)}], ids=["nothing", "little"])
def test_who_holds_nothing_or_little_gets_all_in_either_direction(
    many: dict[Key, tuple[int, int, int]],
) -> None:
    full = {(b"", author(number), month): (0, 0, 40) for number in range(20) for month in (0, 670, 671)}
    one, other = two_sides({**full, **many})
    assert_all_found(one, other, meet(one, other).lacking())
    assert_all_found(other, one, meet(other, one).lacking())
    # Each short id once, and what names the rows.
    assert meet(one, other).total < 20 * 3 * (40 * 8 + 60)
    assert meet(other, one).total < 20 * 3 * (40 * 8 + 60)


def test_long_lists_go_in_several_messages() -> None:
    one: Holding = {(b"", author(1), 5): cids("many", 70_000)}
    meeting = meet(one, {})
    assert meeting.lacking() == (set(), set(shorts(one[(b"", author(1), 5)])))
    assert meeting.frames > 4
    assert meet({}, one).lacking()[0] == meeting.lacking()[1]


def test_standing_records_are_fetched_first_then_the_newest() -> None:
    held: Holding = {(b"", author(1), period): cids(str(period), 2) for period in (5, 0, 9)}
    for meeting, side in ((meet({}, held), "one"), (meet(held, {}), "other")):
        result = getattr(meeting, side).result
        assert isinstance(result, Lacking)
        assert result.rows[0].period == 0
        assert result.rows[0].ids == tuple(map(short_id, cids("0", 2)))
        named = [name for row in result.rows[1:] for name in row.ids]
        assert named == [short_id(cid) for period in (9, 5) for cid in cids(str(period), 2)]


def test_nothing_new_costs_two_short_messages() -> None:
    held, _ = two_sides({(b"", author(1), month): (50, 0, 0) for month in range(20)})
    meeting = meet(held, dict(held))
    assert meeting.total < 80
    assert meeting.trips == 2


def collision(what: str, count: int) -> list[Cid]:
    """Ids with one short id; making them takes 2^32 tries, so these are of no record."""
    return [
        record_cid(bytes(8) + sha256(f"{what} {number}".encode()).digest()[:24]) for number in range(count)
    ]


@pytest.mark.parametrize("both", [3, 100])
@pytest.mark.parametrize(
    ("here", "there"), [(1, 1), (2, 0), (0, 2), (2, 1)], ids=["each", "here", "there", "mixed"]
)
def test_ids_with_the_same_short_id_cost_their_author_alone(both: int, here: int, there: int) -> None:
    spoilt, honest = (b"", author(1), 671), (b"", author(2), 671)
    one, other = two_sides({spoilt: (both, 5, 4), honest: (900, 5, 4)})
    same = collision("spoilt", here + there)
    one[spoilt] += same[:here]
    other[spoilt] += same[here:]
    meeting = meet(one, other)
    # Some may be found only when all else is in step.
    lacking = meeting.lacking()
    for held, found in ((one, lacking[0]), (other, lacking[1])):
        for side in (one, other):
            for row in side:
                new = [cid for cid in side[row] if cid not in held[row]]
                held[row] = held[row] + sorted(matching(found, new))
    assert set(one[honest]) == set(other[honest])
    again = meet(one, other)
    assert_all_found(one, other, again.lacking())
    # The honest author's rows went as a code, not as the list of 7,200 bytes.
    assert meeting.total + again.total < (2 * (both + 20)) * 40 + 3000


def test_ids_ground_for_a_key_cost_their_author_alone() -> None:
    """As if an author knew the key beforehand: their ids leave out the first thousand symbols."""
    key = comparison_key(SESSION, 1)
    chance = np.random.default_rng(5)
    found: list[Cid] = []
    while len(found) < 12:
        tried = chance.integers(0, 2**64 - 1, 2**20, dtype=np.uint64)
        indices, _ = advance(np.zeros(len(tried), np.uint64), siphash(key, tried))
        starts = tried[indices > 1000].astype("<u8").tobytes()
        found += [record_cid(start + bytes(24)) for start in cut(starts, 8)]
    spoilt, honest = (b"", author(1), 671), (b"", author(2), 671)
    one, other = two_sides({spoilt: (500, 5, 5), honest: (2000, 20, 20)})
    usual = meet(one, other)
    one[spoilt] += found
    meeting = meet(one, other)
    assert_all_found(one, other, meeting.lacking())
    # Symbols worth the list, and the list: of this author's row alone.
    assert usual.total < meeting.total < usual.total + 3 * 520 * 8
    # Under the key of another comparison they are ids like all others.
    assert meet(one, other, number=3).total < usual.total + 12 * 17 * 4


def test_what_arrived_in_the_meantime_is_no_collision() -> None:
    row = (b"", author(1), 671)
    one, other = two_sides({row: (3000, 0, 1)})
    side = Side(other)
    # Its sums are read, then the record is gone; the ids that come later are equal.
    side.holding = one
    meeting = meet(one, side)
    assert meeting.lacking() == (set(), set())
    assert "Parts" in meeting.sizes
    assert meeting.total < 1000


def losing(lost: int) -> Change:
    """A channel that loses one message."""
    numbers = count()

    def change(message: m.Message) -> m.Message | None:
        return None if next(numbers) == lost else message

    return change


def test_a_comparison_that_loses_a_message_is_left_and_the_next_one_works() -> None:
    one, other = two_sides({(b"", author(n), 671): (400, 30, 30) for n in range(3)})
    whole = meet(one, other)
    for lost in range(whole.frames):
        meeting = meet(one, other, change=losing(lost))
        # The side that sent last may be done; nobody believes in anything false.
        assert meeting.one.result is None
        for names, there in zip(meeting.lacking(), (other, one), strict=True):
            assert names <= shorts([cid for found in there.values() for cid in found])
        assert_all_found(one, other, meet(one, other, number=3).lacking())


def test_a_peer_that_never_sends_enough_symbols_is_sent_away() -> None:
    one, other = two_sides({(b"", author(1), 671): (3000, 200, 200)})

    def shortened(message: m.Message) -> m.Message:
        if isinstance(message, m.Parts):
            return replace(message, parts=tuple(replace(p, data=p.data[:17]) for p in message.parts))
        return message

    with pytest.raises(ChannelError) as error:
        meet(one, other, change=shortened)
    assert error.value.code is CloseCode.BAD_MESSAGE


@pytest.mark.parametrize("seed", range(6))
def test_symbols_that_mean_nothing_cost_at_most_a_few_lists(seed: int) -> None:
    chance = random.Random(seed)
    one, other = two_sides({(b"", author(n), 671): (1000, 20, 20) for n in range(60)})
    honest = sum(len(found) for found in one.values()) * 8

    def nonsense(message: m.Message) -> m.Message:
        match message:
            case m.Rows(form=m.Form.CODE) if seed % 2:
                return replace(message, data=chance.randbytes(len(message.data)))
            case m.Groups():
                groups = [
                    replace(g, data=chance.randbytes(len(g.data))) if g.form is m.Form.CODE else g
                    for g in message.groups
                ]
                return replace(message, groups=tuple(groups))
            case m.Parts():
                parts = [
                    replace(p, data=chance.randbytes(len(p.data))) if p.form is m.Form.CODE else p
                    for p in message.parts
                ]
                return replace(message, parts=tuple(parts))
            case _:
                return message

    meeting = meet(one, other, change=nonsense)
    # The lists are true, so that all is found; the symbols cost no more than twice the lists.
    assert_all_found(one, other, meeting.lacking())
    assert meeting.total < 3.5 * honest
    assert meeting.trips < 2 * (2 * MOST_ASKS + 10)


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 12))
def test_whatever_a_peer_says_it_ends_or_is_a_fault_of_the_peer(seed: int, at: int) -> None:
    chance = random.Random(seed)
    one, other = two_sides({(b"", author(n), month): (60, 4, 3) for n in range(3) for month in (0, 671)})
    seen: list[m.Message] = []

    def twisted(message: m.Message) -> m.Message:
        seen.append(message)
        # Any earlier message in the place of a later one, with some of its data exchanged.
        return chance.choice(seen) if len(seen) > at else message

    try:
        meeting = meet(one, other, change=twisted)
    except ChannelError as error:
        assert error.reason
        assert error.code in (CloseCode.BAD_MESSAGE, CloseCode.OVER_BUDGET)
    else:
        assert meeting.total < 200_000


def initiator(held: Holding) -> Initiator:
    return Initiator(1, session=SESSION, at=HOUR_MS, mine=1, yours=1, root=root_of(rows_of(held), HOUR_MS))


def responder(held: Holding) -> tuple[Responder, Side]:
    """One that waits for groups."""
    side = Side(held)
    machine = Responder(m.Compare(1, HOUR_MS, 1, 1, bytes(16)), session=SESSION, root=side.root())
    list(carry_out(machine, machine.start(), side))
    return machine, side


ROW: Key = (b"", author(1), 671)
CODE = m.Group(*ROW[:2], (671,), 100, m.Form.CODE, bytes(34))


@pytest.mark.parametrize(
    "message",
    [
        m.Groups(1, b"nameslonger!", ()),
        m.Groups(1, b"odd", ()),
        m.Groups(1, b"", (CODE, CODE)),
        m.Groups(1, b"", (replace(CODE, periods=(671, 671)),)),
        m.Groups(1, b"", (replace(CODE, data=b""),)),
        m.Groups(1, b"", (replace(CODE, data=bytes(17 * 17)),)),
        m.Groups(1, b"", (replace(CODE, form=m.Form.PRINT, data=bytes(16)),)),
        m.Groups(1, b"", (replace(CODE, form=m.Form.SHORT, data=bytes(8)),)),
        m.Groups(1, b"", (replace(CODE, total=2, form=m.Form.SHORT, data=bytes(16)),)),
        m.Groups(1, b"", (replace(CODE, total=MOST_LISTED_IDS + 1),)),
        m.Parts(1, (m.Part(0, m.Form.CODE, bytes(17)),)),
        m.Same(1),
        m.Lacks(1, (), ()),
    ],
    ids=repr,
)
def test_a_responder_refuses_what_is_not_to_be_said(message: m.Message) -> None:
    machine, side = responder({ROW: cids("own", 5)})
    with pytest.raises(ChannelError):
        list(carry_out(machine, machine.receive(message), side))


def test_a_responder_gives_rows_within_bounds() -> None:
    held, _ = two_sides({(b"", author(n), 671): (1, 0, 0) for n in range(100)})
    machine, _ = responder(held)
    for _ in range(3):
        machine.receive(m.MoreRows(1, 20))
    with pytest.raises(ChannelError):
        machine.receive(m.MoreRows(1, 50))
    machine.receive(m.MoreRows(1, 0))
    with pytest.raises(ChannelError):
        machine.receive(m.MoreRows(1, 0))
    machine, _ = responder(held)
    with pytest.raises(ChannelError):
        for _ in range(MOST_ASKS + 2):
            machine.receive(m.MoreRows(1, 1))


@pytest.mark.parametrize(
    "asks",
    [
        (m.IdsAsk(1, m.Form.CODE, 1),),
        (m.IdsAsk(0, m.Form.CODE, 0),),
        (m.IdsAsk(0, m.Form.CODE, 200),),
        (m.IdsAsk(0, m.Form.SHORT, 1),),
        (m.IdsAsk(0, m.Form.CODE, 1), m.IdsAsk(0, m.Form.PRINT)),
    ],
    ids=repr,
)
def test_an_initiator_gives_ids_within_bounds(asks: tuple[m.IdsAsk, ...]) -> None:
    machine, _ = _at_ids()
    with pytest.raises(ChannelError):
        machine.receive(m.MoreIds(1, asks))


def test_an_initiator_gives_each_list_once_and_takes_no_more_than_is_compared(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    machine, _ = _at_ids()
    machine.receive(m.MoreIds(1, (m.IdsAsk(0, m.Form.SHORT),)))
    with pytest.raises(ChannelError):
        machine.receive(m.MoreIds(1, (m.IdsAsk(0, m.Form.SHORT),)))
    for message in (
        m.Lacks(1, (m.Part(1, m.Form.SHORT, bytes(8)),), ()),
        m.Lacks(1, (m.Part(0, m.Form.PRINT, bytes(16)),), ()),
        m.Lacks(1, (m.Part(0, m.Form.SHORT, b""),), ()),
    ):
        machine, _ = _at_ids()
        with pytest.raises(ChannelError):
            machine.receive(message)
    monkeypatch.setattr(compare, "MOST_LISTED_IDS", 200)
    machine, _ = _at_ids()
    with pytest.raises(ChannelError) as error:
        machine.receive(m.Lacks(1, (m.Part(0, m.Form.SHORT, bytes(201 * 8)),), ()))
    assert error.value.code is CloseCode.OVER_BUDGET


def _at_ids() -> tuple[Initiator, Side]:
    """One that has sent its groups: one of 200 ids as a code, since the other side's row is another one."""
    side = Side({ROW: cids("own", 200)})
    machine = initiator({})
    assert machine.receive(m.Rows(1, 1, m.Form.SHORT, b"anything")) == (NeedRows.ALL,)
    [need] = machine.own_rows(side.rows)
    assert isinstance(need, NeedIds)
    [groups] = machine.own_ids(side.holding)
    assert isinstance(groups, m.Groups)
    assert groups.groups[0].form is m.Form.CODE
    return machine, side


@pytest.mark.parametrize(
    "message",
    [
        m.Rows(1, 1, m.Form.WHOLE, bytes(32)),
        m.Rows(1, 2, m.Form.SHORT, bytes(8)),
        m.Rows(1, 40, m.Form.CODE, bytes(17)),
        m.Rows(1, 2_000_000, m.Form.CODE, bytes(16 * 17)),
        m.MoreIds(1, ()),
        m.Lacks(1, (), ()),
        m.Groups(1, b"", ()),
    ],
    ids=repr,
)
def test_an_initiator_refuses_what_is_not_to_be_said(message: m.Message) -> None:
    machine = initiator({})
    with pytest.raises(ChannelError):
        for effect in machine.receive(message):
            if effect is NeedRows.ALL:
                machine.own_rows({})


def test_rows_that_come_while_the_own_ones_are_read_wait() -> None:
    machine = initiator({})
    data = b"".join(sha256(b"%d" % n).digest()[:8] for n in range(4))
    assert machine.receive(m.Rows(1, 4, m.Form.SHORT, data[:16], more=True)) == (NeedRows.ALL,)
    assert machine.receive(m.Rows(1, 4, m.Form.SHORT, data[16:])) == ()
    with pytest.raises(ChannelError):
        machine.receive(m.Rows(1, 4, m.Form.SHORT, data[16:]))
    assert machine.own_rows({}) == (NeedIds(()),)
    [groups] = machine.own_ids({})
    assert isinstance(groups, m.Groups)
    named = {groups.rows[at : at + 4] for at in range(0, 16, 4)}
    assert named == {data[at : at + 4] for at in range(0, 32, 8)}


def test_what_is_too_much_for_one_comparison_waits_for_the_next_one() -> None:
    counts: dict[Key, tuple[int, bytes]] = {
        (b"", author(1), period): (MOST_LISTED_IDS // 2, b"") for period in (0, 9, 8)
    }
    assert within_limit(counts, counts) == (((b"", author(1), 0), (b"", author(1), 9)), True)
    assert within_limit(list(counts)[:2], counts)[1] is False
