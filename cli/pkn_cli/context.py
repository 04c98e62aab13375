"""What every command is handed: the home, the way to the daemon, and how to answer."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from pkn_cli.output.foreign import harmless

if TYPE_CHECKING:
    from pkn_cli.client import ControlClient


class App:
    """One run of the command. `home_option` is what `--home` said; `json` whether to print JSON."""

    def __init__(self, home_option: str | None) -> None:
        self.home_option = home_option
        self.json = False
        self._client: ControlClient | None = None

    @property
    def home(self) -> Path:
        from pkn_cli.home import home_folder

        return home_folder(self.home_option)

    @property
    def client(self) -> ControlClient:
        if self._client is None:
            from pkn_cli.client import ControlClient

            self._client = ControlClient(self.home, start_hint=f"start it with: {self.typed('up')}")
        return self._client

    def typed(self, command: str) -> str:
        """A command as one has to type it to reach the same home."""
        if self.home_option is None:
            return f"pkn {command}"
        import shlex

        return f"pkn --home {shlex.quote(self.home_option)} {command}"

    def print_json(self, document: object) -> None:
        """One JSON document on stdout, with line breaks for a terminal.

        ASCII alone: foreign text then carries no control or bidirectional character to a terminal.
        """
        import json
        import sys

        click.echo(json.dumps(document, indent=2 if sys.stdout.isatty() else None))

    def say(self, text: str = "") -> None:
        """A line for people on stdout; foreign text in it was made harmless before."""
        click.echo(text)

    def note(self, text: str) -> None:
        """A line beside the result, on stderr, for people alone."""
        if not self.json:
            click.echo(harmless(text), err=True)
