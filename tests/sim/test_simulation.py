"""The machines in virtual time: every node ends with exactly what its horizon and quotas admit."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import REPOSITORY
from tests.sim.__main__ import main
from tests.sim.settings import Partition, Settings
from tests.sim.simulation import Simulation

SEED = int(os.environ.get("PKN_SIM_SEED", "1"))
"""Another seed can be given from outside; what a test says on failure names it."""
HARD = Settings(
    seed=SEED,
    loss=0.1,
    churn=0.2,
    live=2.0,
    hub_live=8,
    before=6,
    partitions=(Partition(3.0, 2.0), Partition(6.0, 1.0, 3)),
)
RUN = [sys.executable, "-m", "tests.sim", "--print-only"]


def assert_in_step(simulation: Simulation, report: dict[str, Any]) -> None:
    settings = simulation.settings
    again = f"to see it again: PKN_SIM_SEED={settings.seed}"
    assert report["right"], f"{again}\n{json.dumps(report['wrong'], indent=1)}"
    assert report["last_comparisons"]["differences"] == 0, again
    assert report["last_comparisons"]["connections"] > settings.nodes / 2, again
    # Who is blocked is sent away when it comes, and nobody for any other reason.
    assert report["network"]["closed_by_machines"].keys() <= {"BLOCKED: not welcome here"}, again
    assert sum(report["network"]["closed_by_machines"].values()) <= settings.nodes // 10, again
    # Broadcast does most of the work, whatever happens meanwhile; how well is for `make bench` to say.
    assert report["receptions"]["all"] < 1.5, again
    assert report["rounds"]["wanted_by_all"]["records"] > 0, again


def test_two_hundred_nodes_end_with_exactly_what_their_horizon_and_quotas_admit() -> None:
    simulation = Simulation(HARD)
    report = simulation.run()
    assert_in_step(simulation, report)
    assert report["network"]["restarts"] > 20
    assert report["network"]["attempts_lost"] > 1000


def test_whoever_is_called_and_has_no_place_left_is_called_again() -> None:
    """A node that waited for ever for such a call's outcome exchanged no neighbour any more."""
    crowded = Simulation(
        Settings(nodes=40, seed=SEED, neighbours=2, minutes=2, before=2, live=1, settle_minutes=10)
    )
    report = crowded.run()
    assert report["right"], f"seed {SEED}\n{json.dumps(report['wrong'], indent=1)}"
    assert crowded.overlay.unanswered() == set()


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_two_thousand_nodes_do_so_too() -> None:
    simulation = Simulation(replace(HARD, nodes=2000))
    assert_in_step(simulation, simulation.run())


def test_a_seed_gives_the_same_run_in_every_process() -> None:
    """Whatever the order of sets is there, which Python changes from process to process."""
    arguments = ["--nodes", "16", "--seed", "5", "--minutes", "4", "--partition", "1:1", "--churn", "0.3"]
    reports = []
    for order in ("1", "2"):
        done = subprocess.run(
            [*RUN, *arguments],
            cwd=REPOSITORY,
            env={**os.environ, "PYTHONHASHSEED": order},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr or done.stdout
        report = json.loads(done.stdout)
        del report["cost"]
        reports.append(report)
    assert reports[0] == reports[1]


def test_the_command_writes_its_report_and_draws_plots(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--nodes", "12", "--hubs", "1", "--minutes", "3", "--loss", "0", "--churn", "0"]
    assert main([*arguments, "--results", str(tmp_path / "plots")]) == 0
    said = capsys.readouterr()
    printed = json.loads(said.out)
    [report] = (tmp_path / "plots").glob("*.json")
    assert printed == json.loads(report.read_text(encoding="utf-8"))
    assert all(figure["name"] in said.err for figure in printed["figures"])
    assert printed["settings"]["nodes"] == 12
    assert len(list((tmp_path / "plots").glob("*.png"))) == 2


@pytest.mark.parametrize("wrong", ["--partition 3", "--partition 3:0", "--partition 1:1:1", "--nodes many"])
def test_wrong_usage_is_told(wrong: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(wrong.split())
    assert exit_.value.code == 2
    assert wrong.split()[0] in capsys.readouterr().err


def test_an_established_network_begins_with_all_that_it_should_hold() -> None:
    quiet = Settings(nodes=16, hubs=0, minutes=1.0, live=0, hub_live=0, churn=0, strangers=0, newcomers=0)
    established = Simulation(replace(quiet, acquainted=1.0, in_step=1.0))
    assert established.run()["right"]
    assert established.meter.new == 0
