"""Plots of a run, for people who look at figures; matplotlib is loaded here alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tests.sim.measure import Journey, rounds_limit
from tests.sim.meter import Meter

_CURVES = 200


def draw(
    folder: Path, name: str, *, meter: Meter, wide: Sequence[Journey], delay_ms: float, nodes: int
) -> list[Path]:
    """Write NAME-spread.png and NAME-bytes.png into a folder. `wide`: records that everybody wants."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    folder.mkdir(parents=True, exist_ok=True)
    figure, axes = pyplot.subplots(figsize=(7, 4.5))
    for journey in wide[:_CURVES]:
        times = sorted(when for node, (when, _) in journey.arrived.items() if node in journey.wanted_by)
        rounds = [(when - journey.written) / delay_ms for when in times]
        parts = [(number + 1) / max(1, len(journey.wanted_by)) for number in range(len(times))]
        axes.plot(rounds, parts, color="tab:blue", alpha=0.25, linewidth=0.8)
    limit = rounds_limit(nodes)
    axes.axvline(limit, color="tab:red", linewidth=1, label=f"log2 N + 3 = {limit:.1f}")
    axes.axhline(0.99, color="gray", linewidth=0.8, linestyle=":", label="99 %")
    axes.set_xlim(0, 3 * limit)
    axes.set_xlabel("rounds (mean delays of a message)")
    axes.set_ylabel("part of those who want the record")
    axes.set_title(f"New records that all of {nodes} nodes want")
    axes.legend(loc="lower right")
    spread = folder / f"{name}-spread.png"
    figure.savefig(spread, dpi=120, bbox_inches="tight")
    pyplot.close(figure)

    figure, axes = pyplot.subplots(figsize=(7, 4.5))
    parts_by_type = sorted(meter.bytes.items(), key=lambda entry: entry[1])
    axes.barh(
        [label for label, _ in parts_by_type], [size / max(1, meter.new_bytes) for _, size in parts_by_type]
    )
    axes.set_xlabel("bytes sent, as a part of the bytes of the records that were new where they arrived")
    axes.set_title(
        f"What is sent, {nodes} nodes: {sum(meter.bytes.values()) / max(1, meter.new_bytes):.2f} in all"
    )
    cost = folder / f"{name}-bytes.png"
    figure.savefig(cost, dpi=120, bbox_inches="tight")
    pyplot.close(figure)
    return [spread, cost]
