"""From what SQLite and the system report to the errors that a user can act on."""

from __future__ import annotations

import errno
import sqlite3
from pathlib import Path

from pknd.store.backups import newest_backup
from pknd.store.errors import DiskFull, StoreDamaged, StoreUnreadable

_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
# A write that the system cuts short: the volume, a quota, or a limit on the size of files.
_FULL_CODES = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_SHMSIZE})
_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_UNREADABLE = frozenset(
    {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_IOERR}
)


def translated(error: BaseException, path: Path) -> BaseException:
    """The typed error for a failure around the database at `path`; the error itself where there is none."""
    if isinstance(error, OSError):
        return DiskFull(path) if error.errno in _NO_ROOM else error
    if not isinstance(error, sqlite3.Error):
        return error
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:
        return error
    primary = code & 0xFF
    if code in _FULL_CODES or primary == sqlite3.SQLITE_FULL:
        return DiskFull(path)
    if primary in _DAMAGED:
        return StoreDamaged(path, str(error), newest_backup(path.parent))
    if primary in _UNREADABLE:
        return StoreUnreadable(path, str(error))
    return error
