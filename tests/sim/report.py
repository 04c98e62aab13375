"""A run as JSON: what is right, how fast records spread, what it cost. Units are in the names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from math import isfinite
from typing import TYPE_CHECKING, Any

from pkn_protocol.records.ids import cid_text
from tests.sim.measure import Spread, rounds_limit, spread
from tests.sim.oracle import Verdict
from tests.sim.settings import MINUTE_MS

if TYPE_CHECKING:
    from tests.sim.simulation import Simulation

_MOST_SHOWN = 5


def report(world: Simulation, wrong: Sequence[Verdict]) -> dict[str, Any]:
    meter, network, nodes = world.meter, world.network, world.settings.nodes
    starts = [partition.start * MINUTE_MS for partition in world.settings.partitions]
    quiet = [journey for journey in meter.settled() if not journey.is_disturbed_by(starts)]
    hubs = world.plan.ties.hubs
    delay = network.undisturbed_delay()
    total = sum(meter.bytes.values())
    return {
        "right": not wrong,
        "wrong_nodes": len(wrong),
        "wrong": [_shown(world, verdict) for verdict in wrong[:_MOST_SHOWN]],
        "virtual_minutes": round(world.events.now / MINUTE_MS, 1),
        "records": {
            "written": len(world.by_id),
            "during_the_run": len(meter.journeys),
            "mean_bytes": round(sum(map(len, world.records)) / len(world.records)),
            "held_mean": round(
                sum(len(ids) for node in world.nodes for ids in node.store.ids().values()) / nodes, 1
            ),
            "signatures_checked_mean": round(sum(node.store.checked for node in world.nodes) / nodes, 1),
        },
        "rounds": {
            "round_ms": round(delay, 1),
            "mean_delay_with_losses_ms": round(network.mean_delay(), 1),
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
        "receptions": {
            "all": round(meter.full / max(1, meter.new), 4),
            "written_during_the_run": round(meter.live_full / max(1, meter.live_new), 4),
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
                "some": [f"{world.by_id[cid].kind} {cid_text(cid)}" for cid in sorted(found)[:2]],
            }
            for author, found in list(ids.items())[:_MOST_SHOWN]
        }

    return {"node": verdict.node, "missing": few(verdict.missing), "extra": few(verdict.extra)}
