"""What can be wrong with the store, each with what to do."""

from __future__ import annotations

from pathlib import Path

from pkn_protocol.control.errors import ErrorCode
from pknd.errors import DomainError


class StoreDamaged(DomainError):
    """The database cannot be read; it was left as it is."""

    def __init__(self, path: Path, problem: str, backup: Path | None) -> None:
        remedy = (
            f"move {path.name} aside and copy {backup} in its place"
            if backup is not None
            else f"move {path.name} aside and start again: peers give back what they hold of yours"
        )
        super().__init__(ErrorCode.STORE_DAMAGED, f"the database {path} is damaged ({problem})", remedy)


class StoreTooNew(DomainError):
    """A later program has written this home."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            "store-too-new",
            f"the database {path} was written by a newer version of pkn",
            "update pkn (pipx upgrade pknd), or use another PKN_HOME",
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
