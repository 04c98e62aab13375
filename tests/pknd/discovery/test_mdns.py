"""Real mDNS on loopback, within one process and between two; others may announce themselves there too."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from zeroconf.asyncio import AsyncServiceInfo

from pkn_protocol.control.people import Announcement
from pkn_protocol.records.ids import DeviceId
from pknd.discovery.mdns import SERVICE, Found, LocalDiscovery, blinded_id, read_announcement

LOOPBACK = "127.0.0.1"
PATIENCE_SECONDS = 20.0
ANNOUNCER = Path(__file__).with_name("announcer.py")


class Seen:
    """What a discovery told; waits for what a test expects among it."""

    def __init__(self) -> None:
        self.found: list[Found] = []
        self.gone: list[str] = []
        self._changed = asyncio.Event()
        self.device = DeviceId(os.urandom(32))
        self.discovery = LocalDiscovery(
            self.device, random_bytes=os.urandom, found=self._on_found, gone=self._on_gone
        )

    def of(self, device: DeviceId) -> list[Found]:
        return [f for f in self.found if blinded_id(device, f.instance.partition(".")[0]) == f.blinded]

    async def until(self, what: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not what():
                self._changed.clear()
                await self._changed.wait()

    def _on_found(self, found: Found) -> None:
        self.found.append(found)
        self._changed.set()

    def _on_gone(self, instance: str) -> None:
        self.gone.append(instance)
        self._changed.set()


@pytest.fixture
async def make() -> AsyncIterator[Callable[[], Seen]]:
    made: list[Seen] = []

    def new() -> Seen:
        made.append(Seen())
        return made[-1]

    yield new
    for seen in made:
        await seen.discovery.stop()


async def test_two_find_each_other_on_loopback_and_not_themselves(make: Callable[[], Seen]) -> None:
    ada, bruno = make(), make()
    await ada.discovery.start(LOOPBACK, 1234)
    await bruno.discovery.start(LOOPBACK, 4321)
    await ada.until(lambda: bool(ada.of(bruno.device)))
    await bruno.until(lambda: bool(bruno.of(ada.device)))
    (found,) = ada.of(bruno.device)
    assert (found.addresses, found.port) == ((LOOPBACK,), 4321)
    assert not ada.of(ada.device) and not bruno.of(bruno.device)
    assert ada.discovery.announcement is Announcement.SEEN


async def test_a_goodbye_is_told_and_a_new_start_has_a_new_name(make: Callable[[], Seen]) -> None:
    ada, bruno = make(), make()
    await ada.discovery.start(LOOPBACK, 1234)
    await bruno.discovery.start(LOOPBACK, 4321)
    await ada.until(lambda: bool(ada.of(bruno.device)))
    first = ada.of(bruno.device)[0].instance
    await bruno.discovery.restart(LOOPBACK, 4322)
    await ada.until(lambda: first in ada.gone)
    await ada.until(lambda: len(ada.of(bruno.device)) == 2)
    second = ada.of(bruno.device)[1]
    assert second.instance != first and second.port == 4322


async def test_processes_of_one_machine_find_each_other(make: Callable[[], Seen]) -> None:
    ada, other = make(), DeviceId(os.urandom(32))
    await ada.discovery.start(LOOPBACK, 1234)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(ANNOUNCER), other.hex(), "5678"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None and process.stdout is not None
    try:
        await ada.until(lambda: bool(ada.of(other)))
        assert ada.of(other)[0].port == 5678
        mine = blinded_id(ada.device, ada.discovery.instance).hex()
        async with asyncio.timeout(PATIENCE_SECONDS):
            while (line := await process.stdout.readline()) != f"found {mine}\n".encode():
                assert line
        process.stdin.close()
        await ada.until(lambda: ada.of(other)[0].instance in ada.gone)
    finally:
        process.stdin.close()
        await process.communicate()


async def test_an_announcement_that_does_not_come_back_is_told(
    make: Callable[[], Seen], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("zeroconf.Zeroconf.async_send", lambda *args, **kwargs: None)
    monkeypatch.setattr("pknd.discovery.mdns.OWN_SECONDS", 0.0)
    ada = make()
    await ada.discovery.start(LOOPBACK, 1234)
    announcements = [ada.discovery.announcement]
    await ada.discovery.stop()
    announcements.append(ada.discovery.announcement)
    assert announcements == [Announcement.NOT_SEEN, Announcement.OFF]


async def test_an_address_that_is_not_ours_is_no_reason_to_fail(make: Callable[[], Seen]) -> None:
    ada = make()
    await ada.discovery.start("192.0.2.200", 1234)
    assert ada.discovery.announcement is Announcement.NOT_SEEN


def announced(
    *,
    properties: dict[str | bytes, str | bytes | None] | None = None,
    addresses: list[str] | None = None,
    port: int | None = 7867,
) -> AsyncServiceInfo:
    return AsyncServiceInfo(
        SERVICE,
        f"x.{SERVICE}",
        port=port,
        parsed_addresses=addresses if addresses is not None else ["192.0.2.1"],
        properties=properties if properties is not None else {"v": "1", "id": "00" * 8},
    )


def read(info: AsyncServiceInfo, *, loopback: bool = False) -> Found | None:
    return read_announcement(f"x.{SERVICE}", info, loopback=loopback)


def test_a_well_formed_announcement_is_understood() -> None:
    assert read(announced()) == Found(f"x.{SERVICE}", ("192.0.2.1",), 7867, bytes(8))


@pytest.mark.parametrize(
    "info",
    [
        announced(properties={}),
        announced(properties={"v": "2", "id": "00" * 8}),
        announced(properties={"v": "1"}),
        announced(properties={"v": "1", "id": None}),
        announced(properties={"v": "1", "id": "00" * 7}),
        announced(properties={"v": "1", "id": "zz" * 8}),
        announced(properties={"v": "1", "id": " 0" * 8}),
        announced(properties={"v": "1", "id": b"\xff" * 16}),
        announced(port=0),
        announced(port=None),
        announced(addresses=[]),
        announced(addresses=["127.0.0.1", "224.0.0.1", "0.0.0.0", "::1", "ff02::1"]),
    ],
)
def test_malformed_announcements_are_passed_over(info: AsyncServiceInfo) -> None:
    assert read(info) is None


def test_addresses_are_bounded_and_those_of_this_machine_left_out() -> None:
    many = [f"192.0.2.{n}" for n in range(1, 50)]
    found = read(announced(addresses=["127.0.0.1", *many]))
    assert found is not None and len(found.addresses) == 8 and "127.0.0.1" not in found.addresses
    assert read(announced(addresses=["127.0.0.1"]), loopback=True) is not None


@given(st.dictionaries(st.sampled_from([b"v", b"id", b"x"]), st.binary(max_size=40) | st.none()))
def test_no_text_record_does_any_harm(properties: dict[str | bytes, str | bytes | None]) -> None:
    found = read(announced(properties=properties))
    assert found is None or len(found.blinded) == 8


def test_a_blinded_id_says_nothing_without_the_device_and_changes_with_the_name() -> None:
    device, other = DeviceId(bytes(32)), DeviceId(b"\1" * 32)
    ids = {blinded_id(d, name) for d in (device, other) for name in ("a", "b")}
    assert len(ids) == 4 and all(len(one) == 8 for one in ids)
    # The example of docs/spec/discovery.md.
    assert blinded_id(device, "0123456789abcdef").hex() == "b4859fee6a24b188"


async def test_an_announcement_that_is_cut_short_says_so_and_raises_nothing(
    make: Callable[[], Seen],
) -> None:
    """As when the network changes again before the first announcement is out."""
    seen = make()
    starting = asyncio.create_task(seen.discovery.start(LOOPBACK, 1))
    await asyncio.sleep(0)
    await seen.discovery.stop()
    async with asyncio.timeout(PATIENCE_SECONDS):
        await starting
