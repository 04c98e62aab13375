"""What happens in a run, decided beforehand by the seed: who writes what when, who restarts, who comes later.

The plan knows nothing of the machines, and the oracle knows nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from random import Random

from tests.sim.people import Ties, make_ties
from tests.sim.settings import MINUTE_MS, Settings

WALL_START_MS = 1_790_001_600_000 + 40 * 60_000
"""When runs begin: 2026-09-21 15:20 UTC and 40 minutes of an hour, so that nodes whose clocks differ by
minutes disagree for a while on which hour is the next."""
_HISTORY_MS = 120 * 24 * 3_600_000
"""What was written before the run lies up to four months back: in five periods."""
EXPIRY_MS = 12 * 60_000
"""A short-lived record lives this long by its writer's clock."""
PROLIFIC = 6
"""Those who write more than a quota holds write so many times as much as others."""
_LAST_EXPIRY = 0.2
"""Short-lived records are written in the first part of the live minutes."""


class Kind(StrEnum):
    NOTE = "note"
    ALIKE = "alike"
    """A note of exactly the size of its author's others, for authors who write more than a quota holds."""
    SHORT_LIVED = "short-lived"
    VERSION = "version"
    RETRACTION = "retraction"


@dataclass(frozen=True, slots=True)
class Act:
    """A node writes something at a virtual time (ms). `target`: which of its own notes, counted in the order
    of writing, is replaced or retracted."""

    when: float
    node: int
    kind: Kind
    target: int = 0


@dataclass(frozen=True, slots=True)
class Restart:
    """A node's process ends at `when` and begins again `away` later (both ms); its store is kept."""

    when: float
    node: int
    away: float


@dataclass(slots=True)
class Plan:
    """`history`: by node, the times (ms before the start) of the notes it has at the beginning, oldest first.
    `begins`: when a node's process first begins, ms; `acquainted`: who then has the standing records of all
    within their horizon, `in_step` what else was written before the run too. `clocks`: by node, how far
    ahead its clock is, ms."""

    ties: Ties
    history: Sequence[Sequence[int]]
    prolific: frozenset[int]
    acts: list[Act]
    restarts: list[Restart]
    begins: Sequence[float]
    acquainted: frozenset[int]
    in_step: frozenset[int]
    clocks: Sequence[int]
    sides: list[dict[int, int]] = field(default_factory=list)


def make_plan(settings: Settings, random: Random) -> Plan:
    ties = make_ties(settings, random)
    count = settings.nodes
    ordinary = [node for node in range(count) if node not in ties.hubs]
    prolific = frozenset(random.sample(ordinary, round(settings.prolific * count)))
    newcomers = frozenset(random.sample(ordinary, round(settings.newcomers * count)))
    acquainted = frozenset(random.sample(range(count), round(settings.acquainted * count))) - newcomers
    in_step = frozenset(random.sample(sorted(acquainted), round(settings.in_step * len(acquainted))))
    live_ms = settings.minutes * MINUTE_MS
    begins = [
        random.uniform(0.4, 0.7) * live_ms if node in newcomers else random.uniform(0, MINUTE_MS)
        for node in range(count)
    ]
    history: list[list[int]] = []
    for node in range(count):
        written = settings.before * (PROLIFIC if node in prolific else 1)
        history.append(sorted((random.randrange(1, _HISTORY_MS) for _ in range(written)), reverse=True))
    limit = round(settings.clock_minutes * MINUTE_MS)
    acts: list[Act] = []
    for node in range(count):
        acts += _acts(settings, random, node, begins[node], node in prolific, node in ties.hubs)
    acts.sort(key=lambda act: (act.when, act.node))
    restarts = [
        Restart(
            random.uniform(MINUTE_MS, live_ms),
            node,
            random.expovariate(1 / (settings.down_minutes * MINUTE_MS)),
        )
        for node in random.choices(range(count), k=round(settings.churn * count))
        if node not in newcomers
    ]
    return Plan(
        ties=ties,
        history=history,
        prolific=prolific,
        acts=acts,
        restarts=sorted(restarts, key=lambda restart: (restart.when, restart.node)),
        begins=begins,
        acquainted=acquainted,
        in_step=in_step,
        clocks=[random.randint(-limit, limit) for _ in range(count)],
        sides=[_sides(count, partition.parts, random) for partition in settings.partitions],
    )


def _acts(
    settings: Settings, random: Random, node: int, begins: float, prolific: bool, hub: bool
) -> list[Act]:
    """What one node writes while the run lasts."""
    wanted = settings.hub_live if hub else settings.live * (PROLIFIC if prolific else 1)
    count = int(wanted) + (random.random() < wanted % 1)
    live_ms = settings.minutes * MINUTE_MS
    times = sorted(random.uniform(begins, live_ms) for _ in range(count))
    if prolific:
        return [Act(when, node, Kind.ALIKE) for when in times]
    acts = []
    notes = settings.before
    gone: set[int] = set()
    for when in times:
        chance, kind, target = random.random(), Kind.NOTE, random.randrange(max(1, notes))
        early = when < _LAST_EXPIRY * live_ms + begins
        if notes and target not in gone and chance < settings.retracted:
            kind = Kind.RETRACTION
            gone.add(target)
        elif notes and target not in gone and chance < settings.retracted + settings.versions:
            kind = Kind.VERSION
        elif early and chance < settings.retracted + settings.versions + settings.expiring:
            kind = Kind.SHORT_LIVED
        # Short-lived ones are nobody's target: they may be gone by then.
        notes += kind is Kind.NOTE
        acts.append(Act(when, node, kind, target))
    return acts


def _sides(count: int, parts: int, random: Random) -> dict[int, int]:
    """Which part each node is in: arcs of the ring, as networks that are cut apart are near each other, and
    one node in ten anywhere."""
    offset = random.randrange(count)
    return {
        node: random.randrange(parts) if random.random() < 0.1 else (node + offset) % count * parts // count
        for node in range(count)
    }
