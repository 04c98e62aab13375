"""How each command is declared, so that all read alike: summary, what it prints, options, example."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import click

from pkn_cli.context import App

Callback = Callable[..., None]


class PknCommand(click.Command):
    """A command with `--json`; `prints` says what appears on stdout, `examples` can be run as they stand."""

    def __init__(self, *arguments: Any, prints: str, examples: Sequence[str], **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.prints = prints
        self.examples = tuple(examples)
        self.params.append(_json_option())

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        formatter.write_paragraph()
        with formatter.indentation():
            formatter.write_text(f"Prints {self.prints}")
        super().format_options(ctx, formatter)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        write_examples(formatter, self.examples)


class DefaultGroup(click.Group):
    """A group whose subcommand `default` runs when none is named."""

    def __init__(self, *arguments: Any, default: str, **options: Any) -> None:
        super().__init__(*arguments, **{"no_args_is_help": False, **options})
        self.default = default

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or (args[0].startswith("-") and args[0] != "--help"):
            args = [self.default, *args]
        return super().parse_args(ctx, args)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        formatter.write_paragraph()
        with formatter.indentation():
            formatter.write_text(f"Without a command: {self.default}.")
        examples = [
            example
            for name in self.list_commands(ctx)
            if isinstance(command := self.get_command(ctx, name), PknCommand)
            for example in command.examples
        ]
        write_examples(formatter, examples)


def command(name: str, *, prints: str, examples: Sequence[str], **options: Any) -> Callable[[Callback], Any]:
    """Declare a command; its function is called with the `App` and the parameters.

    The docstring is the help: one imperative line, then what one should know.
    """

    def declare(function: Callback) -> click.Command:
        declared: click.Command = click.command(
            name, cls=PknCommand, prints=prints, examples=examples, **options
        )(click.pass_obj(function))
        return declared

    return declare


def _json_option() -> click.Option:
    def note(context: click.Context, _: click.Parameter, value: bool) -> None:
        app = context.find_object(App)
        if value and app is not None:
            app.json = True

    return click.Option(
        ["--json"], is_flag=True, expose_value=False, is_eager=True, callback=note, help="Print JSON."
    )


def write_examples(formatter: click.HelpFormatter, examples: Sequence[str]) -> None:
    """The examples under a heading of their own, unwrapped, so that they can be copied."""
    with formatter.section("Example" if len(examples) == 1 else "Examples"):
        for example in examples:
            formatter.write(f"{'':>{formatter.current_indent}}{example}\n")
