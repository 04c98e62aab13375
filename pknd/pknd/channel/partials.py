"""What came of blocks whose transfer broke off, so that the next try need not begin anew."""

from __future__ import annotations

import contextlib
from pathlib import Path

from pkn_protocol.records.ids import Cid, cid_text

_MOST_FILES = 64
"""Each is less than a block of 1 MiB; the oldest goes first."""
_SUFFIX = ".part"
_WORTH_BYTES = 64 * 1024
"""Less is sooner fetched again than kept."""


class Partials:
    """A folder of beginnings. They are verified with the whole block, never by themselves."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def load(self, cid: Cid, most_bytes: int) -> bytes:
        """The beginning of a block; empty where there is none."""
        with contextlib.suppress(OSError), self._path(cid).open("rb") as file:
            return file.read(most_bytes)
        return b""

    def save(self, cid: Cid, beginning: bytes) -> None:
        """Keep a beginning if it is worth it; that it cannot be kept is no failure."""
        if len(beginning) < _WORTH_BYTES:
            return
        with contextlib.suppress(OSError):
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._path(cid).write_bytes(beginning)
            self._make_room()

    def drop(self, cid: Cid) -> None:
        with contextlib.suppress(OSError):
            self._path(cid).unlink()

    def _path(self, cid: Cid) -> Path:
        return self._folder / (cid_text(cid) + _SUFFIX)

    def _make_room(self) -> None:
        files = sorted(self._folder.glob(f"*{_SUFFIX}"), key=lambda path: path.stat().st_mtime_ns)
        for path in files[:-_MOST_FILES]:
            path.unlink(missing_ok=True)
