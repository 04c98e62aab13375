"""The parts that need no connection: buckets, budgets, the bounded queue, certificates."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pkn_protocol.records.ids import DeviceId
from pknd.channel.budgets import ArrivalBudgets, Bucket, Meter, network_of
from pknd.channel.limits import Limits
from pknd.channel.mailbox import Mailbox
from pknd.channel.tls import certificate_key, make_certificate, server_context
from tests.pknd.channel.party import Randomness, key_of


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.77", "192.0.2.0/24"),
        ("::ffff:192.0.2.1", "192.0.2.0/24"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("unknown", "unknown"),
    ],
)
def test_addresses_are_counted_by_network(address: str, network: str) -> None:
    assert network_of(address) == network


def test_a_flood_from_one_network_leaves_places_for_others() -> None:
    budgets = ArrivalBudgets(Limits())
    let_in = sum(budgets.enter(f"192.0.2.{n % 250}", 0.0) is None for n in range(1000))
    assert let_in == Limits().unfinished_per_network
    assert budgets.enter("198.51.100.1", 0.0) is None
    for _ in range(let_in):
        budgets.leave("192.0.2.1")
    assert budgets.enter("192.0.2.1", 0.0) is None


def test_connections_a_minute_are_bounded_and_come_back_with_time() -> None:
    budgets = ArrivalBudgets(replace(Limits(), new_per_minute=60))

    def comes_and_goes(now: float) -> bool:
        reason = budgets.enter("192.0.2.1", now)
        if reason is None:
            budgets.leave("192.0.2.1")
        return reason is None

    assert sum(comes_and_goes(0.0) for _ in range(100)) == 30
    assert not comes_and_goes(0.5)
    assert sum(comes_and_goes(10.0) for _ in range(100)) == 10


def test_a_flood_of_networks_is_forgotten_again() -> None:
    budgets = ArrivalBudgets(Limits())
    for number in range(10_000):
        address = f"10.{number // 250}.{number % 250}.1"
        assert budgets.enter(address, 0.0) is None
        budgets.leave(address)
    assert len(budgets._networks) <= 4096


@given(st.lists(st.tuples(st.floats(0, 10), st.integers(0, 500)), max_size=40))
def test_no_more_than_the_burst_and_the_rate_is_let_through(steps: list[tuple[float, int]]) -> None:
    bucket, now, taken = Bucket(1000, 100, 0.0), 0.0, 0
    for pause, cost in steps:
        now += pause
        if bucket.allows(cost, now):
            taken += cost
        assert taken <= 1000 + 100 * now + 1e-6


def test_what_is_over_budget_is_waited_for_at_the_rate() -> None:
    limits = replace(Limits(), peer_burst=1000, peer_rate=100, frame_cost=0)
    meter = Meter(limits, 0.0)
    assert meter.charge(1000, 0.0) == 0
    assert meter.charge(50, 0.0) == pytest.approx(0.5)
    assert meter.charge(50, 1.0) == 0


def test_strangers_share_one_budget() -> None:
    limits = replace(Limits(), frame_cost=0)
    shared = Bucket(100, 10, 0.0)
    one, other = Meter(limits, 0.0, shared), Meter(limits, 0.0, shared)
    assert one.charge(100, 0.0) == 0
    assert other.charge(10, 0.0) == pytest.approx(1.0)


async def test_a_full_mailbox_makes_the_sender_wait_and_an_ended_one_tells_why() -> None:
    box: Mailbox[int] = Mailbox(10, most_bytes=100)
    await box.put(1, 500)
    waiting = asyncio.ensure_future(box.put(2, 1))
    await asyncio.sleep(0)
    assert not waiting.done()
    assert box.put_first(0, 1)
    assert [await box.get(), await box.get(), await box.get()] == [0, 1, 2]
    reading = asyncio.ensure_future(box.get())
    await asyncio.sleep(0)
    box.end(KeyError("over"))
    with pytest.raises(KeyError):
        await reading
    with pytest.raises(KeyError):
        await box.put(3)


def test_a_certificate_carries_the_device_key_and_nothing_of_the_person() -> None:
    key = key_of("ada device")
    certificate = make_certificate(key)
    der = ssl.PEM_cert_to_DER_cert(certificate.pem.decode())
    assert certificate_key(der) == DeviceId(key.public)
    assert make_certificate(key).digest == certificate.digest


def test_foreign_certificates_give_no_key() -> None:
    for der in (b"", b"\x30\x03\x02\x01\x01", bytes(1000)):
        assert certificate_key(der) is None


def test_the_key_is_on_disk_for_a_moment_only_and_never_readable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[int, bytes]] = []
    load = ssl.SSLContext.load_cert_chain

    def noting(self: ssl.SSLContext, certfile: str, **kwargs: bytes) -> None:
        path = Path(certfile)
        seen.append((path.stat().st_mode & 0o777, path.read_bytes()))
        load(self, certfile, **kwargs)

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(ssl.SSLContext, "load_cert_chain", noting)
    server_context(make_certificate(key_of("ada")), random_bytes=Randomness("ada"))
    assert seen[0][0] == 0o600
    assert b"ENCRYPTED PRIVATE KEY" in seen[0][1]
    assert list(tmp_path.iterdir()) == []
