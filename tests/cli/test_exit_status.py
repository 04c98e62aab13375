"""0 done, 1 failed, 2 wrong usage, 3 not running: the same of every command, whoever notices."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from pkn_cli.catalogue import COMMANDS
from pkn_protocol.control.errors import ErrorCode, http_status
from tests.cli.conftest import Run
from tests.cli.daemon import Answer, FakeDaemon

LINES = {
    "down": "down",
    "status": "status",
    "id": "id",
    "peers": "peers x",
    "connect": "connect x",
    "log": "log",
    "publish": "publish https://example.org/",
    "import": "import .",
    "ask": "ask Why?",
    "edit": "edit x --title T",
    "retract": "retract x --yes",
    "query": "query x",
    "list": "list",
    "tags": "tags",
    "who": "who x",
    "watch": "watch x --save y",
    "news": "news",
    "show": "show x",
    "get": "get x",
    "history": "history x",
    "related": "related x",
    "verify": "verify x",
    "trust": "trust x",
    "untrust": "untrust x",
    "block": "block x",
    "unblock": "unblock x",
    "vouch": "vouch x",
    "people": "people x",
    "identity": "identity show",
    "config": "config get x",
}
"""A line of each command that asks the daemon for something."""
WRONG = (
    ErrorCode.BAD_REQUEST,
    ErrorCode.BAD_QUERY,
    ErrorCode.BAD_REFERENCE,
    ErrorCode.BAD_VALUE,
    ErrorCode.NO_SUCH_SETTING,
)
# An item without content is nothing to fetch, a busy daemon may come to answer, and so on: none is usage.
FAILED = tuple(code for code in ErrorCode if code not in WRONG)
WRONG_LINES = (
    "nosuchcommand",
    "query",
    "query drag --limit 0",
    "query drag --kind poem",
    "query drag --since never",
    "list --limit many",
    "show",
    "show a b",
    "show x --timeout 0",
    "get x --json",
    "edit x --tag a --no-tags",
    "publish a b --title T",
    "ask ' '",
    "trust",
    "watch --save x",
    "watch remove",
    "config set mdns",
    "config nosuch",
    "identity nosuch",
    "retract x",
    "up",
)


def _refusing(daemon: FakeDaemon, code: str) -> None:
    body = {"error": {"code": code, "message": "it cannot be", "hint": ""}}
    daemon.otherwise = Answer(http_status(code), json.dumps(body).encode())


def test_the_table_is_of_all_commands() -> None:
    assert {*LINES, "up"} == set(COMMANDS)


@pytest.mark.parametrize("line", [line for name, line in LINES.items() if name not in ("down", "config")])
def test_without_a_daemon_it_is_3(line: str, run: Run) -> None:
    result = run(*line.split())
    assert (result.exit_code, result.stdout) == (3, "")
    assert "pkn up" in result.stderr


@pytest.mark.parametrize("line", LINES.values())
def test_what_means_nothing_is_2_and_what_could_not_be_done_is_1(
    line: str, run: Run, daemon: FakeDaemon
) -> None:
    for codes, status in ((WRONG, 2), (FAILED, 1)):
        for code in codes:
            _refusing(daemon, code)
            result = run(*line.split())
            assert (result.exit_code, result.stdout) == (status, ""), (line, code)
            as_json = run(*line.split(), *(() if line == "get x" else ("--json",)))
            assert as_json.exit_code == status


@pytest.mark.parametrize("name", COMMANDS)
def test_an_option_that_is_none_is_2(name: str, run: Run, daemon: FakeDaemon) -> None:
    assert run(name, "--nosuchoption").exit_code == 2
    assert daemon.asked == []


@pytest.mark.parametrize("line", WRONG_LINES)
def test_a_line_that_means_nothing_is_2(line: str, run: Run) -> None:
    result = run(*shlex.split(line))
    assert (result.exit_code, result.stdout) == (2, ""), result.output


@pytest.mark.parametrize(
    "line",
    [
        "publish nosuchfile",
        "publish nosuchfile https://example.org/",
        "publish .",
        "edit x nosuchfile",
        "import nosuchfile",
        "get x -o .",
        "get x -o nosuchfolder/file",
    ],
)
def test_a_file_that_is_missing_or_none_is_1(
    line: str, run: Run, daemon: FakeDaemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    daemon.answers["GET", "/v1/items/x/payload"] = Answer(body=b"abc")
    _refusing(daemon, ErrorCode.NO_SUCH_ITEM)
    assert run(*line.split()).exit_code == 1
