"""How soon what is published here is answered there: from the request to the neighbour's first hit."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from statistics import median

from bench.daemons import ask, client_of
from bench.machine import fsync_seconds, round_trip_seconds
from bench.report import Figure
from pkn_cli.client import ControlClient
from tests.e2e.harness import Node, running, trust_each_other, wait_for

ROUNDS = 50
ROUND_TRIPS, FSYNCS, PLUS_SECONDS = 5, 3, 0.020
_DEADLINE_SECONDS = 10.0


def run() -> list[Figure]:
    with tempfile.TemporaryDirectory(prefix="pkn-bench-") as temporary:
        folder = Path(temporary)
        anna, bruno = Node("Anna", folder), Node("Bruno", folder)
        sync, trip = fsync_seconds(folder), round_trip_seconds()
        with running(anna, bruno):
            anna.connect(bruno)
            trust_each_other(anna, bruno)
            here, there = client_of(anna), client_of(bruno)
            here.ask("POST", "/v1/items", body={"text": "warming", "audience": "public"})
            wait_for("the first item to arrive", lambda: bool(ask(there, "warming")["hits"]))
            public = [_seconds(here, there, f"fresh{n}word", "public") for n in range(ROUNDS)]
            sealed = [_seconds(here, there, f"sealed{n}word", "trusted") for n in range(ROUNDS)]
    limit = (ROUND_TRIPS * trip + FSYNCS * sync + PLUS_SECONDS) * 1000
    details = {"fsync_ms": sync * 1000, "round_trip_ms": trip * 1000}
    return [
        Figure(
            "a new item answered by a neighbour",
            median(public) * 1000,
            "ms",
            limit,
            samples=[s * 1000 for s in public],
            details=details,
        ),
        Figure(
            "the same for trusted people",
            median(sealed) * 1000,
            "ms",
            limit,
            samples=[s * 1000 for s in sealed],
        ),
    ]


def _seconds(here: ControlClient, there: ControlClient, word: str, audience: str) -> float:
    began = time.perf_counter()
    here.ask("POST", "/v1/items", body={"text": f"about {word}", "audience": audience})
    while not ask(there, word)["hits"]:
        if time.perf_counter() - began > _DEADLINE_SECONDS:
            raise TimeoutError(f"{word} did not arrive")
    return time.perf_counter() - began
