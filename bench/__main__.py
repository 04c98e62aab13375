"""`python -m bench [NAME...]`: measure, write bench/results/NAME.json, print a table."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from importlib import import_module

from tabulate import tabulate

from bench.machine import facts
from bench.report import Figure, write

BENCHMARKS = (
    "importing",
    "query_process",
    "freshness",
    "idle",
    "search_quality",
    "silent_peers",
    "primitives",
)


def main(names: list[str]) -> int:
    unknown = set(names) - set(BENCHMARKS)
    if unknown:
        print(f"there is no benchmark {', '.join(sorted(unknown))}; there are {', '.join(BENCHMARKS)}")
        return 2
    rows: list[list[str]] = []
    for name in names or BENCHMARKS:
        run: Callable[[], list[Figure]] = import_module(f"bench.{name}").run
        print(f"{name} …", end=" ", flush=True)
        began = time.perf_counter()
        figures = run()
        write(name, figures, facts())
        print(f"{time.perf_counter() - began:.0f} s", flush=True)
        rows += [[name, *figure.line()] for figure in figures]
    print(tabulate(rows, headers=["benchmark", "figure", "value", "limit", ""], tablefmt="simple"))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
