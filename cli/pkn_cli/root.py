"""The group `pkn`: finds a command by its name and loads that one alone."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, NoReturn

import click
from click.exceptions import Exit

from pkn_cli.catalogue import ALIASES, COMMANDS, HABITS, resolve
from pkn_cli.command import write_examples
from pkn_cli.context import App
from pkn_cli.failures import Exit as Status
from pkn_cli.failures import Failure
from pkn_cli.reporting import run_reported, wants_json


class RootGroup(click.Group):
    """All commands, from the table; `--help` loads none of them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        name = resolve(cmd_name)
        if name is None:
            return None
        from importlib import import_module

        module = import_module(f"pkn_cli.commands.{COMMANDS[name].module}")
        loaded: click.Command = module.COMMAND
        return loaded

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        typed = args[0]
        if resolve(typed) is None and not typed.startswith("-"):
            raise Failure(
                "usage", f"there is no command {typed!r}", _nearest(typed), status=Status.WRONG_USAGE
            )
        if typed in HABITS and not wants_json(args):
            click.echo(f"pkn: {typed} is called {HABITS[typed]} here", err=True)
        # The command's own name in usage lines, whatever was typed.
        return super().resolve_command(ctx, [resolve(typed) or typed, *args[1:]])

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        sections: dict[str, list[tuple[str, str]]] = {}
        for name, entry in COMMANDS.items():
            also = [alias for alias, target in ALIASES.items() if target == name]
            summary = f"{entry.summary} (alias: {', '.join(also)})" if also else entry.summary
            sections.setdefault(entry.section, []).append((name, summary))
        # One width for all sections, so that their columns stand in line.
        width = max(map(len, COMMANDS))
        for section, rows in sections.items():
            with formatter.section(section):
                formatter.write_dl([(name.ljust(width), summary) for name, summary in rows])

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        write_examples(
            formatter,
            [
                "pkn up",
                "pkn publish notes.md --tag physics",
                "pkn query layer -turbulent",
                "pkn query --help",
            ],
        )

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> NoReturn:
        """Run with every error told in one line; ends the process with the exit status."""
        arguments = sys.argv[1:] if args is None else list(args)

        def run() -> None:
            if complete_var or "_PKN_COMPLETE" in os.environ:
                super(RootGroup, self).main(arguments, "pkn", complete_var, standalone_mode=False, **extra)
                return
            # What click's own main does, less its ways with broken pipes and Ctrl-C.
            with suppress(Exit), self.make_context(prog_name or "pkn", arguments, **extra) as context:
                self.invoke(context)

        sys.exit(run_reported(run, as_json=wants_json(arguments)))


def _nearest(typed: str) -> str:
    import difflib

    near = difflib.get_close_matches(typed, [*COMMANDS, *ALIASES, *HABITS], n=1)
    return f"did you mean pkn {resolve(near[0])}?" if near else "pkn --help lists all"


def _show_version(context: click.Context, _: click.Parameter, value: bool) -> None:
    if value and not context.resilient_parsing:
        from importlib.metadata import version

        click.echo(f"pkn {version('pknd')}")
        context.exit()


@click.group(
    cls=RootGroup,
    name="pkn",
    no_args_is_help=False,
    invoke_without_command=True,
    context_settings={"max_content_width": 100},
)
@click.option(
    "--home", metavar="DIR", help="Whose daemon to speak to (default: PKN_HOME, else your data folder)."
)
@click.option(
    "--version",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_show_version,
    help="Show the version.",
)
@click.pass_context
def pkn(context: click.Context, home: str | None) -> None:
    """Keep, find, judge and share what you know, with the people around you and no server.

    ITEM is an id or its beginning, PERSON the name you gave somebody or the beginning of their key: what the
    first column of every table shows. Each command takes --json. Exit status: 0 done; 1 failed; 2 wrong
    usage, which is what would mean nothing on any machine; 3 your daemon is not running.
    """
    context.obj = App(home)
    if context.invoked_subcommand is None:
        click.echo(context.get_help())
