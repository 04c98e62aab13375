"""A run as JSON: what is right, how fast records spread, what it cost. Units are in the names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import isfinite
from typing import TYPE_CHECKING, Any

from pkn_protocol.records.ids import cid_text
from tests.sim.measure import Spread, receptions, rounds_limit, spread
from tests.sim.oracle import Verdict
from tests.sim.settings import MINUTE_MS
from tests.sim.traffic import traffic

if TYPE_CHECKING:
    from tests.sim.simulation import Simulation

_MOST_SHOWN = 5
MOST_BYTES = 1.3
MOST_RECEPTIONS = 1.2


def report(world: Simulation, wrong: Sequence[Verdict]) -> dict[str, Any]:
    meter, network, nodes = world.meter, world.network, world.settings.nodes
    starts = [partition.start * MINUTE_MS for partition in world.settings.partitions]
    quiet = [journey for journey in meter.settled() if not journey.is_disturbed_by(starts)]
    hubs = world.plan.ties.hubs
    delay = network.mean_delay()
    total = sum(meter.bytes.values())
    return {
        "right": not wrong,
        "wrong_nodes": len(wrong),
        "wrong": [_shown(world, verdict) for verdict in wrong[:_MOST_SHOWN]],
        "virtual_minutes": round(world.events.now / MINUTE_MS, 1),
        "records": {
            "written": len(world.library.by_id),
            "during_the_run": len(meter.journeys),
            "mean_bytes": round(sum(map(len, world.library.records)) / len(world.library.records)),
            "held_mean": round(
                sum(len(ids) for node in world.nodes for ids in node.store.ids().values()) / nodes, 1
            ),
            "signatures_checked_mean": round(sum(node.store.checked for node in world.nodes) / nodes, 1),
        },
        "rounds": {
            "round_ms": round(delay, 1),
            "without_losses_ms": round(network.undisturbed_delay(), 1),
            "limit": round(rounds_limit(nodes), 2),
            "wanted_by_all": _spread(spread([j for j in quiet if j.origin in hubs], delay)),
            "wanted_by_some": _spread(spread([j for j in quiet if j.origin not in hubs], delay)),
        },
        "bytes": {
            "sent_mean": round(total / nodes),
            "sent_most": max(meter.sent),
            "new_records_mean": round(meter.new_bytes / nodes),
            "ratio": round(total / max(1, meter.new_bytes), 4),
            "parts_of_ratio": {
                name: round(size / max(1, meter.new_bytes), 4) for name, size in meter.bytes.most_common()
            },
        },
        "traffic": traffic(meter),
        "receptions": {
            "first": {way: round(count / max(1, meter.new), 4) for way, count in meter.first.items()},
            "again": {way: round(count / max(1, meter.new), 4) for way, count in meter.again.items()},
            "all": round(meter.full / max(1, meter.new), 4),
            "written_during_the_run": round(receptions(meter.journeys.values()), 4),
            "written_after_two_minutes": round(
                receptions(j for j in meter.journeys.values() if j.written >= 2 * MINUTE_MS), 4
            ),
        },
        "network": {
            "messages": dict(meter.messages.most_common()),
            "connections": meter.connections,
            "at_the_end_mean": round(sum(len(node.links) for node in world.nodes) / nodes, 2),
            "attempts_lost": network.lost,
            "connections_broken": network.broken,
            "restarts": sum(map(len, meter.stops.values())),
            "closed_by_machines": dict(meter.closed.most_common()),
        },
    }


@dataclass(frozen=True, slots=True)
class Figure:
    """One that has a limit. `value` None: there was nothing to measure, or it never came to an end."""

    name: str
    value: float | None
    limit: float

    @property
    def met(self) -> bool | None:
        return None if self.value is None else self.value <= self.limit


def figures(found: Mapping[str, Any]) -> list[Figure]:
    """What a report says of the figures that broadcast is to keep to."""
    rounds = found["rounds"]
    wide = rounds["wanted_by_all"] or {}
    return [
        Figure("rounds to reach 99 %, median", wide.get("rounds_median"), rounds["limit"]),
        Figure("bytes sent for one of new records", found["bytes"]["ratio"], MOST_BYTES),
        Figure("receptions of a record in full, mean", found["receptions"]["all"], MOST_RECEPTIONS),
        Figure(
            "the same of those written during the run",
            found["receptions"]["written_during_the_run"],
            MOST_RECEPTIONS,
        ),
    ]


def _spread(found: Spread | None) -> dict[str, Any] | None:
    """Infinite values, which JSON has not, become null: a record that never came far enough."""
    if found is None:
        return None
    return {name: round(value, 2) if isfinite(value) else None for name, value in asdict(found).items()}


def _shown(world: Simulation, verdict: Verdict) -> dict[str, Any]:
    """A few of the ids that are wrong at a node, by author's node, with their kinds."""

    def few(ids: dict[int, frozenset[Any]]) -> dict[str, Any]:
        return {
            str(author): {
                "count": len(found),
                "some": [f"{world.library.by_id[cid].kind} {cid_text(cid)}" for cid in sorted(found)[:2]],
            }
            for author, found in list(ids.items())[:_MOST_SHOWN]
        }

    return {"node": verdict.node, "missing": few(verdict.missing), "extra": few(verdict.extra)}
