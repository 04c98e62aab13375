"""What benchmarks say of themselves; the measuring itself is `make bench`."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path

import pytest

from bench import documents, report
from bench.__main__ import BENCHMARKS, main
from bench.machine import facts
from bench.relevance import ndcg
from bench.report import Figure


@pytest.mark.parametrize(
    ("value", "limit", "at_least", "verdict"),
    [
        (1.0, None, False, ""),
        (1.0, 1.0, False, "met"),
        (1.1, 1.0, False, "MISSED"),
        (1.0, 1.0, True, "met"),
        (0.9, 1.0, True, "MISSED"),
    ],
)
def test_a_line_says_whether_the_limit_was_met(
    value: float, limit: float | None, at_least: bool, verdict: str
) -> None:
    assert Figure("speed", value, "s", limit, at_least=at_least).line()[-1] == verdict


def test_a_file_has_the_machine_every_sample_and_the_verdict(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "RESULTS", tmp_path / "results")
    path = report.write("speed", [Figure("speed", 2.0, "s", 1.0, samples=[1.0, 2.0, 3.0])], facts())
    written = json.loads(path.read_text(encoding="utf-8"))
    assert written["machine"]["processors"] >= 1
    [figure] = written["figures"]
    assert (figure["samples"], figure["limit"], figure["met"]) == ([1.0, 2.0, 3.0], 1.0, False)


def test_every_benchmark_that_is_named_is_there_and_another_is_told(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert all(callable(import_module(f"bench.{name}").run) for name in BENCHMARKS)
    assert main(["nonesuch"]) == 2
    assert "nonesuch" in capsys.readouterr().out


def test_one_that_fails_does_not_stop_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> list[Figure]:
        raise OSError("no room")

    monkeypatch.setattr(report, "RESULTS", tmp_path)
    monkeypatch.setattr("bench.idle.run", fail)
    monkeypatch.setattr("bench.primitives.run", lambda: [Figure("speed", 2.0, "s", 1.0)])
    assert main(["idle", "primitives"]) == 1
    told = capsys.readouterr().out
    assert "no room" in told
    assert "Limits missed: primitives: speed." in told
    assert "Not measured: idle." in told


def test_the_best_order_is_worth_one_and_the_reverse_less() -> None:
    grades = {"a": 3, "b": 1}
    assert ndcg(["a", "b", "c"], grades) == pytest.approx(1.0)
    assert 0 < ndcg(["c", "b", "a"], grades) < 1
    assert ndcg(["c"], {}) == 0.0


def test_without_a_collection_the_same_texts_are_made_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(documents, "DATA", tmp_path)
    name, made = documents.texts()
    assert (name, len(made)) == ("made", 1400)
    assert documents.texts() == (name, made)
    assert documents.write_folder(tmp_path / "folder", dict(list(made.items())[:3])) > 0
    assert len(list((tmp_path / "folder").iterdir())) == 3
