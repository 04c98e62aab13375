"""The demo runs to its end, takes a folder along, and leaves nothing behind."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psutil

DEMO = Path(__file__).resolve().parents[2] / "demo" / "run.py"

MOST_SECONDS = 90
STEPS = {
    "Three people start their daemons": ("You are Ada", "You are Bruno", "You are Chiara"),
    "Each imports a garden of twenty notes": (
        *("20 imported (19 to public, 1 to trusted)",) * 2,
        "1 imported (1 to public), 0 unchanged, 1 failed",
    ),
    "They have found each other by mDNS": ("Ada", "Bruno", "online"),
    "A stranger's public notes can be found at once": ("How a dandelion flies", "stranger"),
    "Only its summary is here": (
        "How a dandelion flies",
        "hundred bristles",
        "2 records and 1 content checked",
    ),
    "Ada and Bruno trust each other": ("Bruno", "Chiara", "trusted"),
    "One question, answered from all three gardens": ("How a wing makes lift", "Bruno", "Chiara"),
    "Bruno's note on the kingfisher is for those": ("in none of Chiara's",),
    "What is stored where": ("items by", "pkn.db"),
}
"""What each step is called, and words that it prints."""


def steps_of(output: str) -> dict[str, str]:
    """What the demo printed, by the beginnings of its titles."""
    parts = [part.partition("\n") for part in output.split("== ")[1:]]
    known = {title: next((name for name in STEPS if title.startswith(name)), title) for title, _, _ in parts}
    return {known[title]: text for title, _, text in parts}


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, DEMO, *arguments],
        env={**os.environ, "TMPDIR": str(folder)},
        capture_output=True,
        text=True,
        timeout=MOST_SECONDS,
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
    steps = steps_of(done.stdout)
    assert [title for title in STEPS if title not in steps] == []
    assert list(steps) == list(STEPS)
    for title, expected in STEPS.items():
        for words in expected:
            assert words in steps[title], (title, words, steps[title])
    # Bruno's note in Ada's hands, and nothing of it in Chiara's.
    by_ada, _, by_chiara = steps["Bruno's note on the kingfisher is for those"].partition("Chiara $")
    assert "Where the kingfisher nests" in by_ada
    assert "Where the kingfisher nests" not in by_chiara
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
