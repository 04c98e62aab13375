"""The store's own backups of its database: whole copies in the home's folder `backups`.

One is made a day and one before the schema changes, and the latest two are kept. After a retraction all older
ones are deleted: what was retracted is to be in no file. Files of blocks are not copied; a restored database
says of a block that is gone that it is not here.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from datetime import UTC, datetime
from pathlib import Path

BACKUPS_NAME = "backups"
KEPT_BACKUPS = 2
"""The latest, and the one before it in case the latest already holds the damage."""
BACKUP_INTERVAL_MS = 24 * 3_600_000
_NAME_FORMAT = "pkn-%Y%m%dT%H%M%S.db"


def backups(home: Path) -> list[Path]:
    """The backups of a home, newest first."""
    return sorted((home / BACKUPS_NAME).glob("pkn-*.db"), reverse=True)


def newest_backup(home: Path) -> Path | None:
    found = backups(home)
    return found[0] if found else None


def backup_is_due(home: Path, *, now: int) -> bool:
    """Whether a day has passed since the last backup; `now` in ms since 1970."""
    newest = newest_backup(home)
    return newest is None or newest.stat().st_mtime * 1000 + BACKUP_INTERVAL_MS <= now


def make_backup(source: sqlite3.Connection, home: Path, *, now: int) -> Path:
    """Copy the database as one snapshot, whole or not at all; then delete what is beyond KEPT_BACKUPS.

    Writers are not held up. The copy is synced before it gets its name.

    Raises:
        sqlite3.Error, OSError: no copy was made, and what there was is still there.
    """
    folder = home / BACKUPS_NAME
    folder.mkdir(mode=0o700, exist_ok=True)
    remove_unfinished_backups(home)
    target = folder / datetime.fromtimestamp(now / 1000, UTC).strftime(_NAME_FORMAT)
    temporary = target.with_suffix(".new")
    try:
        temporary.touch(mode=0o600)
        with contextlib.closing(sqlite3.connect(temporary, isolation_level=None)) as copy:
            source.backup(copy, pages=-1)
            # A copy is one file: no log of its own beside it.
            copy.execute("PRAGMA journal_mode = DELETE").fetchall()
        sync_path(temporary)
        temporary.rename(target)
        sync_path(folder)
    except (sqlite3.Error, OSError):
        temporary.unlink(missing_ok=True)
        raise
    for old in backups(home)[KEPT_BACKUPS:]:
        old.unlink(missing_ok=True)
    return target


def remove_backups(home: Path, *, keep: Path | None = None) -> None:
    """Delete all backups but one; durable when this returns."""
    for old in backups(home):
        if old != keep:
            old.unlink(missing_ok=True)
    if (home / BACKUPS_NAME).is_dir():
        sync_path(home / BACKUPS_NAME)


def remove_unfinished_backups(home: Path) -> None:
    for path in (home / BACKUPS_NAME).glob("pkn-*.new*"):
        path.unlink(missing_ok=True)


def sync_path(path: Path) -> None:
    """Have the system put a file, or the names in a folder, on disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
