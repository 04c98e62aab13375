"""Importing a folder of 1,400 documents, by what it cannot do without.

The limit is for the command as people run it. What the daemon alone takes, and what it puts off until it is
idle, is stated beside it.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import psutil

from bench.daemons import client_of, folder_of_documents
from bench.report import Figure
from tests.e2e.harness import Node, running

ROUNDS = 5
LIMIT = 4.0
_QUIET_SECONDS = 1.0
_MOST_WAITS = 30


@dataclass(frozen=True, slots=True)
class _Import:
    """Seconds: of the whole, and of processor time that the daemon took until the end and after it."""

    seconds: float
    processor: float
    afterwards: float


def run() -> list[Figure]:
    with folder_of_documents() as (folder, documents, name, count):
        alone: list[float] = []
        public: list[_Import] = []
        sealed: list[_Import] = []
        daemon: list[_Import] = []
        for number in range(ROUNDS):
            alone.append(_baseline(documents, folder / f"{number}.db"))
            public.append(_by_command(folder / f"public-{number}", documents, "public", count))
            sealed.append(_by_command(folder / f"sealed-{number}", documents, "trusted", count))
            daemon.append(_by_daemon(folder / f"daemon-{number}", documents, count))
    details = {"documents": f"{count} of {name}", "alone_seconds": alone}
    seconds = median(one.seconds for one in public)
    return [
        _ratio(f"import of {count} documents", public, alone, LIMIT, details),
        _ratio("the same for trusted people", sealed, alone, LIMIT, details),
        _ratio("the daemon alone, without the command", daemon, alone, None, details),
        Figure("documents a second", count / seconds, "1/s"),
        _plain("import", [one.seconds for one in public]),
        _plain("alone", alone),
        _plain("the daemon's processor time for it", [one.processor for one in public]),
        _plain("… that it put off until it was idle", [one.afterwards for one in public]),
    ]


def _ratio(
    name: str,
    imports: Sequence[_Import],
    alone: Sequence[float],
    limit: float | None,
    details: Mapping[str, object],
) -> Figure:
    """Each import by the baseline of the same round."""
    ratios = [one.seconds / other for one, other in zip(imports, alone, strict=True)]
    about = {**details, "seconds": [one.seconds for one in imports]}
    return Figure(name, median(ratios), "× alone", limit, samples=ratios, details=about)


def _plain(name: str, seconds: Sequence[float]) -> Figure:
    return Figure(name, median(seconds) * 1000, "ms", samples=[one * 1000 for one in seconds])


def _baseline(documents: Path, database: Path) -> float:
    done = subprocess.run(
        [sys.executable, "-m", "bench.import_baseline", str(documents), str(database)],
        capture_output=True,
        text=True,
        check=True,
    )
    return float(done.stdout)


def _by_command(folder: Path, documents: Path, audience: str, count: int) -> _Import:
    """`pkn import` as a whole process, to a daemon that runs."""
    node = Node("Anna", folder)
    with running(node):
        before = _processor_seconds(node)
        began = time.perf_counter()
        summary = node.pkn("import", str(documents), "--to", audience, "--yes")
        seconds = time.perf_counter() - began
        used = _processor_seconds(node) - before
        _check(summary["imported"], count)
        return _Import(seconds, used, _until_quiet(node) - before - used)


def _by_daemon(folder: Path, documents: Path, count: int) -> _Import:
    """From the request to the daemon's summary."""
    node = Node("Anna", folder)
    with running(node):
        client = client_of(node)
        before = _processor_seconds(node)
        began = time.perf_counter()
        *_, last = client.stream("POST", "/v1/import", body={"paths": [str(documents)], "audience": "public"})
        seconds = time.perf_counter() - began
        used = _processor_seconds(node) - before
        _check(node.pkn("status")["items"], count)
        if last.get("event") == "error":
            raise RuntimeError(f"the import failed: {last}")
        return _Import(seconds, used, 0.0)


def _check(found: int, count: int) -> None:
    if found != count:
        raise RuntimeError(f"{found} of {count} documents were imported")


def _processor_seconds(node: Node) -> float:
    if node.process is None:
        raise RuntimeError("the daemon does not run")
    times = psutil.Process(node.process.pid).cpu_times()
    return float(times.user + times.system)


def _until_quiet(node: Node) -> float:
    """Wait until a daemon has nothing left to do; its processor time then."""
    used = _processor_seconds(node)
    for _ in range(_MOST_WAITS):
        time.sleep(_QUIET_SECONDS)
        now = _processor_seconds(node)
        if now - used < _QUIET_SECONDS / 100:
            return now
        used = now
    raise RuntimeError("the daemon does not come to rest")
