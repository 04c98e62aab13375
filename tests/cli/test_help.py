"""Every command is documented alike, and `--help` of all costs nothing."""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from pkn_cli.catalogue import ALIASES, COMMANDS, HABITS, resolve
from pkn_cli.command import PknCommand
from pkn_cli.context import App
from pkn_cli.root import pkn
from tests.cli.conftest import Run

DUE = {
    *(
        "up",
        "down",
        "status",
        "id",
        "peers",
        "connect",
        "log",
        "publish",
        "import",
        "edit",
        "retract",
        "query",
    ),
    *("list", "tags", "show", "get", "history", "verify", "trust", "untrust", "block", "unblock", "vouch"),
    *("people", "identity", "config", "who", "related", "ask", "watch", "news"),
}


def _all(group: click.Group = pkn, path: str = "pkn") -> Iterator[tuple[str, click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield f"{path} {name}", command
        if isinstance(command, click.Group):
            yield from _all(command, f"{path} {name}")


ALL = dict(_all())
PLAIN = {path: command for path, command in ALL.items() if not isinstance(command, click.Group)}


def test_all_commands_that_are_due_are_there() -> None:
    assert set(COMMANDS) >= DUE
    assert {"pkn identity show", "pkn identity recovery-words"} <= set(PLAIN)
    assert {f"pkn config {act}" for act in ("list", "get", "set", "unset")} <= set(PLAIN)
    assert {f"pkn watch {act}" for act in ("for", "list", "remove")} <= set(PLAIN)


@pytest.mark.parametrize("path", ALL)
def test_a_command_says_in_one_imperative_line_what_it_does(path: str) -> None:
    first, *rest = (ALL[path].help or "").strip().splitlines()
    assert first.endswith(".") and len(first) <= 72
    assert not rest or rest[0] == ""
    name = path.removeprefix("pkn ")
    if name in COMMANDS:
        assert first == COMMANDS[name].summary


@pytest.mark.parametrize("path", PLAIN)
def test_a_command_says_what_it_prints_and_takes_json(path: str) -> None:
    command = PLAIN[path]
    assert isinstance(command, PknCommand)
    assert command.prints.endswith(".")
    assert any("--json" in parameter.opts for parameter in command.params)


@pytest.mark.parametrize("path", PLAIN)
def test_every_option_says_what_it_does(path: str) -> None:
    for parameter in PLAIN[path].params:
        if isinstance(parameter, click.Option):
            assert parameter.help, parameter.opts


@pytest.mark.parametrize("path", PLAIN)
def test_the_examples_can_be_typed_as_they_stand(path: str) -> None:
    command = PLAIN[path]
    assert isinstance(command, PknCommand) and command.examples
    for example in command.examples:
        line = next(part for part in example.split(" | ") if part.startswith("pkn "))
        assert line.startswith(path)
        # Parses every option and argument; runs nothing.
        command.make_context(path, shlex.split(line.removeprefix(path)), obj=App(None)).close()


def test_help_lists_the_sections_in_order_and_every_command(run: Run) -> None:
    text = run("--help").stdout
    places = [
        text.index(f"\n{title}:") for title in ("Begin", "Put in", "Find", "Judge", "People", "Machine")
    ]
    assert places == sorted(places)
    for name, entry in COMMANDS.items():
        assert f"\n  {name} " in text and entry.summary in text


def test_help_of_all_loads_no_command() -> None:
    code = (
        "import sys\nfrom pkn_cli.root import pkn\n"
        "try: pkn.main(['--help'])\nexcept SystemExit: pass\n"
        "loaded = [name for name in sys.modules if name.startswith('pkn_cli.commands.')]\n"
        "sys.exit(f'loaded {loaded}' if loaded or 'http.client' in sys.modules else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_without_a_command_the_help_is_shown(run: Run) -> None:
    assert run().stdout == run("--help").stdout


@pytest.mark.parametrize("name", [*ALIASES, *HABITS])
def test_other_names_lead_to_the_command(name: str, run: Run) -> None:
    result = run(name, "--help")
    assert result.exit_code == 0
    assert result.stdout.startswith(f"Usage: pkn {resolve(name)} ")
    assert ("is called" in result.stderr) == (name in HABITS)


def test_a_habit_gives_no_hint_under_json(run: Run) -> None:
    assert "is called" not in run("search", "drag", "--json").stderr


def test_an_unknown_command_names_the_nearest(run: Run) -> None:
    result = run("qurey")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == "pkn: there is no command 'qurey'; did you mean pkn query?\n"


def test_the_command_reference_is_up_to_date() -> None:
    script = Path(__file__).resolve().parents[2] / "docs" / "generate.py"
    done = subprocess.run(
        [sys.executable, str(script), "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_version_is_shown(run: Run) -> None:
    assert run("--version").stdout.startswith("pkn 0.")
