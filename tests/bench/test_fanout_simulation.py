"""The smaller form of `bench.fanout_simulation`: a thousand peers, a part of a collection, both cases."""

from __future__ import annotations

from statistics import mean

import pytest

from bench.documents import collection
from bench.fanout_simulation import CASES, Case, measure, quality
from bench.fanout_world import World
from bench.people_quality import judged_part
from bench.relevance import central_scores


@pytest.mark.needs("shared:data/cran")
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_thousand_peers_answer_as_one_index_though_some_are_away_and_some_lie(case: Case) -> None:
    held = judged_part(collection("cran"), documents=700, queries=60)
    world = World(held, case.held, case.links)
    found = measure(world)
    assert mean(quality(world, found).values()) >= case.least * mean(central_scores(held))
    outcomes = [one for several in found.values() for one in several]
    assert mean(one.asked + one.behind for one in outcomes) <= case.most_asked
