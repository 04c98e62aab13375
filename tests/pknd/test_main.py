"""Starting and ending pknd: a real process, with a stand-in for what the daemon does in between."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pknd.main import HOME_IN_USE

_START = """
import asyncio, sys, time
from pknd import main
from pknd.errors import DomainError

async def until_asked(config, home, stop):
    print("ready", config.config.name, flush=True)
    await stop.wait()

async def never_ends(config, home, stop):
    print("ready", flush=True)
    try:
        await asyncio.sleep(3600)
    finally:
        print("cancelled", flush=True)

async def port_in_use(config, home, stop):
    async with asyncio.TaskGroup():
        raise DomainError("port-in-use", "port 7867 is in use", "choose another with --listen")

async def fault(config, home, stop):
    raise RuntimeError("two\\nlines")

if len(sys.argv) > 2 and sys.argv[1] == "never_ends":
    main.CANCEL_AFTER_SECONDS = 0.1
sys.exit(main.main(sys.argv[2:], run=globals()[sys.argv[1]]))
"""


def command(run: str, *arguments: str) -> list[str]:
    return [sys.executable, "-c", _START, run, *arguments]


@contextmanager
def started(run: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A process that has said it is ready; killed at the end if it is still there."""
    with subprocess.Popen(
        command(run, *arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("ready")
        try:
            yield process
        finally:
            process.kill()


def run_to_end(run: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(run, *arguments), capture_output=True, text=True, timeout=30, check=False)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_order_within_two_seconds(tmp_path: Path, number: signal.Signals) -> None:
    with started("until_asked", "--home", str(tmp_path / "home")) as process:
        asked = time.monotonic()
        process.send_signal(number)
        _, errors = process.communicate(timeout=30)
        assert time.monotonic() - asked < 2
    assert process.returncode == 0
    assert errors.splitlines()[-1].endswith("event=daemon.stopped")


def test_a_daemon_that_does_not_close_is_cancelled(tmp_path: Path) -> None:
    with started("never_ends", "--home", str(tmp_path / "home")) as process:
        process.terminate()
        output, errors = process.communicate(timeout=30)
    assert "cancelled" in output
    assert "event=daemon.stop_late" in errors
    assert process.returncode == 0


def test_a_second_daemon_on_one_home_is_refused(tmp_path: Path) -> None:
    home = str(tmp_path / "home")
    with started("until_asked", "--home", home) as process:
        second = run_to_end("until_asked", "--home", home)
        assert f"process {process.pid}" in second.stderr
    assert second.returncode == HOME_IN_USE
    assert second.stderr.startswith("pknd: another daemon")
    assert second.stderr.count("\n") == 1


def test_the_home_is_free_after_a_kill(tmp_path: Path) -> None:
    home = str(tmp_path / "home")
    with started("until_asked", "--home", home) as process:
        process.kill()
    with started("until_asked", "--home", home):
        pass


def no_toml(home: Path) -> None:
    home.mkdir(mode=0o700)
    (home / "config.toml").write_text("mdns = \n")


def a_file(home: Path) -> None:
    home.touch()


def nothing(home: Path) -> None:
    del home


@pytest.mark.parametrize(
    ("prepare", "run", "arguments", "said"),
    [
        (no_toml, "until_asked", (), "config.toml is not TOML"),
        (a_file, "until_asked", (), "is not a folder"),
        (nothing, "until_asked", ("--listen", "nowhere"), "listen cannot be 'nowhere'"),
        (nothing, "until_asked", ("--name", "a\x1b[2Jb"), "name cannot be"),
        (nothing, "port_in_use", (), "port 7867 is in use; choose another with --listen"),
        (nothing, "fault", (), "it failed: RuntimeError: two\\nlines; --log-level debug says where"),
    ],
)
def test_what_keeps_it_from_starting_is_one_line(
    tmp_path: Path, prepare: Callable[[Path], None], run: str, arguments: tuple[str, ...], said: str
) -> None:
    prepare(tmp_path / "home")
    done = run_to_end(run, "--home", str(tmp_path / "home"), *arguments)
    assert done.returncode == 1
    assert said in done.stderr
    assert done.stderr.startswith("pknd: ")
    assert done.stderr.count("\n") == 1
    assert done.stderr[:-1].isprintable()


def test_debug_says_where_it_failed(tmp_path: Path) -> None:
    done = run_to_end("fault", "--home", str(tmp_path / "home"), "--log-level", "debug")
    assert "in fault" in done.stderr
    assert "\nTraceback" not in done.stderr


def test_wrong_usage_is_status_2_and_help_is_0() -> None:
    assert run_to_end("until_asked", "--nosuch").returncode == 2
    assert run_to_end("until_asked", "--help").returncode == 0


def test_in_the_background_it_logs_into_the_home(tmp_path: Path) -> None:
    home = tmp_path / "home"
    done = run_to_end("port_in_use", "--home", str(home), "--background")
    assert done.stderr == "pknd: port 7867 is in use; choose another with --listen\n"
    lines = (home / "pknd.log").read_text().splitlines()
    assert "event=daemon.starting" in lines[0]
    assert 'error="port 7867 is in use"' in lines[-1]


def test_pkn_home_names_the_home_and_name_is_passed_on(tmp_path: Path) -> None:
    environment = {**os.environ, "PKN_HOME": str(tmp_path / "named")}
    with subprocess.Popen(
        command("until_asked", "--name", "Ada  L."), env=environment, stdout=subprocess.PIPE, text=True,
        stderr=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline() == "ready Ada L.\n"
        process.terminate()
    assert (tmp_path / "named" / "lock").exists()
