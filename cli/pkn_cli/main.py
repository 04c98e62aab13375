"""The entry point `pkn`."""

from __future__ import annotations

from pkn_cli.root import pkn


def main() -> None:
    """Run the command line; ends the process with the exit status."""
    pkn.main()
