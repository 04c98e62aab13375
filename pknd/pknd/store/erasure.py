"""What was deleted is to be in no file: the log, free space inside pages, files of blocks, backups.

Secure delete overwrites a deleted row where it lies. That is not enough: the log holds earlier images of the
page, and when SQLite divides or joins pages it leaves copies of rows in the unused part of a page (1 of 1,500
deleted rows was found there). So after a retraction the log is folded in and cut to nothing and the file is
written anew (VACUUM). What is still to be done is a row of table `erasure`, written in the same transaction
as the deletion, so that it is finished after a crash as well.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable
from pathlib import Path

from pkn_protocol.control.status import LogLevel
from pkn_protocol.records.ids import Cid
from pknd import log
from pknd.search.index import tidy_now
from pknd.store.backups import make_backup, remove_backups
from pknd.store.files import BlockFiles
from pknd.store.readers import ReaderPool

IN_FILE = 1
"""The place of a block that has a file (SPEC, On disk)."""
PAGES = b""
"""In place of a CID: pages of the database and backups hold what was deleted."""
STRAYS = b"\x00"
"""In place of a CID: beginnings of blocks, and files that no row tells of. Done once a retraction, whereas
PAGES may be tried again after every write: whoever is fetching something would begin anew each time."""
AT_ONCE_BYTES = 64 * 1024 * 1024
"""A database up to this size is written anew at once (a second at most); a larger one by `maintain`."""
IDLE_SECONDS = 0.5
"""Retractions of others that arrive in a row are erased together, when the writer has nothing to do."""
_READERS_WAIT_SECONDS = 5.0


def erasure_needed(db: sqlite3.Connection) -> None:
    """Note, in the transaction that deletes something retracted, that its traces are to be erased."""
    db.executemany("INSERT OR IGNORE INTO erasure (cid) VALUES (?)", [(PAGES,), (STRAYS,)])


def file_unneeded(db: sqlite3.Connection, cid: bytes) -> None:
    """Note that the file of a block is to be deleted."""
    db.execute("INSERT OR IGNORE INTO erasure (cid) VALUES (?)", (cid,))


class Eraser:
    """Works in the writer's thread, between transactions."""

    def __init__(
        self, connection: sqlite3.Connection, path: Path, files: BlockFiles, readers: ReaderPool
    ) -> None:
        self._connection = connection
        self._path = path
        self._files = files
        self._readers = readers

    @property
    def is_due(self) -> bool:
        return self._connection.execute("SELECT 1 FROM erasure LIMIT 1").fetchone() is not None

    def erase(self, *, however_large: bool) -> bool:
        """Do what is noted; whether nothing is left to do.

        A failure (no room, somebody else reading the file) is logged, and the work stays noted.
        """
        noted = {bytes(cid) for (cid,) in self._connection.execute("SELECT cid FROM erasure")}
        if not noted:
            return True
        try:
            if STRAYS in noted:
                self._files.partials.remove_all()
                self.remove_stray_files()
                self._connection.execute("DELETE FROM erasure WHERE cid = ?", (STRAYS,))
            done = self._rewrite(however_large=however_large) if PAGES in noted else True
            self._remove_files(noted - {PAGES, STRAYS})
        except (sqlite3.Error, OSError) as error:
            log.event("store.erasure_failed", LogLevel.WARNING, error=str(error))
            return False
        if done:
            self._connection.execute("DELETE FROM erasure WHERE cid = ?", (PAGES,))
        return done

    def remove_stray_files(self) -> None:
        """Delete files of blocks that no row tells of: their write was refused, or a crash came before it.

        One that somebody is about to refer to is written again then (`put_block`).
        """
        self._files.remove_all(self._unneeded(self._files.held()))

    def _rewrite(self, *, however_large: bool) -> bool:
        remove_backups(self._path.parent)
        with self._connection:
            self._connection.execute("BEGIN IMMEDIATE")
            tidy_now(self._connection)
        small = self._path.stat().st_size <= AT_ONCE_BYTES
        with self._readers.paused(seconds=_READERS_WAIT_SECONDS) as quiet:
            if not quiet or not self._fold_log():
                log.event("store.erasure_delayed", LogLevel.WARNING, reason="the database is being read")
                return False
            if small or however_large:
                self._connection.execute("VACUUM")
            else:
                self._connection.execute("PRAGMA incremental_vacuum").fetchall()
            folded = self._fold_log()
        if not (folded and (small or however_large)):
            return False
        make_backup(self._connection, self._path.parent, now=int(time.time() * 1000))
        return True

    def _fold_log(self) -> bool:
        busy, _, _ = self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        return not busy

    def _remove_files(self, cids: set[bytes]) -> None:
        self._files.remove_all(self._unneeded(map(Cid, cids)))
        self._connection.executemany("DELETE FROM erasure WHERE cid = ?", [(cid,) for cid in cids])

    def _unneeded(self, cids: Iterable[Cid]) -> list[Cid]:
        in_file = "SELECT 1 FROM block WHERE cid = ? AND place = ?"
        return [c for c in cids if self._connection.execute(in_file, (c, IN_FILE)).fetchone() is None]
