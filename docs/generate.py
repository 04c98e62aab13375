"""Writes docs/commands.md from the commands' own --help, and the other pages' parts that follow from code.

`python docs/generate.py` writes them, `--check` says whether they are up to date (exit status 1 if not).
"""

from __future__ import annotations

import runpy
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from pkn_cli.catalogue import ALIASES, COMMANDS, HABITS
from pkn_cli.root import pkn

FOLDER = Path(__file__).resolve().parent
PAGE = FOLDER / "commands.md"
# Fixed, so that the page does not depend on the terminal it was made in.
_COLUMNS = 100

_HEAD = """# Commands

<!-- written by docs/generate.py from each command's --help; change it there -->

What `pkn --help` and `pkn COMMAND --help` say. Every command takes `--json` and then prints one JSON document
(`pkn log` and `pkn publish` of several things: one a line) with the shapes of
[control-api.md](control-api.md); an error is then `{"error": {"code", "message", "hint"}}` on stderr.
"""


def main() -> int:
    status: int = runpy.run_path(str(FOLDER / "reference.py"))["main"]()
    written = page()
    if PAGE.exists() and PAGE.read_text("utf-8") == written:
        return status
    if "--check" in sys.argv:
        print(f"out of date: {PAGE}; run make docs", file=sys.stderr)
        return 1
    PAGE.write_text(written, "utf-8")
    return status


def page() -> str:
    """The whole page."""
    return "\n".join([_HEAD, *_parts()])


def _parts() -> Iterator[str]:
    root = _context(pkn, "pkn")
    yield _block(root)
    section = None
    for name, entry in COMMANDS.items():
        if entry.section != section:
            section = entry.section
            yield f"## {section}\n"
        command = pkn.get_command(root, name)
        if command is None:
            raise LookupError(name)
        yield from _command(command, name, root)
    yield "## Other names\n"
    others = [f"`pkn {alias}` is `pkn {name}`" for alias, name in {**ALIASES, **HABITS}.items()]
    yield "; ".join(others) + ".\n"


def _command(command: click.Command, name: str, parent: click.Context) -> Iterator[str]:
    context = _context(command, name, parent)
    yield f"### {context.command_path}\n"
    yield _block(context)
    if isinstance(command, click.Group):
        for inner in command.list_commands(context):
            found = command.get_command(context, inner)
            if found is not None:
                yield from _command(found, inner, context)


def _context(command: click.Command, name: str, parent: click.Context | None = None) -> click.Context:
    return click.Context(command, info_name=name, parent=parent, terminal_width=_COLUMNS)


def _block(context: click.Context) -> str:
    lines = context.get_help().splitlines()
    return "\n".join(f"    {line}".rstrip() for line in lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
