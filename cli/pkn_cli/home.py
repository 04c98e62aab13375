"""Where the home is: the same rule as the daemon's."""

from __future__ import annotations

import os
from pathlib import Path

from pkn_protocol.control.socket_rules import socket_path


def home_folder(given: str | None) -> Path:
    """`--home`, else PKN_HOME, else the platform's data folder; absolute, with links resolved."""
    chosen = given or os.environ.get("PKN_HOME")
    if not chosen:
        from platformdirs import user_data_dir

        chosen = user_data_dir("pkn", appauthor=False)
    return Path(os.path.realpath(Path(chosen).expanduser()))


def control_socket(home: Path) -> Path:
    """Where the daemon of a home listens for its user's commands."""
    return Path(socket_path(str(home), os.geteuid()))
