"""Asking before something is done, on a terminal only."""

from __future__ import annotations

import click

from pkn_cli.failures import Failure


def confirm(question: str, *, otherwise: str) -> None:
    """Ask on stderr; a question is asked only where `output.terminal.can_ask` says so.

    Raises:
        Failure: the answer was no; `otherwise` says what did not happen.
    """
    if not click.confirm(question, err=True):
        raise Failure("declined", otherwise)
