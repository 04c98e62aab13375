"""Blocks of payloads: small ones in the database, larger ones as files, those of own files where they lie.

Whatever is read is compared with its CID: what the disk has spoiled, or somebody has edited, is never served.
"""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from pkn_protocol.control.status import LogLevel
from pkn_protocol.records.ids import Cid, cid_text, matches
from pkn_protocol.records.payload import BLOCK_BYTES, SEALED_CHUNK_BYTES, seal_chunk
from pknd import log
from pknd.store.files import BlockFiles
from pknd.store.originals import (
    OriginalChanged,
    bytes_lost,
    forget_places_in_lost_originals,
    lost_original,
)
from pknd.store.records import VISIBLE
from pknd.store.rows import insert_rows

IN_ROW_BYTES = 64 * 1024
"""Up to here SQLite reads blobs faster than the file system opens files."""
_ROW, _FILE, _OWN_FILE = 0, 1, 2


@dataclass(frozen=True, slots=True)
class OwnFile:
    """An own file that stays where it is; its chunks are made from it again when they are asked for."""

    path: Path
    size: int
    mtime_ns: int
    key: bytes | None
    chunks: tuple[Cid, ...]


def put_block(db: sqlite3.Connection, files: BlockFiles, cid: Cid, block: bytes, *, record: int) -> None:
    """Keep a verified block for a record, in place of what the disk has spoiled; see `put_blocks`."""
    put_blocks(db, files, [(cid, block, record)])


def put_blocks(db: sqlite3.Connection, files: BlockFiles, blocks: Sequence[tuple[Cid, bytes, int]]) -> None:
    """Keep verified blocks for records (CID, block, the record's row); a file is on disk before the row that
    says so. What is there already and is not as it should be is replaced.

    A file is written here unless somebody has written it before (`BlockFiles.write`, in another thread).
    """
    forget_places_in_lost_originals(db, [cid for cid, _, _ in blocks])
    small = [one for one in blocks if len(one[1]) <= IN_ROW_BYTES]
    insert_rows(
        db,
        "INSERT INTO block (cid, size, place, data)",
        4,
        [(cid, len(block), _ROW, block) for cid, block, _ in small],
        then=f"ON CONFLICT (cid) DO UPDATE SET size = excluded.size, data = excluded.data"
        f" WHERE place = {_ROW} AND data IS NOT excluded.data",
    )
    insert_rows(
        db,
        "INSERT OR IGNORE INTO block_use (cid, record)",
        2,
        [(cid, record) for cid, _, record in blocks],
    )
    for cid, block, _ in blocks:
        if len(block) > IN_ROW_BYTES and (cid in files.spoiled or not has_block(db, cid)):
            files.write(cid, block)
            db.execute(
                "INSERT OR IGNORE INTO block (cid, size, place) VALUES (?, ?, ?)", (cid, len(block), _FILE)
            )
        files.spoiled.discard(cid)


def put_files(
    db: sqlite3.Connection, files: BlockFiles, blocks: Sequence[tuple[Cid, int]], *, record: int
) -> list[Cid]:
    """Keep blocks, as (cid, bytes), whose files have been written (`BlockFiles.adopt`); those that are kept.
    A file without a row may have been taken for a stray one and deleted meanwhile."""
    kept = []
    forget_places_in_lost_originals(db, [cid for cid, _ in blocks if files.exists(cid)])
    for cid, size in blocks:
        if cid in files.spoiled or not has_block(db, cid):
            if not files.exists(cid):
                continue
            files.spoiled.discard(cid)
            db.execute("INSERT OR IGNORE INTO block (cid, size, place) VALUES (?, ?, ?)", (cid, size, _FILE))
        db.execute("INSERT OR IGNORE INTO block_use (cid, record) VALUES (?, ?)", (cid, record))
        kept.append(cid)
    return kept


