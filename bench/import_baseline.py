"""What importing cannot do without: reading, stemming, hashing, signing, SQLite; in a process of its own.

`python -m bench.import_baseline FOLDER DATABASE` prints the seconds that it took.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import sys
import time
from contextlib import closing
from pathlib import Path

from pkn_protocol.records.signing import Ed25519Key
from pkn_protocol.text.analysis import analyse

_A_TRANSACTION = 100


def main() -> None:
    folder, database = Path(sys.argv[1]), Path(sys.argv[2])
    key = Ed25519Key.from_seed(os.urandom(32))
    began = time.perf_counter()
    with closing(sqlite3.connect(database, isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.execute("CREATE TABLE item (id BLOB PRIMARY KEY, signature BLOB, text BLOB)")
        rows: list[tuple[bytes, bytes, bytes]] = []
        for path in sorted(folder.iterdir()):
            data = path.read_bytes()
            analyse(data.decode("utf-8"), "en")
            digest = hashlib.sha256(data).digest()
            rows.append((digest, key.sign(digest), data))
            if len(rows) == _A_TRANSACTION:
                _write(db, rows)
        _write(db, rows)
    print(time.perf_counter() - began)


def _write(db: sqlite3.Connection, rows: list[tuple[bytes, bytes, bytes]]) -> None:
    db.execute("BEGIN")
    db.executemany("INSERT OR IGNORE INTO item VALUES (?, ?, ?)", rows)
    db.execute("COMMIT")
    rows.clear()


if __name__ == "__main__":
    main()
