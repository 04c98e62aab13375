"""Blocks as files: named by their CID, written whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from pkn_protocol.records.ids import BadId, Cid, cid_text, parse_cid
from pknd.store.backups import sync_path
from pknd.store.partials import PartialFile, Partials

_UNFINISHED = "unfinished"
_PARTIAL = "partial"
_SYNCS_AT_ONCE = 4
"""A disk with a queue takes four files at once three times as fast as one after the other (measured)."""

_WARM_FILES = 64
"""Blocks that came last and stay in the system's cache: 64 MiB, some seconds of the fastest transfer."""


_UNREADABLE = {errno.EIO, errno.EBADMSG, getattr(errno, "EUCLEAN", errno.EIO)}
"""What systems say of a bad sector, and of what their file system knows to be damaged."""


class BlockFiles:
    """The folder of block files. Two letters of the name's end make a subfolder: CIDs begin alike."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.partials = Partials(folder / _PARTIAL)
        self._lock = threading.Lock()
        self._syncing: ThreadPoolExecutor | None = None
        self._warm: deque[Cid] = deque()
        self.spoiled: set[Cid] = set()
        """Blocks that were read in this run, here or in the database, and found lost or spoiled, until good
        ones take their place."""

    @property
    def are_there(self) -> bool:
        """Whether the folder is: it may lie on a volume that is not."""
        return self._folder.is_dir()

    def path(self, cid: Cid) -> Path:
        name = cid_text(cid)
        return self._folder / name[-2:] / name

    def exists(self, cid: Cid) -> bool:
        return self.path(cid).exists()

    def write(self, cid: Cid, block: bytes) -> None:
        """Put a verified block on disk, also in place of a spoiled one; when this returns it survives a power
        cut.

        Any thread may call this before the write that refers to the block (`put_block`), so that the
        writer's thread does not wait for the disk.

        Raises:
            OSError: ENOSPC among others; nothing was left behind.
        """
        path = self.path(cid)
        if path.exists() and self.read(cid) == block:
            self.spoiled.discard(cid)
            return
        unfinished = self._folder / _UNFINISHED
        unfinished.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.parent.exists():
            path.parent.mkdir(mode=0o700, exist_ok=True)
            sync_path(self._folder)
        temporary = unfinished / f"{path.name}.{threading.get_ident()}"
        try:
            with temporary.open("wb") as file:
                file.write(block)
                file.flush()
                os.fsync(file.fileno())
            temporary.rename(path)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise
        sync_path(path.parent)
        self.spoiled.discard(cid)

    def sync(self, block: PartialFile) -> Future[None]:
        """Begin to bring a block that came in full to the disk; raises OSError in the end."""
        return self._threads.submit(block.sync)

    def adopt(self, blocks: Sequence[tuple[Cid, PartialFile]]) -> None:
        """Give blocks that came in full, are verified, and on disk (`sync`) their names; when this returns
        they survive a power cut. Many at once cost little more than one: the file system commits them
        together. One that was deleted meanwhile (`Partials.remove_all`) is passed over, and does not exist.

        Raises:
            OSError: ENOSPC among others.
        """
        folders = {self.path(cid).parent for cid, _ in blocks}
        new = [folder for folder in folders if not folder.exists()]
        for folder in new:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for cid, block in blocks:
            with contextlib.suppress(FileNotFoundError):
                block.path.rename(self.path(cid))
        list(self._threads.map(sync_path, (*folders, *([self._folder] if new else []))))
        self._forget(cid for cid, _ in blocks)

    @property
    def _threads(self) -> ThreadPoolExecutor:
        with self._lock:
            if self._syncing is None:
                self._syncing = ThreadPoolExecutor(_SYNCS_AT_ONCE, "pkn-sync")
            return self._syncing

    def _forget(self, came: Iterable[Cid]) -> None:
        """A film that comes by should not push everybody else's files out of memory; but what came last is
        likely to be read at once."""
        if not hasattr(os, "posix_fadvise"):
            return
        with self._lock:
            self._warm.extend(came)
            old = [self._warm.popleft() for _ in range(len(self._warm) - _WARM_FILES)]
        for cid in old:
            with contextlib.suppress(OSError):
                descriptor = os.open(self.path(cid), os.O_RDONLY | os.O_CLOEXEC)
                try:
                    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
                finally:
                    os.close(descriptor)

    def read(self, cid: Cid) -> bytes | None:
        """A file's bytes; None where it is lost, or the disk cannot read it."""
        try:
            return self.path(cid).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            if error.errno not in _UNREADABLE:
                raise
            return None

    def remove(self, cid: Cid) -> None:
        self.remove_all((cid,))

    def remove_all(self, cids: Iterable[Cid]) -> None:
        """Delete the files of blocks, durably; those that do not exist are passed over."""
        folders = set()
        for cid in cids:
            path = self.path(cid)
            with contextlib.suppress(FileNotFoundError):
                path.unlink()
                folders.add(path.parent)
        for folder in folders:
            sync_path(folder)

    def held(self) -> Iterator[Cid]:
        """The blocks that have a file; names that are no CIDs are passed over."""
        for path in self._folder.glob("??/*"):
            with contextlib.suppress(BadId):
                yield parse_cid(path.name)

    def close(self) -> None:
        """End the threads; nothing is written any more."""
        if self._syncing is not None:
            self._syncing.shutdown()

    def remove_unfinished(self) -> None:
        """Delete what a run that was cut short left; before anything is written."""
        for path in (self._folder / _UNFINISHED).glob("*"):
            path.unlink(missing_ok=True)
