"""A full disk: said as such, nothing half kept or falsely acknowledged, and it goes on once there is room."""

from __future__ import annotations

import os
import sqlite3
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from pkn_protocol.records.ids import raw_cid
from pkn_protocol.records.model import Payload
from pknd.store.blocks import get_block, put_block
from pknd.store.errors import DiskFull
from pknd.store.ingest import ingest
from pknd.store.records import counts, is_held
from pknd.store.store import Store
from tests.pknd.store.people import NOW, Person

pytestmark = pytest.mark.needs("root")
VOLUME_BYTES = 4 * 1024 * 1024


@pytest.fixture
def volume(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "volume"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={VOLUME_BYTES}", "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.fixture
async def small(volume: Path) -> AsyncIterator[Store]:
    store = Store.open(volume / "home")
    try:
        yield store
    finally:
        await store.close()


def occupy(volume: Path) -> Path:
    """A file that takes all the room that is left."""
    path = volume / "ballast"
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            return path


async def test_a_write_without_room_is_refused_and_later_ones_succeed(
    small: Store, volume: Path, anna: Person
) -> None:
    await small.write(anna.join)
    kept = anna.note("Kept")
    await small.write(lambda db: ingest(db, kept, now=NOW))
    ballast = occupy(volume)
    refused = []
    for number in range(20):
        note = anna.note(f"Refused {number}", excerpt="x" * 1000, time=NOW + number)
        try:
            await small.write(lambda db, note=note: ingest(db, note, now=NOW))  # type: ignore[misc]
        except DiskFull as error:
            assert "free some space" in error.hint
            refused.append(note)
    assert refused
    assert await small.read(lambda db: is_held(db, kept.id))
    assert not any([await small.read(lambda db, n=n: is_held(db, n.id)) for n in refused])  # type: ignore[misc]
    ballast.unlink()
    for note in refused:
        await small.write(lambda db, note=note: ingest(db, note, now=NOW))  # type: ignore[misc]
    assert (await small.read(counts)).items == 21


async def test_a_block_without_room_leaves_neither_row_nor_file(
    small: Store, volume: Path, anna: Person
) -> None:
    await small.write(anna.join)
    block = os.urandom(512 * 1024)
    cid = raw_cid(block)
    note = anna.note("Film", payload=Payload("video/mp4", len(block), cid))

    def work(db: sqlite3.Connection) -> None:
        put_block(db, small.files, cid, block, record=ingest(db, note, now=NOW).rowid)

    ballast = occupy(volume)
    with pytest.raises(DiskFull):
        await small.write(work)
    assert not await small.read(lambda db: is_held(db, note.id))
    assert [path for path in (small.home / "blocks").rglob("*") if path.is_file()] == []
    ballast.unlink()
    await small.write(work)
    assert await small.read(lambda db: get_block(db, small.files, cid)) == block


async def test_a_retraction_on_a_full_disk_is_finished_once_there_is_room(
    small: Store, volume: Path, anna: Person
) -> None:
    await small.write(anna.join)
    titles = ["zanzibarine", *(f"Note {number}" for number in range(400))]
    notes = [anna.note(title, excerpt="x" * 900, time=NOW + n) for n, title in enumerate(titles)]
    await small.write(lambda db: [ingest(db, note, now=NOW) for note in notes])
    await small.write(lambda db: ingest(db, anna.retraction(notes[0].id), now=NOW))
    ballast = occupy(volume)
    await small.erase_traces()
    ballast.unlink()
    await small.maintain(now=NOW)
    files = [path for path in small.home.rglob("*") if path.is_file()]
    assert [path for path in files if b"zanzibarine" in path.read_bytes()] == []
    assert (await small.read(counts)).items == 400


async def test_a_home_on_a_full_volume_is_refused_in_words(volume: Path) -> None:
    occupy(volume)
    with pytest.raises(DiskFull):
        Store.open(volume)
