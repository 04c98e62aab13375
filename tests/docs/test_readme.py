"""README.md shows what the commands print: the tour is taken again, and the links lead somewhere."""

from __future__ import annotations

import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")

_FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
# What is another at every run: keys, ids, fingerprints, ports, times, sizes of a database.
_VARYING = (
    (r"did:key:z6Mk\w+", "KEY"),
    (r"\((?:[a-z]+ ){5}[a-z]+\)", "(WORDS)"),
    (r"(fingerprint +)(?:[a-z]+ ){5}[a-z]+", r"\1WORDS"),
    (r"bafyrei\w+", "CID"),
    (r"\b[0-9a-f]{12}(?:[0-9a-f]{52})?\b", "DEVICE"),
    (r"\b[0-9A-Za-z]{10}\b", "REF"),
    (r"\d{4}-\d\d-\d\d \d\d:\d\d", "DATE"),
    (r"\b\d+(?:\.\d+)? (?:ms|s|min)\b", "TIME"),
    (r"127\.0\.0\.1:\d+", "ADDRESS"),
    (r"process \d+", "PROCESS"),
    (r"\d+ [kM]?B (of yours|for others)", r"SIZE \1"),
    (r"at most \d+ [GM]B", "AT MOST"),
    (r"home +/\S+", "home HOME"),
)


def lines_of(text: str) -> list[list[str]]:
    """The words of each line without what varies; their order too may follow from ids."""
    for pattern, name in _VARYING:
        text = re.sub(pattern, name, text)
    return [sorted(line.replace(",", " ").split()) for line in text.splitlines()]


def taken_again() -> str:
    """What the tour prints now; on a loopback of its own where that can be had, for mDNS finds everybody."""
    program = "import runpy, sys; sys.stdout.write(runpy.run_path(sys.argv[1])['page_part']())"
    alone = ["unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]
    there = all(map(shutil.which, ("unshare", "ip")))
    if not there or subprocess.run([*alone, "true"], capture_output=True, timeout=20, check=False).returncode:
        alone = []
    done = subprocess.run(
        [*alone, sys.executable, "-c", program, str(ROOT / "docs" / "tour.py")],
        stdout=subprocess.PIPE,
        text=True,
        timeout=110,
        check=True,
    )
    return done.stdout


def test_the_tour_prints_what_the_readme_shows() -> None:
    tour = runpy.run_path(str(ROOT / "docs" / "tour.py"))
    shown = README.partition(tour["BEGIN"])[2].partition(tour["END"])[0]
    assert lines_of(shown.strip()) == lines_of(taken_again().strip())


def test_every_relative_link_leads_to_a_file() -> None:
    missing = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"))
        for target in re.findall(
            r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", _FENCED.sub("", page.read_text(encoding="utf-8"))
        )
        if not (page.parent / target).exists()
    ]
    assert missing == []
