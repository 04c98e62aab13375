"""Writing a file so that it is there whole or not at all."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from pkn_cli.failures import Failure

# NAME_MAX is 255 bytes; the temporary name adds a dot, a process id and an ending.
_STEM_CHARS = 50


def save(target: str, pieces: Iterable[bytes]) -> None:
    """Write `pieces` to `target` through a file beside it, which takes its place when it is on disk.

    A device or pipe is written to as it is.

    Raises:
        Failure: `target` is a folder, or lies in none.
        OSError: the disk said no.
    """
    path = Path(target)
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        mode = None
    if mode is not None and stat.S_ISDIR(mode):
        raise Failure("is-a-folder", f"{target} is a folder", "name a file in it")
    if mode is not None and not stat.S_ISREG(mode):
        with path.open("wb") as special:
            special.writelines(pieces)
        return
    if not path.parent.is_dir():
        raise Failure("no-such-folder", f"there is no folder {path.parent}", "make it first")
    # Through a link to its target, as any editor would.
    _replace(Path(os.path.realpath(path)), pieces, mode)


def _replace(path: Path, pieces: Iterable[bytes], mode: int | None) -> None:
    part = path.with_name(f".{path.name[:_STEM_CHARS]}.{os.getpid()}.part")
    try:
        with part.open("xb") as file:
            if mode is not None:
                os.fchmod(file.fileno(), stat.S_IMODE(mode))
            file.writelines(pieces)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        with suppress(FileNotFoundError):
            part.unlink()
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
