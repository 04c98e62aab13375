"""Importing a folder of 1,400 documents, by what it cannot do without."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from statistics import median

from bench.daemons import client_of, folder_of_documents
from bench.report import Figure
from pkn_cli.client import JsonObject
from tests.e2e.harness import Node, running

ROUNDS = 5
LIMIT = 4.0


def run() -> list[Figure]:
    with folder_of_documents() as (folder, documents, name, count):
        alone, public, sealed = [], [], []
        for number in range(ROUNDS):
            alone.append(_baseline(documents, folder / f"{number}.db"))
            public.append(_imported(folder / f"public-{number}", documents, "public"))
            sealed.append(_imported(folder / f"sealed-{number}", documents, "trusted"))
    details = {
        "documents": f"{count} of {name}",
        "alone_seconds": alone,
        "public_seconds": public,
        "trusted_seconds": sealed,
    }
    ratios = [one / other for one, other in zip(public, alone, strict=True)]
    sealing = [one / other for one, other in zip(sealed, alone, strict=True)]
    return [
        Figure(
            f"import of {count} documents", median(ratios), "× alone", LIMIT, samples=ratios, details=details
        ),
        Figure("the same for trusted people", median(sealing), "× alone", LIMIT, samples=sealing),
        Figure("documents a second", count / median(public), "1/s"),
    ]


def _baseline(documents: Path, database: Path) -> float:
    done = subprocess.run(
        [sys.executable, "-m", "bench.import_baseline", str(documents), str(database)],
        capture_output=True,
        text=True,
        check=True,
    )
    return float(done.stdout)


def _imported(folder: Path, documents: Path, audience: str) -> float:
    """Seconds from the request to the daemon's summary."""
    node = Node("Anna", folder)
    summary: JsonObject = {}
    with running(node):
        client = client_of(node)
        request = {"paths": [str(documents)], "audience": audience}
        began = time.perf_counter()
        for event in client.stream("POST", "/v1/import", body=request):
            summary = event
        seconds = time.perf_counter() - began
    result = summary.get("summary") or summary.get("result") or summary
    if result.get("failed") or not result.get("imported"):
        raise RuntimeError(f"the import failed: {summary}")
    return seconds
