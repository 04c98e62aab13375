"""`python -m tests.sim`: run the protocol's machines in virtual time, print JSON, draw plots.

The report and the plots are also written to bench/results. Figures with their limits go to standard error.

Exit status 0 when every node ends with exactly what it should hold, 1 when one does not, 2 for wrong usage.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from dataclasses import fields
from pathlib import Path

from tests.sim.settings import Partition, Settings

_RESULTS = Path(__file__).resolve().parents[2] / "bench" / "results"
_HELP = {
    "nodes": "how many nodes, one person each",
    "seed": "decides everything that is random; the same seed and options give the same run",
    "loss": "probability that an attempt to deliver a message fails and is repeated later",
    "breaks": "probability that a message breaks its connection",
    "delay_ms": "mean one-way delay over all connections",
    "spread": "sigma of the lognormal distribution of connections' delays",
    "bandwidth": "bytes a ms in each direction of a connection; without it there is no limit",
    "churn": "restarts during the run, as a part of the nodes",
    "down_minutes": "how long a restarting node is away in the mean",
    "clock_minutes": "how far a node's clock is off at most",
    "friends": "how many trust each other around each person, in the mean",
    "rewired": "the part of these ties that leads anywhere instead of to a neighbour",
    "vouches": "how many of the friends each person vouches for at most; with fewer than friends many a pair "
    "has only one of the two within the other's horizon",
    "hubs": "people whom everybody trusts",
    "neighbours": "connections that a node looks for; it takes twice as many in all",
    "acquainted": "the part of the nodes that know at the beginning who is within their horizon",
    "in_step": "the part of those nodes that begins with all else that they should hold too; "
    "the first contact of the others is a part of the run",
    "strangers": "the part of the nodes with a stranger connected by hand, and with somebody blocked",
    "newcomers": "the part of the nodes that begins in the middle of the run, with nothing",
    "before": "notes that each person has at the beginning",
    "live": "records that each person writes during the run, in the mean",
    "hub_live": "records that each of the hubs writes during the run",
    "retracted": "the part of the live records that take an earlier note back",
    "expiring": "the part of the live records that live for 12 minutes",
    "versions": "the part of the live records that replace an earlier note",
    "prolific": "the part of the people who write more than the least quotas hold",
    "max_disk": "ceiling in bytes of what a node holds for others, which quotas divide",
    "minutes": "virtual minutes in which people write, nodes restart and partitions come and go",
    "settle_minutes": "virtual minutes of rest afterwards, at most",
}


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="python -m tests.sim",
        description=__doc__,
        epilog="example: python -m tests.sim --nodes 200 --seed 7 --loss 0.1 --churn 0.2 --partition 3:2:2",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    for option in fields(Settings):
        if option.name not in _HELP:
            continue
        kind = float if option.name == "bandwidth" else type(option.default)
        made.add_argument(
            "--" + option.name.replace("_", "-"), type=kind, default=option.default, help=_HELP[option.name]
        )
    made.add_argument(
        "--partition",
        action="append",
        type=Partition.parse,
        default=[],
        metavar="START:MINUTES[:PARTS]",
        help="divide the nodes from minute START on, for so long, into so many parts (2); may be repeated",
    )
    made.add_argument(
        "--most-seconds",
        type=float,
        default=math.inf,
        metavar="S",
        help="give up with the virtual minute in which so many real seconds have passed, and say so",
    )
    made.add_argument("--no-decode", action="store_true", help="hand messages over without decoding them")
    made.add_argument(
        "--results", type=Path, default=_RESULTS, metavar="DIR", help="where the report and the plots go"
    )
    made.add_argument("--print-only", action="store_true", help="write no report and draw no plots")
    return made


def main(arguments: list[str]) -> int:
    options = vars(parser().parse_args(arguments))
    results, print_only = options.pop("results"), options.pop("print_only")
    most_seconds = options.pop("most_seconds")
    partitions, no_decode = tuple(options.pop("partition")), options.pop("no_decode")
    settings = Settings(**options, partitions=partitions, decode=not no_decode)
    from tests.sim.simulation import Simulation

    simulation = Simulation(settings)
    report = simulation.run(lambda line: print(line, file=sys.stderr, flush=True), most_seconds=most_seconds)
    text = json.dumps(report, indent=1)
    print(text)
    if not print_only:
        from tests.sim.plots import draw

        name = f"simulation-{settings.nodes}-{settings.seed}"
        results.mkdir(parents=True, exist_ok=True)
        (results / f"{name}.json").write_text(text + "\n", encoding="utf-8")
        for drawn in draw(
            results,
            name,
            meter=simulation.meter,
            wide=simulation.wide(),
            delay_ms=simulation.network.mean_delay(),
            nodes=settings.nodes,
        ):
            print(drawn, file=sys.stderr)
    for figure in report["figures"]:
        verdict = {True: "met", False: "missed", None: "not measured"}[figure["met"]]
        value = "-" if figure["value"] is None else f"{figure['value']:.2f}"
        print(f"{figure['name']}: {value}, at most {figure['limit']:.2f}: {verdict}", file=sys.stderr)
    if not report["finished"]:
        print("given up before the end", file=sys.stderr)
    if not report["right"]:
        print(f"not all nodes hold what they should: seed {settings.seed}", file=sys.stderr)
    return 0 if report["right"] else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
