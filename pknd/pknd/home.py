"""The home: where one person's daemon keeps everything, and the lock that lets one daemon in."""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from platformdirs import user_data_dir

from pkn_protocol.control.socket_rules import socket_path
from pknd.errors import DomainError

_FOLDER_MODE = 0o700
_LOCK = "lock"
# By any of these a folder is known as a home, so that its mode may be tightened.
_SIGNS = frozenset({_LOCK, "keys", "config.toml", "pkn.db"})


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
    def lock(self) -> Path:
        return self.folder / _LOCK

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


@contextmanager
def locked(home: Home) -> Iterator[None]:
    """Hold the home's lock: one daemon a home. The lock ends with the process, however it ends.

    Raises:
        HomeUnusable: another daemon holds it, or the lock file cannot be opened.
    """
    try:
        descriptor = os.open(home.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise HomeUnusable(f"{home.lock} cannot be opened: {error.strerror}", "check its owner") from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            other = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip()
            who = f" (process {other})" if other.isdigit() else ""
            raise HomeUnusable(
                f"another pknd{who} is running on {home.folder}",
                "stop it with pkn down, or name another home with --home",
            ) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode("ascii"), 0)
        yield
    finally:
        os.close(descriptor)
