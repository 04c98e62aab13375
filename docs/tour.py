"""The tour in README.md: real commands on real daemons; what they print is what the page shows.

`python docs/tour.py` runs it and writes the page. A test runs it too, and compares what does not change from
run to run. Two persons on one machine: each home's configuration says `listen = "127.0.0.1:0"`.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
PKN = Path(sys.executable).with_name("pkn")
BEGIN = "<!-- tour: written by docs/tour.py -->\n"
END = "<!-- end of the tour -->\n"
COLUMNS = 96
WIDTH = 110
_DEADLINE_SECONDS = 30.0
_HOME = r"/home/\1/.local/share/pkn"

NOTE = """---
tags: [baking, bread]
---
# Sourdough at 24 degrees

The starter doubles in four hours; feed it 1:5:5 the evening before. A warmer kitchen needs less of it.
"""


@dataclass(frozen=True, slots=True)
class Step:
    """A command of a person, repeated until its output matches `shows`; `text` is for the page.

    What comes over the network takes its time: each step that depends on it says in `shows` all that has to
    have come, so that a slow machine prints the same page.
    """

    who: str
    command: str
    shows: str = ""
    text: str = ""


STEPS = (
    Step(
        "anna",
        "pkn up --name Anna",
        text="Anna starts her daemon, and puts a note and a folder of them in. (Anna and Bruno are invented. "
        "Both run on one machine here, which is why they listen on 127.0.0.1; without that setting a daemon "
        "listens on all networks of its machine, at port 7867.)",
    ),
    Step("anna", "cat sourdough.md"),
    Step("anna", "pkn publish sourdough.md --to public"),
    Step("anna", "pkn import demo/gardens/ada --to public --yes"),
    Step("bruno", "pkn up --name Bruno", text="Bruno starts his. They find each other by mDNS."),
    Step("bruno", "pkn peers", shows=r"Anna.*online.* ms +20 +mdns"),
    Step(
        "bruno",
        "pkn query starter hours -thermals",
        shows=r"The \*\*starter\*\*",
        text="The summaries of what is public have come by themselves, so that he can ask at once; his own "
        "disk answers. Anna is a stranger to him, and what she says ranks lower.",
    ),
    Step(
        "anna",
        "pkn id",
        text="They read the six words of their fingerprints to each other (on a terminal pkn asks for it), "
        "and trust each other.",
    ),
    Step("bruno", "pkn trust {anna} anna --yes"),
    Step("anna", "pkn trust {bruno} bruno --yes"),
    Step(
        "anna",
        'echo "The door code of the bakery is in the blue book." | pkn publish -',
        text="What Anna publishes goes to the people whom she trusts, unless she says otherwise.",
    ),
    Step("bruno", 'pkn query "door code"', shows="distance 1"),
    Step(
        "bruno",
        "pkn ask Who has baked with rye only?",
        text="A question goes the same way. Who trusts Bruno and has written about it finds it in the news.",
    ),
    Step("anna", "pkn news", shows="asks"),
    Step(
        "bruno",
        "pkn query '\"boundary layer\" drag' --limit 2",
        shows=r"(?s)Ludwig Prandtl.*A smooth ball",
        text="A phrase, and a look at what is behind a result. Anna's machine may be off: it is here.",
    ),
    Step("bruno", "pkn show {layer}", shows="(?s)on this machine.*Related"),
    Step("bruno", "pkn verify {layer}"),
    Step(
        "bruno",
        "pkn status",
        shows="23 items in 36 records",
        text="What is where, and what was never written down.",
    ),
    Step("bruno", "pkn news", text="What people whom he trusts published since he looked last."),
    Step("anna", "pkn down"),
    Step("bruno", "pkn down"),
)


class TourFailed(AssertionError):
    """A command failed, or did not show in time what it should."""


class Tour:
    """Two homes in a folder of their own, and what was printed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.names: dict[str, str] = {}
        (folder / "sourdough.md").write_text(NOTE, encoding="utf-8")
        shutil.copytree(ROOT / "demo" / "gardens", folder / "demo" / "gardens")
        for who in ("anna", "bruno"):
            (folder / f"home-{who}").mkdir(mode=0o700)
            (folder / f"home-{who}" / "config.toml").write_text('listen = "127.0.0.1:0"\n', encoding="utf-8")

    def run(self) -> Iterator[tuple[Step, str, str]]:
        """Each step, its command as typed, and what it printed."""
        for step in STEPS:
            command = self._filled(step.command)
            yield step, command, self._until_shown(step, command)

    def stop(self) -> None:
        for who in ("anna", "bruno"):
            self._shell(who, "pkn down")

    def _until_shown(self, step: Step, command: str) -> str:
        deadline = time.monotonic() + _DEADLINE_SECONDS
        while True:
            done = self._shell(step.who, command)
            if done.returncode != 0:
                raise TourFailed(f"{command}: status {done.returncode}: {done.stdout}{done.stderr}")
            if re.search(step.shows, done.stdout):
                return done.stdout
            if time.monotonic() > deadline:
                raise TourFailed(f"{command} did not show {step.shows!r}: {done.stdout}")

    def _filled(self, command: str) -> str:
        for name in re.findall(r"\{(\w+)\}", command):
            command = command.replace(f"{{{name}}}", self._reference(name))
        return command

    def _reference(self, name: str) -> str:
        if name not in self.names:
            if name == "layer":
                listed = self._shell("bruno", "pkn query '\"boundary layer\" drag' --limit 1").stdout
                self.names[name] = listed.split()[1]
            else:
                shown = self._shell(name, "pkn id").stdout
                found = re.search(r"did:key:z6Mk(\w{10})", shown)
                if found is None:
                    raise TourFailed(f"pkn id shows no key: {shown}")
                self.names[name] = found.group(1)
        return self.names[name]

    def _shell(self, who: str, command: str) -> subprocess.CompletedProcess[str]:
        environment = {
            **os.environ,
            "PATH": f"{PKN.parent}{os.pathsep}{os.environ.get('PATH', '')}",
            "PKN_HOME": str(self.folder / f"home-{who}"),
            "NO_COLOR": "1",
            "COLUMNS": str(COLUMNS),
        }
        return subprocess.run(
            ["/bin/sh", "-c", command],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=60,
            check=False,
        )


@contextmanager
def touring() -> Iterator[Tour]:
    """A tour in a temporary folder; its daemons are stopped whatever happens."""
    folder = Path(tempfile.mkdtemp(prefix="pkn-tour-"))
    tour = Tour(folder)
    try:
        yield tour
    finally:
        tour.stop()
        shutil.rmtree(folder, ignore_errors=True)


def page_part() -> str:
    """The tour as Markdown."""
    lines: list[str] = []
    inside = False
    with touring() as tour:
        for step, command, printed in tour.run():
            if step.text:
                lines += [*(["```", ""] if inside else []), textwrap.fill(step.text, WIDTH), "", "```console"]
            elif not inside:
                lines.append("```console")
            inside = True
            shown = re.sub(rf"{re.escape(str(tour.folder))}/home-(\w+)", _HOME, printed).rstrip("\n")
            lines += [f"{step.who}$ {command}", *([shown] if shown else [])]
    return "\n".join([*lines, "```", ""])


def main() -> int:
    text = README.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    README.write_text(f"{before}{BEGIN}\n{page_part()}\n{END}{after}", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
