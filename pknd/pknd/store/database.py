"""Opening the database: looked at before it is touched, then its settings and its schema (SPEC, On disk)."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from pathlib import Path
from urllib.parse import quote

from sqlite_utils import Database

from pknd.store.backups import make_backup, newest_backup
from pknd.store.errors import StoreDamaged, StoreTooNew
from pknd.store.failures import translated
from pknd.store.schema import APPLICATION_ID, MIGRATIONS, SCHEMA_VERSION

DATABASE_NAME = "pkn.db"
ALWAYS_CHECKED_BYTES = 64 * 1024 * 1024
"""Up to here the file's structure is checked at every start (some 0.2 s); a larger one after a crash."""
_BUSY_TIMEOUT_MS = 10_000
_READER_CACHE_KIB = 4 * 1024
# The writer's pages of one group commit; beyond that SQLite spills into the log early, which is harmless.
_WRITER_CACHE_KIB = 16 * 1024
_LOG_PAGES = 4000
"""The log is folded in when it has so many pages, some 16 MiB: a page that many writes changed is then copied
and synced once."""


def open_database(path: Path) -> sqlite3.Connection:
    """The writer's connection; the file is created and migrated where need be.

    A file that is damaged, or that a newer program wrote, is refused without changing a byte of it. Before a
    migration a backup is made.

    Raises:
        StoreDamaged, StoreTooNew, StoreUnreadable, DiskFull.
    """
    try:
        if _has_content(path):
            _look(path)
        else:
            path.touch(mode=0o600)
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        try:
            _prepare(connection, path)
        except BaseException:
            connection.close()
            raise
    except (sqlite3.Error, OSError) as error:
        raise translated(error, path) from error
    return connection


def open_reader(path: Path) -> sqlite3.Connection:
    """A connection that can only read; it belongs to one thread at a time."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.execute(f"PRAGMA busy_timeout = {_BUSY_TIMEOUT_MS}")
    connection.execute(f"PRAGMA cache_size = -{_READER_CACHE_KIB}")
    connection.execute("PRAGMA temp_store = MEMORY")
    connection.execute("PRAGMA query_only = ON")
    return connection


def _has_content(path: Path) -> bool:
    return path.exists() and (path.stat().st_size > 0 or _log(path).exists())


def _log(path: Path) -> Path:
    return path.with_name(path.name + "-wal")


def was_closed_in_order(path: Path) -> bool:
    """Whether the last program closed the database: its last connection folds the log in and deletes it."""
    log = _log(path)
    return not log.exists() or log.stat().st_size == 0


def _look(path: Path) -> None:
    # Closing a connection that may write would fold the log into the file; one that may not leaves it. Where
    # there is no log, not even an empty one is made.
    in_order = was_closed_in_order(path)
    uri = f"file:{quote(str(path))}?mode=ro" + ("&immutable=1" if in_order else "")
    with contextlib.closing(sqlite3.connect(uri, uri=True, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA busy_timeout = {_BUSY_TIMEOUT_MS}")
        application = connection.execute("PRAGMA application_id").fetchone()[0]
        if application not in (0, APPLICATION_ID):
            raise StoreDamaged(path, "it is the database of another program", newest_backup(path.parent))
        if connection.execute("PRAGMA user_version").fetchone()[0] > SCHEMA_VERSION:
            raise StoreTooNew(path)
        if path.stat().st_size <= ALWAYS_CHECKED_BYTES or not in_order:
            found = str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
            if found != "ok":
                problem = found.strip().splitlines()[-1]
                raise StoreDamaged(path, problem, newest_backup(path.parent))


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    connection.execute(f"PRAGMA busy_timeout = {_BUSY_TIMEOUT_MS}")
    connection.execute(f"PRAGMA cache_size = -{_WRITER_CACHE_KIB}")
    if connection.execute("PRAGMA page_count").fetchone()[0] == 0:
        # Effective only before the first page is written.
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    connection.execute("PRAGMA journal_mode = WAL").fetchall()
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(f"PRAGMA wal_autocheckpoint = {_LOG_PAGES}")
    connection.execute("PRAGMA secure_delete = ON").fetchall()
    connection.execute("PRAGMA foreign_keys = ON")
    # Journals of statements and sorters hold texts: they stay in memory.
    connection.execute("PRAGMA temp_store = MEMORY")
    database = Database(connection, execute_plugins=False)
    if MIGRATIONS.pending(database):
        if MIGRATIONS.applied(database):
            make_backup(connection, path.parent, now=int(time.time() * 1000))
        MIGRATIONS.apply(database)
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
