"""The demo runs to its end, takes a folder along, and leaves nothing behind."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psutil

DEMO = Path(__file__).resolve().parents[2] / "demo" / "run.py"


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, DEMO, *arguments],
        env={**os.environ, "TMPDIR": str(folder)},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def test_the_demo_shows_three_people_and_leaves_nothing_behind(tmp_path: Path) -> None:
    temporary, notes = tmp_path / "t", tmp_path / "my notes"
    temporary.mkdir()
    notes.mkdir()
    (notes / "good.md").write_text(
        "# A heron in the lift\n\nIt waited for the fifth floor.\n", encoding="utf-8"
    )
    (notes / "bad.md").write_text("---\ntitle: [x\n---\nbody\n", encoding="utf-8")
    done = run(temporary, str(notes))
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    assert "1 imported (1 to public), 0 unchanged, 1 failed" in done.stdout
    assert "bad.md" in done.stdout
    assert list(temporary.iterdir()) == []
    left = [
        process.pid
        for process in psutil.process_iter(["cmdline"])
        if any(str(temporary) in word for word in process.info["cmdline"] or ())
    ]
    assert left == []


def test_a_folder_that_is_not_there_is_said_before_anything_begins(tmp_path: Path) -> None:
    done = run(tmp_path, str(tmp_path / "nowhere"))
    assert (done.returncode, done.stdout) == (2, "")
    assert "does not exist" in done.stderr
    assert "make demo DIR=folder" in done.stderr
