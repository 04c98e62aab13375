"""How new records spread among 200 nodes in virtual time, and what that costs (`python -m tests.sim`).

The machines of protocol/ run over a simulated network: one attempt in ten to deliver a message fails and is
repeated as TCP would, connections break, a fifth of the nodes restart, the network is divided twice, clocks
are up to ten minutes off. Times are virtual, so that this machine has no part in the figures. A round is
the mean delay of a message with what losses add; bytes are those of all messages with their framing, over
those of the records that were new where they arrived; what people had before the run travels in it too.
"""

from __future__ import annotations

from bench.report import Figure
from tests.sim.report import figures
from tests.sim.settings import Partition, Settings
from tests.sim.simulation import Simulation

SETTINGS = Settings(partitions=(Partition(3.0, 2.0), Partition(6.0, 1.0, 3)))


def run() -> list[Figure]:
    report = Simulation(SETTINGS).run()
    if not report["right"]:
        raise RuntimeError(f"not all nodes ended with what they should: seed {SETTINGS.seed}")
    found = []
    for figure in figures(report):
        if figure.value is None:
            raise RuntimeError(f"{figure.name}: nothing was measured")
        details = {"seed": SETTINGS.seed, **report["rounds"], **report["bytes"], **report["receptions"]}
        name = f"{SETTINGS.nodes} nodes, {figure.name}"
        found.append(Figure(name, figure.value, "", figure.limit, details=details))
    return found