def use_blocks(db: sqlite3.Connection, cids: Iterable[Cid], *, record: int) -> set[Cid]:
    """Those of some blocks that are held for whatever item; the record needs them from now on."""
    held = {cid for cid in cids if has_block(db, cid)}
    db.executemany("INSERT OR IGNORE INTO block_use (cid, record) VALUES (?, ?)", [(c, record) for c in held])
    return held


class HeldBlock(NamedTuple):
    """A block that is held: its bytes, and whether for the record in question among others."""

    size: int
    is_used: bool


def held_blocks(db: sqlite3.Connection, cids: Iterable[Cid], *, record: int) -> dict[Cid, HeldBlock]:
    """Those of some blocks that are held for whatever record."""
    held = {}
    for cid in cids:
        row = db.execute(
            "SELECT size, EXISTS (SELECT 1 FROM block_use WHERE cid = ?1 AND record = ?2)"
            " FROM block WHERE cid = ?1",
            (cid, record),
        ).fetchone()
        if row is not None:
            held[cid] = HeldBlock(row[0], bool(row[1]))
    return held


def count_used(db: sqlite3.Connection, record: int) -> int:
    """How many blocks are held for a record."""
    row = db.execute("SELECT count(*) FROM block_use WHERE record = ?", (record,)).fetchone()
    return int(row[0])


def blocks_used(db: sqlite3.Connection, record: int) -> list[Cid]:
    """The blocks held for a record, those of own files left out."""
    found = db.execute(
        "SELECT cid FROM block WHERE place <> ? AND cid IN (SELECT cid FROM block_use WHERE record = ?)",
        (_OWN_FILE, record),
    )
    return [Cid(cid) for (cid,) in found]


def bytes_used(db: sqlite3.Connection, record: int) -> int:
    """The bytes of the blocks held for a record; those in own files count while these are as they were."""
    row = db.execute(
        "SELECT coalesce(sum(size), 0) FROM block WHERE cid IN (SELECT cid FROM block_use WHERE record = ?)",
        (record,),
    ).fetchone()
    return int(row[0]) - bytes_lost(db, record)


def put_own_file(db: sqlite3.Connection, own: OwnFile, *, record: int) -> None:
    """Reference an own file's chunks in place; chunks that an earlier state of a file had are read from this
    one from now on."""
    cursor = db.execute(
        "INSERT INTO own_file (path, size, mtime_ns, key) VALUES (?, ?, ?, ?)",
        (os.fsencode(own.path), own.size, own.mtime_ns, own.key),
    )
    step = BLOCK_BYTES if own.key is None else SEALED_CHUNK_BYTES
    seal = 0 if own.key is None else BLOCK_BYTES - SEALED_CHUNK_BYTES
    db.executemany(
        "INSERT INTO block (cid, size, place, own_file, position) VALUES (?, ?, ?, ?, ?) ON CONFLICT (cid)"
        " DO UPDATE SET own_file = excluded.own_file, position = excluded.position"
        " WHERE place = excluded.place",
        [
            (cid, min(step, own.size - number * step) + seal, _OWN_FILE, cursor.lastrowid, number)
            for number, cid in enumerate(own.chunks)
        ],
    )
    db.executemany(
        "INSERT OR IGNORE INTO block_use (cid, record) VALUES (?, ?)", [(cid, record) for cid in own.chunks]
    )
    db.execute(
        "DELETE FROM own_file WHERE path = ? AND NOT EXISTS"
        " (SELECT 1 FROM block WHERE block.own_file = own_file.rowid)",
        (os.fsencode(own.path),),
    )


def set_complete(db: sqlite3.Connection, record: int) -> None:
    """All blocks of a record's payload are here."""
    db.execute("UPDATE payload SET complete = 1 WHERE record = ?", (record,))


def is_complete(db: sqlite3.Connection, record: int) -> bool:
    """Whether a record's whole payload can be read here; an own file counts while it is as it was."""
    row = db.execute("SELECT complete FROM payload WHERE record = ?", (record,)).fetchone()
    return row is not None and bool(row[0]) and lost_original(db, record) is None


