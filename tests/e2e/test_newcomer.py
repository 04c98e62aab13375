"""Two newcomers, from installing what is built here to a hit from the other one's machine: a transcript."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest

from pkn_cli.client import ControlClient, path_of
from tests.e2e.harness import wait_for

REPOSITORY = Path(__file__).resolve().parents[2]
MOST_COMMANDS = 5


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package, built from this tree without a network."""
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=REPOSITORY,
        check=True,
        capture_output=True,
        timeout=100,
    )
    [built] = folder.glob("*.whl")
    return built


class Newcomer:
    """Somebody with an empty home folder and an empty environment of Python. Counts what they type."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.folder = folder / name
        self.typed: list[str] = []
        kept = {name: text for name, text in os.environ.items() if not name.startswith(("PKN_", "PYTHON"))}
        own = {"HOME": str(self.folder), "XDG_DATA_HOME": str(self.folder / "data"), "NO_COLOR": "1"}
        self.environment = kept | own
        venv = self.folder / "venv"
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True, timeout=60)
        self.bin = venv / "bin"
        # What is depended on is not loaded from the network but found where the tests have it. Their own
        # editable install is not: a path within such a file is added as it is.
        [site] = venv.glob("lib/python*/site-packages")
        (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")

    def types(self, *words: str, also: bool = False) -> str:
        """Run a command as this person; its output. `also`: not part of the transcript."""
        if not also:
            self.typed.append(" ".join(words))
        done = subprocess.run(
            [self.bin / words[0] if words[0] == "pkn" else words[0], *words[1:]],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        assert done.returncode == 0, (self.name, words, done.stdout, done.stderr)
        return done.stdout

    def installs(self, wheel: Path) -> None:
        uv = Path(sys.executable).with_name("uv")
        python = self.bin / "python"
        self.types(
            *(str(uv), "pip", "install", "--quiet", "--offline", "--no-cache", "--no-deps"),
            *("--python", str(python), str(wheel)),
        )
        where = self.types(str(python), "-c", "import pknd, pkn_cli; print(pknd.__file__)", also=True)
        assert where.startswith(str(self.folder))

    def met(self, other: Newcomer) -> bool:
        known = ControlClient(self.folder / "data" / "pkn", start_hint="").get(path_of("peers"))
        peers = known["peers"]
        assert isinstance(peers, list)
        return other.name in [peer["name"] for peer in peers]


@pytest.fixture
def newcomers(tmp_path: Path) -> Iterator[list[Newcomer]]:
    found = [Newcomer(name, tmp_path) for name in ("Vera", "Wim")]
    yield found
    for one in found:
        if (one.bin / "pkn").exists():
            subprocess.run(
                [one.bin / "pkn", "down"], env=one.environment, capture_output=True, timeout=60, check=False
            )


def test_from_installation_to_a_hit_from_another_machine_in_five_commands_each(
    wheel: Path, newcomers: list[Newcomer]
) -> None:
    vera, wim = newcomers
    for one in newcomers:
        one.installs(wheel)
        # On loopback and a port that is free; on a network of one's own neither is needed.
        assert f"You are {one.name}" in one.types("pkn", "up", "--name", one.name, "--listen", "127.0.0.1:0")
    (vera.folder / "tides.md").write_text("# The rule of twelfths\n\nHow fast the tide rises by the hour.\n")
    vera.types("pkn", "publish", "tides.md", "--to", "public")
    wait_for("the two to have met", lambda: vera.met(wim) and wim.met(vera))
    shown = wim.types("pkn", "query", "how", "fast", "does", "the", "tide", "rise")
    assert "The rule of twelfths" in shown
    assert "Vera" in shown and "stranger" in shown
    for one in newcomers:
        assert len(one.typed) <= MOST_COMMANDS, one.typed
