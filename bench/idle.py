"""What a daemon with 1,400 items takes while nobody wants anything of it."""

from __future__ import annotations

import time

import psutil

from bench.daemons import filled, folder_of_documents
from bench.report import Figure
from tests.e2e.harness import Node, running, wait_for

SECONDS = 30.0
MEMORY_MIB, CPU_PERCENT = 100.0, 1.0


def run() -> list[Figure]:
    with folder_of_documents() as (folder, documents, name, count), filled(folder, documents) as node:
        after_import = _memory(node)
        node.stop()
        neighbour = Node("Bruno", folder)
        with running(node, neighbour):
            node.connect(neighbour)
            wait_for("the neighbour to have all", lambda: neighbour.pkn("status")["items"] >= count)
            used, memory = _idle(node)
    details = {"documents": f"{count} of {name}", "neighbours": 1, "seconds": SECONDS}
    return [
        Figure("resident memory, started with the items", memory, "MiB", MEMORY_MIB, details=details),
        Figure("resident memory after importing them", after_import, "MiB", MEMORY_MIB),
        Figure("processor while idle", used, "%", CPU_PERCENT),
    ]


def _process(node: Node) -> psutil.Process:
    if node.process is None:
        raise RuntimeError("the daemon does not run")
    return psutil.Process(node.process.pid)


def _memory(node: Node) -> float:
    return float(_process(node).memory_info().rss) / 2**20


def _idle(node: Node) -> tuple[float, float]:
    """Per cent of one processor, and MiB at the end."""
    process = _process(node)
    before = process.cpu_times()
    time.sleep(SECONDS)
    after = process.cpu_times()
    used = after.user + after.system - before.user - before.system
    return used / SECONDS * 100, _memory(node)
