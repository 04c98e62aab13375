"""Settings of a home that no daemon serves."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pkn_cli import offline
from pknd.config import read_file
from pknd.store.lock import HomeLock
from tests.cli.conftest import Run


def test_settings_are_changed_on_disk_where_no_daemon_runs(run: Run, home: Path) -> None:
    home.chmod(0o700)
    (home / "config.toml").write_text("# mine\nmdns = false\n")
    done = run("config", "set", "listen", "localhost:0")
    assert (done.exit_code, done.stdout, done.stderr) == (0, "listen = 127.0.0.1:0\n", "")
    assert run("config", "set", "name", "--", "-Ada").exit_code == 0
    assert run("config", "get", "name").stdout == "-Ada\n"
    assert run("config", "get", "mdns").stdout == "false\n"
    assert run("config", "unset", "mdns").stdout == "mdns = true\n"
    assert (home / "config.toml").read_text().startswith("# mine\n")
    assert read_file(home / "config.toml") == {"listen": "127.0.0.1:0", "name": "-Ada"}
    listed = json.loads(run("config", "list", "--json").stdout)["settings"]
    assert {one["key"]: one["source"] for one in listed}["listen"] == "file"


def test_what_cannot_be_is_refused_as_by_a_daemon(run: Run, home: Path) -> None:
    home.chmod(0o700)
    for words, told in ((("listen", "here"), "HOST:PORT"), (("colour", "red"), "no setting 'colour'")):
        refused = run("config", "set", *words)
        assert (refused.exit_code, refused.stdout) == (2, "")
        assert told in refused.stderr
    assert not (home / "config.toml").exists()


def test_nothing_is_made_by_looking(home: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    absent = home / "absent"
    assert run("--home", str(absent), "config", "get", "mdns").stdout == "true\n"
    assert not absent.exists()


def test_while_a_daemon_starts_nothing_is_changed(run: Run, home: Path) -> None:
    home.chmod(0o700)
    lock = HomeLock(home)
    try:
        refused = run("config", "set", "mdns", "false")
    finally:
        lock.release()
    assert refused.exit_code == 1 and "pknd is starting or ending" in refused.stderr
    assert not (home / "config.toml").exists()


def test_a_machine_that_is_too_slow_is_told_of(run: Run, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home.chmod(0o700)
    monkeypatch.setattr(offline, "_SECONDS", 0.001)
    refused = run("config", "get", "mdns")
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert refused.stderr.startswith("pkn: the settings could not be read within")
