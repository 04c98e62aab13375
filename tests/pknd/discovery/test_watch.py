"""Noticing sleep and new addresses, with clocks and addresses that the test sets."""

from __future__ import annotations

import asyncio

import pytest

from pknd.discovery.watch import ADDRESSES, POLL_SECONDS, SLEPT, Changes, Watch

ONE, OTHER = ["192.0.2.1"], ["192.0.2.1", "198.51.100.7"]


@pytest.mark.parametrize(
    ("addresses", "wall", "monotonic", "expected"),
    [
        (ONE, 5.0, 5.0, None),
        (ONE, 9.0, 9.0, None),
        (OTHER, 5.0, 5.0, ADDRESSES),
        ([], 5.0, 5.0, ADDRESSES),
        (ONE, 3605.0, 5.0, SLEPT),
        (ONE, 3605.0, 3605.0, SLEPT),
        (ONE, -3600.0, 5.0, SLEPT),
        (OTHER, 3605.0, 5.0, ADDRESSES),
    ],
    ids=["nothing", "a busy machine", "more", "none", "asleep", "clock ran on", "clock set", "moved asleep"],
)
def test_changes(addresses: list[str], wall: float, monotonic: float, expected: str | None) -> None:
    changes = Changes(ONE, wall=0.0, monotonic=0.0)
    assert changes.look(addresses, wall=wall, monotonic=monotonic, expected_seconds=5.0) == expected
    again = changes.look(addresses, wall=wall + 5, monotonic=monotonic + 5, expected_seconds=5.0)
    assert again is None


def test_a_change_is_noticed_in_time_to_act_within_15_seconds() -> None:
    assert POLL_SECONDS <= 10


async def test_a_change_is_told_once_and_an_unreadable_list_is_no_change() -> None:
    told: asyncio.Queue[str] = asyncio.Queue()
    looks: list[list[str] | None] = [ONE, ONE, None, ONE, OTHER, OTHER, OTHER]
    loop, looked = asyncio.get_running_loop(), asyncio.Event()

    def addresses() -> list[str]:
        seen = looks.pop(0) if len(looks) > 1 else looks[0]
        if len(looks) == 1:
            loop.call_soon_threadsafe(looked.set)
        if seen is None:
            raise OSError("the network is being set up")
        return list(seen)

    watch = Watch(
        wall=lambda: 0.0, monotonic=lambda: 0.0, addresses=addresses, changed=told.put, poll_seconds=0.001
    )
    running = asyncio.ensure_future(watch.run())
    async with asyncio.timeout(5):
        assert await told.get() == ADDRESSES
        await looked.wait()
    running.cancel()
    assert told.empty()
