"""What can be wrong with the store, each with what to do."""

from __future__ import annotations

import shlex
from pathlib import Path

from pkn_protocol.control.errors import ErrorCode
from pknd.errors import DomainError


class StoreDamaged(DomainError):
    """The database cannot be read; its files were left as they are, byte by byte.

    The hint is one command that puts them aside and, where there is a backup, puts that in their place. The
    log beside the database has to go with it: replayed into another file it would damage that one too.
    """

    def __init__(self, path: Path, problem: str, backup: Path | None) -> None:
        home, name = shlex.quote(str(path.parent)), shlex.quote(path.name)
        aside = f"cd {home} && mkdir -p damaged && mv {name}* damaged/"
        if backup is None:
            remedy = f"put it aside (`{aside}`) and start again: peers give back what they hold of yours"
        else:
            copy = f"cp {shlex.quote(str(backup.relative_to(path.parent)))} {name}"
            remedy = f"put it aside and use the backup (`{aside} && {copy}`); peers give back what is newer"
        super().__init__(ErrorCode.STORE_DAMAGED, f"the database {path} is damaged ({problem})", remedy)
        self.path = path
        self.backup = backup


class StoreTooNew(DomainError):
    """A later program has written this home."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            "store-too-new",
            f"the database {path} was written by a newer version of pkn",
            "update pkn (pipx upgrade pknd), or use another PKN_HOME",
        )


class StoreUnreadable(DomainError):
    """The system does not let the database be opened, read or written; it may be whole."""

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(
            "store-unreadable",
            f"the database {path} cannot be used ({problem})",
            "check that its folder and files are yours to write, and that the volume is mounted and sound",
        )


class HomeInUse(DomainError):
    """Another daemon serves this home."""

    def __init__(self, home: Path, pid: str) -> None:
        super().__init__(
            "home-in-use",
            f"another daemon (process {pid}) already serves {home}",
            "use it, stop it with `pkn down`, or choose another PKN_HOME",
        )


class DiskFull(DomainError):
    """The volume has no room; nothing of the refused write was kept."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            ErrorCode.NO_ROOM,
            f"there is no room left on the volume of {path}",
            "free some space and try again; nothing that was stored is lost",
        )


class NothingStays(DomainError):
    """What was stored of a content cannot be read back, however often it comes."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            ErrorCode.STORE_DAMAGED,
            f"the content came, and cannot be read back from the volume of {path}",
            "`pkn verify` says what else is affected; check the disk",
        )
