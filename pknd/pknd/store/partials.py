"""Blocks that are being fetched, as files that grow: what broke off goes on where it stopped, by any run.

They are verified with the whole block, never by themselves.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

from pkn_protocol.records.ids import Cid, cid_digest, cid_text

_MOST_FILES = 64
"""Each is at most a block of 1 MiB; the oldest go first."""
_WORTH_BYTES = 64 * 1024
"""Less is sooner fetched again than kept."""
_READ_BYTES = 256 * 1024
_NONE = -1


class Partials:
    """A folder of beginnings. Methods block, and may be called by any thread."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._open: set[Path] = set()

    def open(self, cid: Cid, *, most_bytes: int) -> PartialFile:
        """The beginning of a block, to be gone on with; it is looked at when it `begin`s."""
        name = cid_text(cid)
        with self._lock:
            number, path = 0, self._folder / name
            # Two items may have a block in common, and be fetched at the same time.
            while path in self._open:
                number, path = number + 1, self._folder / f"{name}.{number}"
            self._open.add(path)
        return PartialFile(path, most_bytes, self._closed)

    def trim(self) -> None:
        """Delete the oldest beyond a number; before fetches, or after."""
        with contextlib.suppress(OSError):
            for path in self._idle()[:-_MOST_FILES]:
                path.unlink(missing_ok=True)

    def remove_all(self) -> None:
        """Delete every beginning: something that was retracted may be among them. Who is writing one finds
        it gone in the end, and fetches that block again."""
        for path in self._folder.glob("*"):
            path.unlink(missing_ok=True)

    def _idle(self) -> list[Path]:
        with self._lock:
            found = [path for path in self._folder.glob("*") if path not in self._open]
        return sorted(found, key=lambda path: path.stat().st_mtime_ns)

    def _closed(self, path: Path) -> None:
        with self._lock:
            self._open.discard(path)


class PartialFile:
    """One block on its way to the disk (a `Receiving`); `close` it in the end.

    `length` are the bytes that are there, `had` those of an earlier transfer.
    """

    def __init__(self, path: Path, most_bytes: int, closed: Callable[[Path], None]) -> None:
        self.path = path
        self.length = 0
        self.had = 0
        self._most_bytes = most_bytes
        self._digest = sha256()
        self._on_closed = closed
        self._descriptor = _NONE
        self._closing = threading.Lock()
        self._is_closed = False

    def begin(self) -> None:
        """Open the file and read what is there; nothing where that is longer than the block can be.

        Raises:
            OSError.
        """
        try:
            self._descriptor = self._opened()
        except FileNotFoundError:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._descriptor = self._opened()
        while piece := os.read(self._descriptor, _READ_BYTES):
            self.length += len(piece)
            if self.length > self._most_bytes:
                self.clear()
                break
            self._digest.update(piece)
        self.had = self.length

    def _opened(self) -> int:
        return os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def take(self, piece: memoryview) -> None:
        """Append; raises OSError, and what was written until then stays."""
        self._digest.update(piece)
        done = 0
        try:
            while done < len(piece):
                done += os.write(self._descriptor, piece[done:])
        except OSError:
            # The digest is ahead of the file now: nobody goes on with this object.
            os.ftruncate(self._descriptor, self.length)
            raise
        self.length += done

    def clear(self) -> None:
        os.ftruncate(self._descriptor, 0)
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        self.length = 0
        self._digest = sha256()

    def is_block(self, cid: Cid) -> bool:
        return self._digest.digest() == cid_digest(cid)

    def end(self) -> None:
        """Nothing more comes."""

    def sync(self) -> None:
        """Until the bytes are on disk."""
        os.fsync(self._descriptor)

    def close(self, *, keep: bool = True) -> None:
        """Let go, once or more often, of any thread; the beginning stays where it is worth it."""
        with self._closing:
            if self._is_closed:
                # By now somebody else may have opened a file of that name.
                return
            self._is_closed = True
            descriptor, self._descriptor = self._descriptor, _NONE
        if descriptor != _NONE:
            os.close(descriptor)
            if not keep or self.length < _WORTH_BYTES:
                self.path.unlink(missing_ok=True)
        self._on_closed(self.path)
