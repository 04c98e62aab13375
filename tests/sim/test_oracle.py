"""The oracle against the machines' own functions, and against errors that are planted."""

from __future__ import annotations

from random import Random

import pytest

from pkn_protocol.records.ids import AuthorId
from pkn_protocol.trust.graph import distances
from pkn_protocol.trust.quotas import author_quotas
from tests.sim.measure import Journey
from tests.sim.oracle import horizon, quotas
from tests.sim.people import Ties, make_ties
from tests.sim.settings import Settings
from tests.sim.simulation import Simulation

SMALL = Settings(nodes=24, seed=3, minutes=3.0, loss=0.05, churn=0.2, newcomers=0.05)
DISK = 10_000_000


def key(node: int) -> AuthorId:
    return AuthorId(node.to_bytes(32, "big"))


@pytest.mark.parametrize("seed", range(6))
def test_two_ways_to_say_who_is_within_a_horizon_and_what_may_be_held_agree(seed: int) -> None:
    random = Random(seed)
    settings = Settings(nodes=40, friends=random.choice([2, 4, 6]), vouches=3, strangers=0.3)
    ties: Ties = make_ties(settings, random)
    vouches = {key(node): [key(other) for other in to] for node, to in enumerate(ties.vouches)}
    for node in range(settings.nodes):
        trusted = [key(other) for other in ties.trusted[node]]
        blocked = [key(other) for other in ties.blocked[node]]
        near = distances(key(node), trusted, blocked, vouches)
        assert {key(other): far for other, far in horizon(ties, node).items()} == near, (seed, node)
        allowed = author_quotas(key(node), trusted, blocked, vouches, max_disk=DISK)
        plain = quotas(ties, node, DISK)
        assert {key(other) for other in plain} == allowed.keys(), (seed, node)
        # Sums in another order may differ in the last bit, so a quota by a byte.
        assert all(abs(plain[int.from_bytes(a, "big")] - q.bytes) <= 1 for a, q in allowed.items()), (
            seed,
            node,
        )


def test_a_record_too_few_and_a_record_too_many_are_found() -> None:
    simulation = Simulation(SMALL)
    assert simulation.run()["right"], f"seed {SMALL.seed}"
    oracle = simulation.oracle()
    node = simulation.nodes[0]
    assert simulation.judge(oracle, node).right
    other = next(n for n in horizon(simulation.plan.ties, 0) if n != 0)
    gone = next(r for r in node.store.authors[simulation.authors[other].author].records.values() if r.is_item)
    del node.store.authors[gone.author].records[gone.id]
    assert simulation.judge(oracle, node).missing == {other: {gone.id}}
    node.store.authors[gone.author].records[gone.id] = gone
    far = next(
        n for n in range(SMALL.nodes) if n not in horizon(simulation.plan.ties, 0) and n not in node.met
    )
    stranger = simulation.writers[far].written[0]
    node.store.ingest(stranger, node.now())
    assert simulation.judge(oracle, node).extra == {far: {stranger.id}}


def test_who_was_away_when_a_record_came_is_not_counted_and_the_last_percent_is() -> None:
    record = Simulation(Settings(nodes=8, hubs=1)).writers[0].written[0]
    journey = Journey(record, 0, 100.0, set(range(1, 201)))
    for node in range(1, 200):
        journey.arrived[node] = (100.0 + node, 1 + node // 100)
    assert (journey.time_to_reach(), journey.hops_to_reach()) == (198.0, 2.0)
    assert journey.time_to_reach(1.0) == float("inf")
    journey.without_stopped({200: [150.0], 3: [99.0, 104.0]})
    assert 200 not in journey.wanted_by
    assert 3 in journey.wanted_by
    assert journey.time_to_reach(1.0) == 199.0
    assert journey.is_disturbed_by([250.0])
    assert not journey.is_disturbed_by([99.0, 300.0])
