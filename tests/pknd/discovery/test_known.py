"""How many devices are remembered that were met."""

from __future__ import annotations

from pkn_protocol.records.ids import AuthorId, DeviceId
from pknd.discovery.known import KnownDevices


def device(number: int) -> DeviceId:
    return DeviceId(number.to_bytes(32))


def author(number: int) -> AuthorId:
    return AuthorId(number.to_bytes(32))


def test_strangers_push_out_strangers_and_nobody_near() -> None:
    known = KnownDevices(10, lambda _, whose: whose == author(0))
    known.met(device(0), author(0))
    for number in range(1, 1000):
        known.met(device(number), author(number))
        known.met(device(500), author(500))  # comes again and again
    assert len(known) == 10
    assert known.author(device(0)) == author(0)
    assert set(known) == {device(0), device(500), *map(device, range(992, 1000))}


def test_a_number_of_the_near_is_bounded_as_well() -> None:
    known = KnownDevices(10, lambda _, __: True)
    for number in range(100):
        known.met(device(number), author(number))
    assert list(known) == list(map(device, range(90, 100)))
