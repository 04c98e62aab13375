"""`python -m bench [NAME...]`: measure, write bench/results/NAME.json, print a table.

Exit status 0 when all was measured, limits met or not; 1 when something could not be; 2 for an unknown name.
"""

from __future__ import annotations

import compileall
import sys
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from tabulate import tabulate

from bench.machine import facts
from bench.report import Figure, write

BENCHMARKS = (
    "importing",
    "query_process",
    "freshness",
    "idle",
    "bulk",
    "search_quality",
    "people_quality",
    "fanout_simulation",
    "silent_peers",
    "primitives",
    "catching_up",
    "index",
    "holding",
    "reconciliation",
    "simulation",
)


_ROOT = Path(__file__).resolve().parent.parent
_PACKAGES = ("cli/pkn_cli", "pknd/pknd", "protocol/pkn_protocol")


def main(names: list[str]) -> int:
    unknown = set(names) - set(BENCHMARKS)
    if unknown:
        print(f"there is no benchmark {', '.join(sorted(unknown))}; there are {', '.join(BENCHMARKS)}")
        return 2
    # As an installation does; where Python may not write its bytecode, each start would compile all anew.
    for package in _PACKAGES:
        compileall.compile_dir(_ROOT / package, quiet=1)
    rows: list[list[str]] = []
    missed: list[str] = []
    broken: list[str] = []
    for name in names or BENCHMARKS:
        print(f"{name} …", end=" ", flush=True)
        began = time.perf_counter()
        try:
            run: Callable[[], list[Figure]] = import_module(f"bench.{name}").run
            figures = run()
        except Exception as error:
            # The others are still worth measuring.
            broken.append(name)
            print(f"failed: {type(error).__name__}: {error}", flush=True)
            continue
        write(name, figures, facts())
        print(f"{time.perf_counter() - began:.0f} s", flush=True)
        rows += [[name, *figure.line()] for figure in figures]
        missed += [f"{name}: {figure.name}" for figure in figures if figure.met is False]
    print(tabulate(rows, headers=["benchmark", "figure", "value", "limit", ""], tablefmt="simple"))
    print(f"Limits missed: {'; '.join(missed)}." if missed else "No limit is missed by what was measured.")
    if broken:
        print(f"Not measured: {', '.join(broken)}.")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
