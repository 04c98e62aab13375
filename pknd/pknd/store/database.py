"""Opening the database: its settings, its schema, and what is done when it cannot be used."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

from sqlite_utils import Database

from pknd.store.errors import DiskFull, StoreDamaged, StoreTooNew
from pknd.store.schema import APPLICATION_ID, MIGRATIONS, SCHEMA_VERSION

DATABASE_NAME = "pkn.db"
BACKUP_NAME = "pkn.backup.db"
_BUSY_TIMEOUT_MS = 10_000
# 8 MiB of pages a connection; the index of 100,000 items is read through the system's own cache.
_CACHE_KIB = 8 * 1024


def open_database(path: Path) -> sqlite3.Connection:
    """The writer's connection, the file created and migrated where need be.

    Raises:
        StoreDamaged, StoreTooNew, DiskFull.
    """
    fresh = not path.exists()
    try:
        connection = _connect(path)
        if fresh:
            # Both must be set before the first page is written.
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
            path.chmod(0o600)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA secure_delete = ON")
        connection.execute("PRAGMA foreign_keys = ON")
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version > SCHEMA_VERSION:
            connection.close()
            raise StoreTooNew(path)
        if not fresh:
            _check(connection, path)
        MIGRATIONS.apply(Database(connection, execute_plugins=False))
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        connection.commit()
    except sqlite3.Error as error:
        raise translated(error, path) from error
    return connection


def open_reader(path: Path) -> sqlite3.Connection:
    """A connection that can only read."""
    connection = _connect(path)
    connection.execute("PRAGMA query_only = ON")
    return connection


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.execute(f"PRAGMA busy_timeout = {_BUSY_TIMEOUT_MS}")
    connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
    return connection


def _check(connection: sqlite3.Connection, path: Path) -> None:
    """The structure of the file, every start: milliseconds for a home of some ten thousand records."""
    result = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if result != "ok":
        connection.close()
        raise StoreDamaged(path, str(result).splitlines()[0], backup_of(path))


def backup_of(path: Path) -> Path | None:
    backup = path.with_name(BACKUP_NAME)
    return backup if backup.exists() else None


def back_up(connection: sqlite3.Connection, path: Path) -> None:
    """Write the backup beside the database, whole or not at all."""
    target = path.with_name(BACKUP_NAME)
    temporary = target.with_suffix(".new")
    temporary.unlink(missing_ok=True)
    with contextlib.closing(sqlite3.connect(temporary)) as copy:
        temporary.chmod(0o600)
        connection.backup(copy, pages=1024)
    temporary.rename(target)


def translated(error: sqlite3.Error, path: Path) -> Exception:
    """The typed error for what SQLite reports; the error itself where there is none."""
    code = getattr(error, "sqlite_errorcode", None)
    primary = code & 0xFF if code is not None else None
    if primary == sqlite3.SQLITE_FULL or (code == sqlite3.SQLITE_IOERR_WRITE):
        return DiskFull(path)
    if primary in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return StoreDamaged(path, str(error), backup_of(path))
    return error
