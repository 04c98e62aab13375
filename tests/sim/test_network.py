"""The simulated network does what its description says."""

from __future__ import annotations

from random import Random
from statistics import mean

import pytest

from tests.sim.events import Events
from tests.sim.network import LEAST_TIMEOUT_MS, SILENCE_MS, Connection, LinkModel, Network


class End:
    """Keeps what arrives, with the time."""

    def __init__(self, events: Events) -> None:
        self.events = events
        self.got: list[tuple[float, object]] = []
        self.broken_at: float | None = None

    def arrived(self, message: object) -> None:
        self.got.append((self.events.now, message))

    def broken(self) -> None:
        self.broken_at = self.events.now

    def is_broken(self) -> bool:
        return self.broken_at is not None


def pair(model: LinkModel, seed: int = 1) -> tuple[Network, Connection, End, End]:
    events = Events()
    network = Network(events, Random(seed), model)
    connection = network.connect(0, 1)
    assert connection is not None
    ends = End(events), End(events)
    connection.ends[:] = ends
    return network, connection, *ends


@pytest.mark.parametrize("seed", range(4))
def test_a_connection_keeps_the_order_and_what_is_lost_comes_late(seed: int) -> None:
    network, connection, _, far = pair(LinkModel(loss=0.3), seed)
    for number in range(300):
        network.events.at(float(number), connection.send, 0, number, 100)
    network.events.run_until(100_000)
    got = [message for _, message in far.got]
    assert got == list(range(len(got))), f"seed {seed}"
    assert len(got) == 300 or network.broken == 1
    assert network.lost > 0
    assert max(when - float(n) for n, (when, _) in enumerate(far.got)) >= LEAST_TIMEOUT_MS


def test_delays_have_the_mean_that_was_asked_for() -> None:
    network = Network(Events(), Random(5), LinkModel(delay_ms=40.0, spread=0.5))
    delays = [c.delay for n in range(4000) if (c := network.connect(n, n + 1)) is not None]
    assert mean(delays) == pytest.approx(40.0, rel=0.05)


def test_a_bandwidth_makes_large_messages_slow() -> None:
    network, connection, near, _ = pair(LinkModel(jitter=0.0, bandwidth=100.0))
    connection.send(1, "large", 50_000)
    connection.send(1, "small", 100)
    network.events.run_until(10_000)
    assert [when for when, _ in near.got] == pytest.approx([500 + connection.delay, 501 + connection.delay])


def test_a_partition_silences_what_lies_across_and_nothing_is_said_of_it_for_a_while() -> None:
    network, connection, near, far = pair(LinkModel())
    network.events.at(1000.0, network.partition, {0: 0, 1: 1})
    network.events.at(1001.0, connection.send, 0, "lost", 10)
    network.events.at(999.9, connection.send, 0, "under way", 10)
    network.events.run_until(1000.0 + SILENCE_MS[0] - 1)
    assert far.got == []
    assert not near.is_broken()
    assert network.connect(0, 1) is None
    assert network.connect(0, 2) is not None
    network.events.run_until(1000.0 + SILENCE_MS[1] + 1000)
    assert near.is_broken()
    assert far.is_broken()
    network.heal()
    assert network.connect(0, 1) is not None


def test_who_stops_is_noticed_and_gets_nothing_more() -> None:
    network, connection, near, far = pair(LinkModel())
    connection.send(1, "under way", 10)
    network.stop(0)
    network.events.run_until(1000.0)
    assert near.got == []
    assert near.broken_at is None
    assert far.broken_at == pytest.approx(connection.delay)
