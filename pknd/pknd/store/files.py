"""Blocks as files: named by their CID, written whole or not at all."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from pkn_protocol.records.ids import Cid, cid_text


class BlockFiles:
    """The folder of block files. Two letters of the name's end make a subfolder: CIDs begin alike."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, cid: Cid) -> Path:
        name = cid_text(cid)
        return self._folder / name[-2:] / name

    def write(self, cid: Cid, block: bytes) -> None:
        """Put a block on disk; when this returns it survives a power cut."""
        path = self.path(cid)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        with temporary.open("wb") as file:
            file.write(block)
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(path)
        descriptor = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def read(self, cid: Cid) -> bytes | None:
        with contextlib.suppress(FileNotFoundError):
            return self.path(cid).read_bytes()
        return None

    def remove(self, cid: Cid) -> None:
        self.path(cid).unlink(missing_ok=True)

    def remove_leftovers(self) -> None:
        """Delete temporary files of a run that was cut short."""
        for path in self._folder.glob("*/.*"):
            path.unlink(missing_ok=True)
