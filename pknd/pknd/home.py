"""The home: the folder where one person's daemon keeps everything."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from platformdirs import user_data_dir

from pkn_protocol.control.socket_rules import socket_path
from pknd.errors import DomainError
from pknd.store.lock import LOCK_NAME

_FOLDER_MODE = 0o700
# By any of these a folder is known as a home, so that its mode may be tightened.
_SIGNS = frozenset({LOCK_NAME, "keys", "config.toml", "pkn.db"})


class HomeUnusable(DomainError):
    def __init__(self, message: str, hint: str) -> None:
        super().__init__("home-unusable", message, hint)


@dataclass(frozen=True, slots=True)
class Home:
    """Paths in one home; `folder` is absolute, with links resolved."""

    folder: Path

    @property
    def config(self) -> Path:
        return self.folder / "config.toml"

    @property
    def keys(self) -> Path:
        return self.folder / "keys"

    @property
    def database(self) -> Path:
        return self.folder / "pkn.db"

    @property
    def blocks(self) -> Path:
        return self.folder / "blocks"

    @property
    def log(self) -> Path:
        return self.folder / "pknd.log"

    @property
    def socket(self) -> Path:
        """Where the control socket lies: here, or for a long path in a runtime folder named after it."""
        return Path(socket_path(str(self.folder), os.geteuid()))


def home_folder(given: str | None) -> Path:
    """The folder asked for: `--home`, else PKN_HOME, else the platform's data folder."""
    chosen = given or os.environ.get("PKN_HOME") or user_data_dir("pkn", appauthor=False)
    return Path(os.path.realpath(Path(chosen).expanduser()))


def open_home(folder: Path) -> Home:
    """The home at `folder`, made with mode 0700 where there is none.

    An empty folder, or one that is a home already, is tightened to 0700. Any other folder is refused rather
    than changed: a mistyped PKN_HOME must not lock its owner's files away.

    Raises:
        HomeUnusable: it is not a folder, not ours, holds other things, or cannot be made.
    """
    try:
        folder.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
        about = folder.stat()
        names = {entry.name for entry in folder.iterdir()}
    except FileExistsError:
        raise HomeUnusable(f"{folder} is not a folder", "name another one with --home") from None
    except OSError as error:
        raise HomeUnusable(
            f"the home {folder} cannot be used: {error.strerror}",
            "check its owner, or name another with --home",
        ) from error
    if about.st_uid != os.geteuid():
        raise HomeUnusable(f"{folder} belongs to another user", "name a folder of your own with --home")
    if stat.S_IMODE(about.st_mode) != _FOLDER_MODE:
        if names and not names & _SIGNS:
            raise HomeUnusable(
                f"{folder} holds other things and is open to others", "name a folder of its own with --home"
            )
        folder.chmod(_FOLDER_MODE)
    return Home(folder)
