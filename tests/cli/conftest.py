"""A home with a daemon in it, and the command run against it."""

from __future__ import annotations

import json
import os
import pty
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from pkn_cli.root import pkn
from tests.cli.daemon import FakeDaemon

REPOSITORY = Path(__file__).resolve().parents[2]
Run = Callable[..., Result]
Terminal = Callable[..., tuple[int, str]]


@pytest.fixture
def home() -> Iterator[Path]:
    """A home with a path short enough for a socket."""
    folder = Path(tempfile.mkdtemp(prefix="pkn"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def daemon(home: Path) -> Iterator[FakeDaemon]:
    fake = FakeDaemon(home)
    yield fake
    fake.close()


@pytest.fixture
def run(home: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """`run("query", "drag")`: the command in this process, without a terminal or an editor."""
    monkeypatch.delenv("EDITOR", raising=False)
    monkeypatch.delenv("VISUAL", raising=False)

    def call(*arguments: str, text: str | bytes | None = None) -> Result:
        return CliRunner().invoke(pkn, arguments, input=text, env={"PKN_HOME": str(home)})

    return call


@pytest.fixture
def ask(run: Run) -> Callable[..., Any]:
    """`ask("status")`: what the command prints with --json, parsed; it must have worked."""

    def call(*arguments: str, **more: Any) -> Any:
        result = run(*arguments, "--json", **more)
        assert result.exit_code == 0, result.output
        assert result.stderr == ""
        return json.loads(result.stdout)

    return call


@pytest.fixture
def on_terminal(home: Path) -> Terminal:
    """`on_terminal("trust", "ada", typed="y\\n")`: a process on a terminal of its own; status and output."""

    def call(*arguments: str, typed: str = "", **environment: str) -> tuple[int, str]:
        master, slave = pty.openpty()
        usual = {"PKN_HOME": str(home), "TERM": "xterm", "PAGER": "cat", "NO_COLOR": ""}
        process = subprocess.Popen(
            [sys.executable, "-m", "pkn_cli", *arguments],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env={**os.environ, **usual, **environment},
            start_new_session=True,
        )
        os.close(slave)
        os.write(master, typed.encode())
        output = b""
        # Linux says EIO when the last process has closed the other end.
        with suppress(OSError):
            while piece := os.read(master, 65536):
                output += piece
        os.close(master)
        return process.wait(timeout=30), output.decode()

    return call
