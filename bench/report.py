"""What a benchmark found, as JSON in bench/results/ and as a line of a table."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

RESULTS = Path(__file__).resolve().parent / "results"


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure: the median of `samples`, which were measured in one run with what they are compared to.

    `limit` is an upper bound, or with `at_least` a lower one; None for a figure that is only stated.
    """

    name: str
    value: float
    unit: str
    limit: float | None = None
    at_least: bool = False
    samples: Sequence[float] = ()
    details: Mapping[str, object] = field(default_factory=dict)

    @property
    def met(self) -> bool | None:
        if self.limit is None:
            return None
        return self.value >= self.limit if self.at_least else self.value <= self.limit

    def line(self) -> list[str]:
        """Name, value, limit and verdict for a table."""
        bound = "" if self.limit is None else f"{'≥' if self.at_least else '≤'} {self.limit:.4g}"
        verdict = {None: "", True: "met", False: "MISSED"}[self.met]
        return [self.name, f"{self.value:.4g} {self.unit}".strip(), bound, verdict]


def write(benchmark: str, figures: Sequence[Figure], machine: Mapping[str, object]) -> Path:
    """Write a benchmark's figures; the path of the file."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{benchmark}.json"
    document = {
        "benchmark": benchmark,
        "machine": dict(machine),
        "figures": [{**asdict(figure), "met": figure.met} for figure in figures],
    }
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return path