def has_block(db: sqlite3.Connection, cid: Cid) -> bool:
    return block_size(db, cid) is not None


def block_size(db: sqlite3.Connection, cid: Cid) -> int | None:
    """The bytes of a block; None where it is not held."""
    row = db.execute("SELECT size FROM block WHERE cid = ?", (cid,)).fetchone()
    return None if row is None else int(row[0])


def is_own_file(db: sqlite3.Connection, cid: Cid) -> bool:
    """Whether a block is read from an own file."""
    row = db.execute("SELECT place FROM block WHERE cid = ?", (cid,)).fetchone()
    return row is not None and row[0] == _OWN_FILE


def get_block(db: sqlite3.Connection, files: BlockFiles, cid: Cid) -> bytes | None:
    """A block's bytes; None where it is not held, or its file was lost or spoiled.

    Raises:
        OriginalChanged: it is part of an own file that was changed or is gone.
    """
    row = db.execute("SELECT place, data, own_file, position FROM block WHERE cid = ?", (cid,)).fetchone()
    if row is None:
        return None
    place, data, own_file, position = row
    if place != _OWN_FILE:
        block = bytes(data) if place == _ROW else files.read(cid)
        if block is not None and matches(cid, block):
            files.spoiled.discard(cid)
            return block
        if cid not in files.spoiled and (place == _ROW or files.are_there):
            files.spoiled.add(cid)
            log.event("store.block_lost", LogLevel.WARNING, cid=cid_text(cid), spoiled=block is not None)
        return None
    path, size, mtime_ns, key = db.execute(
        "SELECT path, size, mtime_ns, key FROM own_file WHERE rowid = ?", (own_file,)
    ).fetchone()
    return read_own_file(Path(os.fsdecode(path)), size, mtime_ns, key, position, cid)


def read_own_file(path: Path, size: int, mtime_ns: int, key: bytes | None, position: int, cid: Cid) -> bytes:
    """A block that is part `position` of an own file.

    Raises:
        OriginalChanged: the file, or that part of it, is not what it was.
    """
    step = BLOCK_BYTES if key is None else SEALED_CHUNK_BYTES
    try:
        # Without blocking: a pipe may lie there now.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            about = os.fstat(descriptor)
            if not stat.S_ISREG(about.st_mode) or (about.st_size, about.st_mtime_ns) != (size, mtime_ns):
                raise OriginalChanged(path, "was changed")
            part = os.pread(descriptor, step, position * step)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise OriginalChanged(path, f"cannot be read any more ({error.strerror})") from error
    block = part if key is None else seal_chunk(key, position, part)
    if not matches(cid, block):
        raise OriginalChanged(path, "was changed")
    return block


def scopes_using(db: sqlite3.Connection, cid: Cid) -> set[bytes]:
    """The scopes of the records that need a block; who may see one of them may have it."""
    found = db.execute(
        "SELECT DISTINCT record.scope FROM block_use JOIN record ON record.rowid = block_use.record"
        " WHERE block_use.cid = ?",
        (cid,),
    )
    return {scope for (scope,) in found}


def missing_payloads(
    db: sqlite3.Connection,
    authors: Collection[bytes],
    *,
    most_bytes: int,
    limit: int,
    without: Collection[Cid] = (),
) -> list[tuple[int, Cid]]:
    """(row, id) of visible items by the given authors whose content of at most `most_bytes` (plaintext) is
    not here, newest first; those of `without` do not count."""
    found = db.execute(
        "SELECT record.rowid, record.author, record.id"  # noqa: S608
        " FROM payload JOIN record ON record.rowid = payload.record"
        f" WHERE NOT payload.complete AND payload.size <= ? AND {VISIBLE} ORDER BY record.time DESC",
        (most_bytes,),
    )
    wanted = ((row, Cid(cid)) for row, author, cid in found if author in authors and cid not in without)
    return list(islice(wanted, limit))
