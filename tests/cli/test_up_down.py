"""`pkn up` and `pkn down`, with a program in place of pknd that does what each test needs.

The whole way with the real daemon is tested where the daemons are.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pkn_protocol.control.codec import to_json
from pkn_protocol.control.status import Stopping
from tests.cli.conftest import REPOSITORY, Run, Terminal
from tests.cli.daemon import FakeDaemon
from tests.cli.shapes import IDENTITY, STATUS

Start = Callable[..., subprocess.CompletedProcess[str]]

_STAND_IN = """
import json, os, sys, threading
from pathlib import Path

home = Path(sys.argv[sys.argv.index("--home") + 1])
(home / "arguments").write_text(json.dumps(sys.argv[1:]))
(home / "session").write_text(str(os.getsid(0)))
if "--listen" in sys.argv:
    print("pknd: starting", file=sys.stderr)
    print("pknd: port 7867 is taken; choose another with --listen", file=sys.stderr)
    sys.exit(1)
sys.path.insert(0, {repository!r})
from tests.cli.daemon import Answer, FakeDaemon
from pkn_protocol.control.codec import to_json
from pkn_protocol.control.status import Stopping

replies = {{
    ("GET", "/v1/status"): json.loads({status!r}),
    ("GET", "/v1/identity"): json.loads({identity!r}),
    ("POST", "/v1/shutdown"): to_json(Stopping(True, os.getpid())),
}}
# Whole before it listens: whoever waits for it asks at once.
daemon = FakeDaemon(home, {{key: Answer(200, json.dumps(reply).encode()) for key, reply in replies.items()}})
daemon.until("POST", "/v1/shutdown")
"""


@pytest.fixture
def stand_in(tmp_path: Path) -> dict[str, str]:
    """The environment in which `python -m pknd` is our stand-in."""
    package = tmp_path / "pknd"
    package.mkdir()
    (package / "__init__.py").touch()
    code = _STAND_IN.format(
        repository=str(REPOSITORY), status=json.dumps(to_json(STATUS)), identity=json.dumps(to_json(IDENTITY))
    )
    (package / "__main__.py").write_text(code)
    return {"PYTHONPATH": str(tmp_path)}


@pytest.fixture
def start(home: Path, stand_in: dict[str, str]) -> Iterator[Start]:
    """Runs the command as a process of its own; whatever it started is stopped at the end."""

    def call(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "pkn_cli", *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env={**os.environ, **stand_in, "PKN_HOME": str(home)},
            check=False,
        )

    yield call
    call("down")


def test_up_starts_the_daemon_and_says_three_lines(start: Start, home: Path) -> None:
    done = start("up", "--name", "Ada", "--no-mdns")
    assert (done.returncode, done.stderr) == (0, "")
    who, where, then = done.stdout.splitlines()
    assert "Ada" in who and "one two three four five six" in who
    assert "192.168.1.5:7867" in where
    assert then.startswith("Next: pkn ")
    arguments = json.loads((home / "arguments").read_text())
    assert arguments == ["--home", str(home), "--background", "--name", "Ada", "--no-mdns"]
    # A session of its own: it survives the terminal that it was started from.
    assert int((home / "session").read_text()) != os.getsid(0)


def test_up_again_says_that_it_runs_already(start: Start) -> None:
    start("up", "--name", "Ada")
    done = start("up", "--name", "Bea")
    assert done.returncode == 0
    assert "runs already" in done.stdout and "--name not applied" in done.stderr
    assert json.loads(start("up", "--json").stdout)["started"] is False


def test_up_as_json_is_one_document(start: Start) -> None:
    done = start("up", "--name", "Ada", "--json")
    assert json.loads(done.stdout) == {**to_json(STATUS), "started": True}


def test_the_first_start_needs_a_name_and_takes_none_unasked(start: Start, home: Path) -> None:
    done = start("up")
    assert (done.returncode, done.stdout) == (2, "")
    assert "pkn up --name NAME" in done.stderr and done.stderr.count("\n") == 1
    assert not (home / "arguments").exists()


def test_a_later_start_does_not_ask_again(start: Start, home: Path) -> None:
    (home / "keys").mkdir()
    (home / "keys" / "device.key").touch()
    assert start("up").returncode == 0
    assert "--name" not in json.loads((home / "arguments").read_text())


def test_a_name_in_the_settings_will_do(start: Start, home: Path) -> None:
    (home / "config.toml").write_text('name = "Ada"\n')
    assert start("up").returncode == 0


def test_on_a_terminal_the_name_is_asked_for(
    on_terminal: Terminal, stand_in: dict[str, str], start: Start, home: Path
) -> None:
    status, shown = on_terminal("up", typed="Ada Lovelace\n", **stand_in)
    assert status == 0 and "Your name" in shown
    arguments = json.loads((home / "arguments").read_text())
    assert arguments[arguments.index("--name") + 1] == "Ada Lovelace"


def test_a_daemon_that_dies_at_the_start_says_why(start: Start) -> None:
    done = start("up", "--name", "Ada", "--listen", "*:7867")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "pkn: pknd did not start: port 7867 is taken; choose another with --listen\n"


def test_down_waits_for_the_end(start: Start, home: Path) -> None:
    pid = json.loads(start("up", "--name", "Ada", "--json").stdout) and _pid(home)
    done = start("down")
    assert (done.returncode, done.stdout) == (0, "pknd has stopped\n")
    stat = Path(f"/proc/{pid}/stat")
    assert not stat.exists() or " Z " in stat.read_text()
    assert start("status").returncode == 3


def test_down_without_a_daemon_is_no_error(run: Run) -> None:
    result = run("down")
    assert (result.exit_code, result.stdout) == (0, "pknd is not running\n")
    assert json.loads(run("down", "--json").stdout) == {"stopped": False, "pid": None}


def test_down_tells_when_the_process_was_gone_already(run: Run, daemon: FakeDaemon) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    daemon.on("POST", "/v1/shutdown", Stopping(True, ended.pid))
    assert json.loads(run("down", "--json").stdout) == {"stopped": True, "pid": ended.pid}


def _pid(home: Path) -> int:
    return int((home / "session").read_text())
