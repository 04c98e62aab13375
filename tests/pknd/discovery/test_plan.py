"""Whom to dial and when, with time as a number; and the shell that does it, on scripted connections."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pkn_protocol.channel.errors import ChannelError, CloseCode
from pkn_protocol.gossip.neighbourhood import ViewLimits
from pkn_protocol.records.ids import DeviceId
from pknd.discovery.backoff import FIRST_SECONDS, MOST_SECONDS, delay_seconds
from pknd.discovery.dialer import Dialer
from pknd.discovery.mdns import SERVICE, Found, blinded_id
from pknd.discovery.plan import (
    DIALS_AT_ONCE,
    MOST_TARGETS,
    REFUSED_SECONDS,
    SHORT_SECONDS,
    Address,
    DialPlan,
    Outcome,
    is_refusal,
    outcome_of,
)

_MOST_TURNS = 10_000
ME, ADA, BRUNO = (DeviceId(bytes([n]) * 32) for n in (1, 2, 3))
HERE, THERE = ("192.0.2.1", 7867), ("192.0.2.2", 7867)


def nobody(device: DeviceId) -> bool:
    return False


def plan() -> DialPlan:
    return DialPlan(ME, chance=lambda: 0.0)


@given(st.integers(0, 1000), st.floats(0, 1))
def test_waits_grow_to_a_limit_and_are_never_nothing(failures: int, chance: float) -> None:
    wait = delay_seconds(failures, chance)
    assert FIRST_SECONDS / 2 <= wait <= MOST_SECONDS
    assert delay_seconds(failures + 1, chance) >= wait


def test_a_peer_is_dialled_once_at_a_time_and_later_each_time() -> None:
    plans = plan()
    plans.add(ADA, [HERE], "mdns", 0.0)
    waits = []
    now = 0.0
    for _ in range(5):
        (dial,) = plans.begin(now, nobody)
        assert plans.begin(now, nobody) == []
        plans.finished(dial, Outcome.FAILED, now, problem="no answer")
        due = plans.next_due(nobody)
        assert due is not None
        waits.append(due - now)
        now = due
    assert waits == [0.5, 1.0, 2.0, 4.0, 8.0]
    assert plans.problem(ADA) == "no answer"


def test_connected_peers_are_left_alone_and_dialled_again_when_lost() -> None:
    plans = plan()
    plans.add(ADA, [HERE], "mdns", 0.0)
    assert plans.begin(5.0, lambda device: True) == []
    assert plans.next_due(lambda device: True) is None
    plans.lost(ADA, 5.0)
    assert plans.begin(5.0, nobody) == []
    assert [dial.expected for dial in plans.begin(6.0, nobody)] == [ADA]


def test_one_address_is_not_dialled_for_two_targets_at_once() -> None:
    plans = plan()
    plans.add(ADA, [HERE], "manual", 0.0)
    plans.instance("x", None, [HERE], 0.0)
    (dial,) = plans.begin(0.0, nobody)
    assert plans.begin(0.5, nobody) == []
    plans.finished(dial, Outcome.CONNECTED, 0.5, device=ADA)
    plans.recognised("x", ADA, 0.5)
    assert plans.begin(9.0, lambda device: device == ADA) == []


def test_oneself_is_not_dialled_a_second_time() -> None:
    plans = plan()
    assert not plans.add(ME, [HERE], "manual", 0.0)
    plans.instance("mine", None, [HERE], 0.0)
    (dial,) = plans.begin(0.0, nobody)
    plans.wrong(dial, HERE, Outcome.SELF)
    plans.finished(dial, Outcome.SELF, 0.0)
    assert not plans.instance("mine again", None, [HERE], 1.0)
    assert plans.next_due(nobody) is None


def test_an_address_where_another_device_answers_is_forgotten_until_it_is_told_again() -> None:
    plans = plan()
    plans.add(ADA, [HERE, THERE], "manual", 0.0)
    (dial,) = plans.begin(0.0, nobody)
    plans.wrong(dial, HERE, Outcome.WRONG_DEVICE)
    plans.finished(dial, Outcome.FAILED, 0.0)
    (dial,) = plans.begin(100.0, nobody)
    assert dial.addresses == (THERE,)
    plans.finished(dial, Outcome.FAILED, 100.0)
    plans.add(ADA, [HERE], "mdns", 100.0)
    assert plans.begin(200.0, nobody)[0].addresses == (HERE, THERE)


def test_who_refuses_is_not_asked_again_soon() -> None:
    plans = plan()
    plans.add(ADA, [HERE], "mdns", 0.0)
    (dial,) = plans.begin(0.0, nobody)
    plans.finished(dial, Outcome.REFUSED, 0.0)
    assert plans.next_due(nobody) == REFUSED_SECONDS / 2


def test_a_new_network_lets_everybody_be_tried_at_once() -> None:
    plans = plan()
    plans.add(ADA, [HERE], "mdns", 0.0)
    for now in (0.0, 1.0, 3.0):
        (dial,) = plans.begin(now, nobody)
        plans.finished(dial, Outcome.FAILED, now)
    plans.retry_all(4.0)
    assert len(plans.begin(4.0, nobody)) == 1


def test_new_addresses_of_a_peer_that_failed_are_tried_at_once_and_first() -> None:
    plans = plan()
    plans.add(ADA, [HERE], "manual", 0.0)
    for now in (0.0, 1.0, 3.0):
        (dial,) = plans.begin(now, nobody)
        plans.finished(dial, Outcome.FAILED, now)
    plans.instance("x", ADA, [THERE], 3.5)
    assert plans.begin(3.5, nobody)[0].addresses == (THERE, HERE)


def test_an_instance_that_says_goodbye_is_not_dialled_any_more() -> None:
    plans = plan()
    plans.instance("x", None, [HERE], 0.0)
    plans.instance("y", None, [THERE], 0.0)
    x, y = plans.begin(0.0, nobody)
    plans.gone("x")
    plans.finished(x, Outcome.FAILED, 0.0)
    plans.finished(y, Outcome.FAILED, 0.0)
    plans.gone("y")
    assert plans.next_due(nobody) is None


def test_a_flood_of_instances_costs_a_bounded_amount_and_no_peer_that_was_met() -> None:
    plans = plan()
    plans.add(ADA, [HERE], "manual", 0.0)
    for number in range(MOST_TARGETS * 2):
        plans.instance(f"flood {number}", None, [(f"10.0.{number % 250}.{number // 250}", 1)], 0.0)
    assert len(plans._targets) == MOST_TARGETS and ADA in plans._targets
    assert len(plans.begin(1.0, nobody)) == DIALS_AT_ONCE


def test_a_flood_of_strangers_who_dial_us_takes_nobodys_place() -> None:
    plans = plan()
    plans.add(ADA, [HERE], "manual", 0.0)
    plans.instance("near", None, [THERE], 0.0)
    for number in range(MOST_TARGETS * 2):
        plans.add(DeviceId(number.to_bytes(32, "big")), [(f"10.0.0.{number % 250}", 1)], "inbound", 0.0)
    assert len(plans._targets) == MOST_TARGETS and {ADA, "near"} <= plans._targets.keys()


@pytest.mark.parametrize("code", list(CloseCode))
def test_every_way_to_be_refused_has_a_meaning(code: CloseCode) -> None:
    assert outcome_of(code) is not Outcome.CONNECTED


@dataclass
class Scripted:
    """Connections that answer as a test says, and note who was dialled."""

    devices: dict[Address, DeviceId | Exception]
    dialled: Counter[Address] = field(default_factory=Counter)
    connected: set[DeviceId] = field(default_factory=set)
    gate: Callable[[], Awaitable[object]] | None = None
    progress: asyncio.Event = field(default_factory=asyncio.Event)

    def is_connected(self, device: DeviceId) -> bool:
        return device in self.connected

    async def drop(self, device: DeviceId, reason: str) -> None:
        self.connected.discard(device)

    async def dial(self, host: str, port: int, expected: DeviceId | None) -> DeviceId:
        self.dialled[(host, port)] += 1
        if self.gate is not None:
            await self.gate()
        answer = self.devices.get((host, port), ConnectionRefusedError("connection refused"))
        self.progress.set()
        if isinstance(answer, Exception):
            raise answer
        if expected not in (None, answer):
            raise ChannelError(CloseCode.WRONG_DEVICE, "another device answers at this address")
        self.connected.add(answer)
        return answer


def dialer(connections: Scripted, known: list[DeviceId], limits: ViewLimits | None = None) -> Dialer:
    return Dialer(
        ME,
        connections,
        clock=asyncio.get_running_loop().time,
        chance=lambda: 0.0,
        known=lambda: known + sorted(connections.connected),
        limits=limits,
    )


def found(device: DeviceId, address: Address, name: str = "0123456789abcdef") -> Found:
    return Found(f"{name}.{SERVICE}", (address[0],), address[1], blinded_id(device, name))


async def run_until(what: Callable[[], bool], dialler: Dialer) -> None:
    running = asyncio.ensure_future(dialler.run())
    for _ in range(_MOST_TURNS):
        if what():
            break
        await asyncio.sleep(0)
    else:
        pytest.fail("it did not come about")
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_a_peer_found_and_remembered_is_dialled_once() -> None:
    connections = Scripted({HERE: ADA})
    dialling = dialer(connections, [ADA])
    dialling.remember(ADA, (HERE,), "manual")
    dialling.seen(found(ADA, HERE))
    dialling.seen(found(ADA, HERE, "fedcba9876543210"))
    await run_until(lambda: ADA in connections.connected, dialling)
    assert connections.dialled == {HERE: 1}
    assert dialling.found_by == {ADA: "manual"}


async def test_a_stranger_found_is_dialled_and_recognised_from_then_on() -> None:
    connections = Scripted({HERE: ADA})
    dialling = dialer(connections, [])
    dialling.seen(found(ADA, HERE))
    await run_until(lambda: ADA in connections.connected, dialling)
    dialling.seen(found(ADA, THERE))
    turns = 0

    def twenty_turns() -> bool:
        nonlocal turns
        turns += 1
        return turns > 20

    await run_until(twenty_turns, dialling)
    assert connections.dialled == {HERE: 1}


async def test_who_dialled_us_is_not_dialled_back() -> None:
    connections = Scripted({HERE: ADA}, connected={ADA})
    dialling = dialer(connections, [])
    dialling.seen(found(ADA, HERE))
    turns = iter(range(20))
    await run_until(lambda: next(turns, None) is None, dialling)
    assert not connections.dialled


async def test_oneself_found_by_mdns_is_not_dialled() -> None:
    connections = Scripted({})
    dialling = dialer(connections, [])
    dialling.seen(found(ME, HERE))
    turns = iter(range(20))
    await run_until(lambda: next(turns, None) is None, dialling)
    assert not connections.dialled


async def test_the_next_address_is_tried_and_a_fault_does_not_end_the_dialling(
    caplog: pytest.LogCaptureFixture,
) -> None:
    connections = Scripted({HERE: ValueError("a fault"), THERE: ADA})
    dialling = dialer(connections, [ADA])
    dialling.remember(ADA, (HERE, THERE), "manual")
    await run_until(lambda: ADA in connections.connected, dialling)
    assert connections.dialled == {HERE: 1, THERE: 1}


async def test_why_a_peer_cannot_be_reached_is_told() -> None:
    connections = Scripted({HERE: BRUNO})
    dialling = dialer(connections, [ADA])
    dialling.remember(ADA, (HERE,), "manual")
    await run_until(lambda: dialling.problem(ADA) is not None, dialling)
    assert dialling.problem(ADA) == "another device answers at this address"


def many(count: int) -> dict[DeviceId, Address]:
    return {
        DeviceId(number.to_bytes(32, "big")): ("192.0.2.9", 1000 + number) for number in range(10, 10 + count)
    }


async def settled(dialling: Dialer, connections: Scripted) -> None:
    """Until for twenty turns nobody more was dialled."""
    quiet, before = 0, -1

    def is_quiet() -> bool:
        nonlocal quiet, before
        for device in connections.connected:
            if device not in met:
                met.add(device)
                dialling.met(device)
        now = sum(connections.dialled.values())
        quiet, before = (quiet + 1 if now == before else 0), now
        return quiet > 20

    met: set[DeviceId] = set()
    await run_until(is_quiet, dialling)


@pytest.mark.parametrize(("count", "connected"), [(12, 12), (13, 6), (200, 6)])
async def test_a_few_are_all_dialled_and_of_many_a_bounded_number(count: int, connected: int) -> None:
    peers = many(count)
    connections = Scripted({address: device for device, address in peers.items()})
    dialling = dialer(connections, list(peers), ViewLimits(full=12, target=6, most=12))
    for device, address in peers.items():
        dialling.remember(device, (address,), "manual")
    await settled(dialling, connections)
    assert len(connections.connected) == connected
    assert sum(connections.dialled.values()) == connected


async def test_when_a_neighbour_is_lost_another_takes_its_place() -> None:
    peers = many(50)
    connections = Scripted({address: device for device, address in peers.items()})
    dialling = dialer(connections, list(peers), ViewLimits(full=12, target=6, most=12))
    for device, address in peers.items():
        dialling.remember(device, (address,), "manual")
    await settled(dialling, connections)
    for device in sorted(connections.connected)[:3]:
        connections.connected.discard(device)
        dialling.lost(device)
    await settled(dialling, connections)
    assert len(connections.connected) == 6


async def test_of_too_many_that_dialled_us_one_is_dropped_and_not_dialled_back() -> None:
    peers = many(20)
    connections = Scripted({})
    dialling = dialer(connections, list(peers), ViewLimits(full=4, target=4, most=8))
    for device in list(peers)[:9]:
        connections.connected.add(device)
        dialling.met(device)
    await run_until(lambda: len(connections.connected) == 8, dialling)
    assert not connections.dialled


def test_who_was_sent_away_since_there_were_too_many_is_not_dialled_soon() -> None:
    plans = plan()
    plans.add(ADA, [HERE], "mdns", 0.0)
    plans.lost(ADA, 10.0, refused=True)
    assert plans.begin(20.0, nobody) == []
    assert plans.begin(10.0 + REFUSED_SECONDS, nobody)


def test_a_peer_whose_connections_end_at_once_is_dialled_ever_later() -> None:
    plans = plan()
    plans.add(ADA, [HERE], "mdns", 0.0)
    now, dials = 0.0, 0
    while now < 3600:
        for dial in plans.begin(now, nobody):
            dials += 1
            plans.finished(dial, Outcome.CONNECTED, now, device=ADA)
            plans.lost(ADA, now + 0.1)
        due = plans.next_due(nobody)
        assert due is not None
        now = max(due, now + 0.2)
    assert dials < 40
    [dial] = plans.begin(now, nobody)
    plans.finished(dial, Outcome.CONNECTED, now, device=ADA)
    plans.lost(ADA, now + SHORT_SECONDS)
    due = plans.next_due(nobody)
    assert due is not None
    assert due <= now + SHORT_SECONDS + FIRST_SECONDS


def test_who_is_sent_away_for_good_reason_is_not_dialled_soon() -> None:
    assert is_refusal(CloseCode.BLOCKED)
    assert is_refusal(CloseCode.OVER_BUDGET)
    assert not is_refusal(CloseCode.GOING_AWAY)
