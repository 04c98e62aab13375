"""Blocks: kept whole, served only as what their CID says, gone with the last item that needs them."""

from __future__ import annotations

import errno
import hashlib
import os
import sqlite3
from pathlib import Path, PosixPath

import pytest

from pkn_protocol.records.ids import Cid, raw_cid
from pkn_protocol.records.model import Payload
from pkn_protocol.records.payload import BLOCK_BYTES, SEALED_CHUNK_BYTES, Entry, build_tree, cut
from pknd.store.blocks import (
    IN_ROW_BYTES,
    OwnFile,
    get_block,
    has_block,
    is_complete,
    missing_payloads,
    put_block,
    put_files,
    put_own_file,
    scopes_using,
    set_complete,
    use_blocks,
)
from pknd.store.files import BlockFiles
from pknd.store.ingest import ingest
from pknd.store.originals import OriginalChanged
from pknd.store.spoiled import let_go_of_spoiled
from pknd.store.store import Store
from tests.pknd.store.people import NOW, Person


@pytest.fixture
def files(tmp_path: Path) -> BlockFiles:
    return BlockFiles(tmp_path / "blocks")


def with_payload(db: sqlite3.Connection, person: Person, cid: Cid, size: int, *, title: str = "File") -> int:
    return ingest(db, person.note(title, payload=Payload("text/plain", size, cid)), now=NOW).rowid


def block_files(files: BlockFiles) -> list[Path]:
    return [path for path in files._folder.rglob("*") if path.is_file()]


@pytest.mark.parametrize("size", [0, 1, IN_ROW_BYTES, IN_ROW_BYTES + 1, BLOCK_BYTES])
def test_a_block_is_read_as_it_was_kept(
    db: sqlite3.Connection, files: BlockFiles, anna: Person, size: int
) -> None:
    anna.join(db)
    block = os.urandom(size)
    cid = raw_cid(block)
    row = with_payload(db, anna, cid, size)
    assert get_block(db, files, cid) is None
    put_block(db, files, cid, block, record=row)
    put_block(db, files, cid, block, record=row)
    assert get_block(db, files, cid) == block
    assert len(block_files(files)) == (size > IN_ROW_BYTES)


def test_a_spoiled_or_lost_file_is_not_served(
    db: sqlite3.Connection, files: BlockFiles, anna: Person
) -> None:
    anna.join(db)
    block = os.urandom(IN_ROW_BYTES + 1)
    cid = raw_cid(block)
    put_block(db, files, cid, block, record=with_payload(db, anna, cid, len(block)))
    files.path(cid).write_bytes(block[:-1] + b"?")
    assert get_block(db, files, cid) is None
    files.remove(cid)
    assert get_block(db, files, cid) is None


def test_a_block_written_half_leaves_nothing_under_its_name(files: BlockFiles) -> None:
    block = os.urandom(BLOCK_BYTES)
    cid = raw_cid(block)
    files.write(cid, block)
    left = files._folder / "unfinished" / "something.1"
    left.write_bytes(block[:100])
    files.remove_unfinished()
    assert block_files(files) == [files.path(cid)]


async def test_the_file_of_a_block_goes_with_the_last_item_that_needs_it(
    store: Store, anna: Person, bruno: Person
) -> None:
    block = os.urandom(IN_ROW_BYTES + 1)
    cid = raw_cid(block)
    mine = anna.note("Mine", payload=Payload("text/plain", len(block), cid))
    his = bruno.note("His", payload=Payload("text/plain", len(block), cid))

    def fill(db: sqlite3.Connection) -> None:
        for person, record in ((anna, mine), (bruno, his)):
            person.join(db)
            put_block(db, store.files, cid, block, record=ingest(db, record, now=NOW).rowid)

    await store.write(fill)
    await store.write(lambda db: ingest(db, anna.retraction(mine.id), now=NOW))
    await store.erase_traces()
    assert await store.read(lambda db: get_block(db, store.files, cid)) == block
    await store.write(lambda db: ingest(db, bruno.retraction(his.id), now=NOW))
    await store.erase_traces()
    assert await store.read(lambda db: has_block(db, cid)) is False
    assert not store.files.exists(cid)


async def test_a_file_that_came_back_before_it_was_deleted_stays(
    store: Store, anna: Person, bruno: Person
) -> None:
    block = os.urandom(IN_ROW_BYTES + 1)
    cid = raw_cid(block)
    mine = anna.note("Mine", payload=Payload("text/plain", len(block), cid))
    his = bruno.note("His", payload=Payload("text/plain", len(block), cid))

    def remove_and_bring_back(db: sqlite3.Connection) -> None:
        for person in (anna, bruno):
            person.join(db)
        put_block(db, store.files, cid, block, record=ingest(db, mine, now=NOW).rowid)
        ingest(db, anna.retraction(mine.id), now=NOW)
        put_block(db, store.files, cid, block, record=ingest(db, his, now=NOW).rowid)

    await store.write(remove_and_bring_back)
    await store.erase_traces()
    assert await store.read(lambda db: get_block(db, store.files, cid)) == block


async def test_the_file_of_a_block_whose_write_was_refused_does_not_stay(store: Store, anna: Person) -> None:
    block = os.urandom(IN_ROW_BYTES + 1)
    cid = raw_cid(block)
    kept = raw_cid(block + b"2")
    note = anna.note("Note", payload=Payload("text/plain", len(block) + 1, kept))

    def refused(db: sqlite3.Connection) -> None:
        put_block(db, store.files, cid, block, record=1)
        raise LookupError

    def fill(db: sqlite3.Connection) -> None:
        anna.join(db)
        put_block(db, store.files, kept, block + b"2", record=ingest(db, note, now=NOW).rowid)

    await store.write(fill)
    with pytest.raises(LookupError):
        await store.write(refused)
    await store.maintain(now=NOW)
    assert block_files(store.files) == [store.files.path(kept)]


def test_who_may_see_one_of_its_items_may_have_a_block(
    db: sqlite3.Connection, files: BlockFiles, anna: Person, bruno: Person
) -> None:
    anna.join(db)
    bruno.join(db)
    block = b"shared text"
    cid = raw_cid(block)
    row = with_payload(db, anna, cid, len(block))
    put_block(db, files, cid, block, record=row)
    assert scopes_using(db, cid) == {b""}
    other = with_payload(db, bruno, cid, len(block))
    db.execute("UPDATE record SET scope = ? WHERE rowid = ?", (b"a circle", other))
    assert use_blocks(db, [cid, raw_cid(b"another")], record=other) == {cid}
    assert scopes_using(db, cid) == {b"", b"a circle"}
    assert scopes_using(db, raw_cid(b"another")) == set()


def test_missing_contents_are_named_newest_first_and_only_small_ones_of_those_asked_for(
    db: sqlite3.Connection, anna: Person, bruno: Person
) -> None:
    for person in (anna, bruno):
        person.join(db)
    held = {}
    for number, (person, size) in enumerate([(anna, 10), (bruno, 10), (anna, 99), (anna, 20), (anna, 30)]):
        payload = Payload("text/plain", size, raw_cid(bytes([number])))
        record = person.note(f"N{number}", time=NOW + number, payload=payload)
        held[number] = ingest(db, record, now=NOW).rowid, record.id
    set_complete(db, held[3][0])
    wanted = missing_payloads(db, {anna.author}, most_bytes=50, limit=10)
    assert wanted == [held[4], held[0]]
    assert missing_payloads(db, {anna.author}, most_bytes=50, limit=1) == [held[4]]
    # What was tried does not stand before what was not.
    assert missing_payloads(db, {anna.author}, most_bytes=50, limit=1, without={held[4][1]}) == [held[0]]


def own_file(path: Path, key: bytes | None) -> tuple[OwnFile, list[bytes]]:
    leaves = cut(path.read_bytes(), key=key)
    about = path.stat()
    return OwnFile(path, about.st_size, about.st_mtime_ns, key, tuple(map(raw_cid, leaves))), leaves


def reference(db: sqlite3.Connection, person: Person, own: OwnFile, leaves: list[bytes]) -> int:
    root, _ = build_tree([Entry(raw_cid(leaf), len(leaf)) for leaf in leaves])
    item = person.note("Recording", payload=Payload("video/mp4", own.size, root))
    row = ingest(db, item, now=NOW).rowid
    put_own_file(db, own, record=row)
    return row


@pytest.mark.parametrize("key", [None, b"k" * 32])
def test_an_own_file_is_served_from_where_it_lies(
    db: sqlite3.Connection, files: BlockFiles, anna: Person, tmp_path: Path, key: bytes | None
) -> None:
    anna.join(db)
    path = tmp_path / "film.mp4"
    path.write_bytes(os.urandom(2 * BLOCK_BYTES + 5))
    own, leaves = own_file(path, key)
    reference(db, anna, own, leaves)
    assert [get_block(db, files, cid) for cid in own.chunks] == leaves
    assert block_files(files) == []
    sizes = [size for (size,) in db.execute("SELECT size FROM block ORDER BY position")]
    assert sizes == [len(leaf) for leaf in leaves]


def spoil_content(path: Path) -> None:
    about = path.stat()
    data = bytearray(path.read_bytes())
    data[10] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))


def replace_by_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize(
    "harm",
    [
        Path.unlink,
        lambda path: path.write_bytes(b"shorter"),
        lambda path: os.utime(path, ns=(1, 1)),
        spoil_content,
        replace_by_pipe,
    ],
    ids=["deleted", "overwritten", "touched", "edited with its old time", "a pipe"],
)
def test_a_changed_original_is_reported_and_never_served(
    db: sqlite3.Connection, files: BlockFiles, anna: Person, tmp_path: Path, harm: object
) -> None:
    anna.join(db)
    path = tmp_path / "film.mp4"
    path.write_bytes(os.urandom(BLOCK_BYTES + 5))
    own, leaves = own_file(path, None)
    reference(db, anna, own, leaves)
    harm(path)  # type: ignore[operator]
    with pytest.raises(OriginalChanged, match=r"film\.mp4"):
        get_block(db, files, own.chunks[0])


def test_parts_that_a_new_version_of_a_file_kept_are_read_from_the_new_one(
    db: sqlite3.Connection, files: BlockFiles, anna: Person, tmp_path: Path
) -> None:
    anna.join(db)
    path = tmp_path / "log.txt"
    path.write_bytes(hashlib.shake_256(b"log").digest(BLOCK_BYTES + 5))
    own, leaves = own_file(path, None)
    reference(db, anna, own, leaves)
    with path.open("ab") as file:
        file.write(b"more")
    longer, more_leaves = own_file(path, None)
    reference(db, anna, longer, more_leaves)
    assert get_block(db, files, longer.chunks[0]) == leaves[0]
    assert get_block(db, files, longer.chunks[1]) == more_leaves[1]
    with pytest.raises(OriginalChanged):
        get_block(db, files, own.chunks[1])


def test_sealed_parts_of_an_own_file_have_room_for_their_seal() -> None:
    assert len(cut(b"x" * SEALED_CHUNK_BYTES, key=b"k" * 32)[0]) == BLOCK_BYTES


def spoil(db: sqlite3.Connection, files: BlockFiles, cid: Cid) -> None:
    """Change a byte of a block where it lies, as a failing disk would."""
    db.execute(
        "UPDATE block SET data = CAST(x'00' || substr(data, 2) AS BLOB) WHERE cid = ? AND place = 0", (cid,)
    )
    if files.exists(cid):
        files.path(cid).write_bytes(b"\0" + files.path(cid).read_bytes()[1:])


@pytest.mark.parametrize("was_noticed", [True, False])
@pytest.mark.parametrize("size", [100, IN_ROW_BYTES + 1])
def test_a_good_block_takes_the_place_of_a_spoiled_one(
    db: sqlite3.Connection, files: BlockFiles, anna: Person, size: int, was_noticed: bool
) -> None:
    anna.join(db)
    block = b"\x01" + os.urandom(size - 1)
    cid = raw_cid(block)
    row = with_payload(db, anna, cid, size)
    put_block(db, files, cid, block, record=row)
    spoil(db, files, cid)
    if was_noticed:
        assert get_block(db, files, cid) is None
        assert files.spoiled == {cid}
    if size > IN_ROW_BYTES and not was_noticed:
        files.write(cid, block)  # as whoever publishes does, before the writer's thread has its turn
    put_block(db, files, cid, block, record=row)
    assert get_block(db, files, cid) == block
    assert files.spoiled == set()


def test_a_fetched_file_takes_the_place_of_a_spoiled_one(
    db: sqlite3.Connection, files: BlockFiles, anna: Person
) -> None:
    anna.join(db)
    block = b"\x01" + os.urandom(IN_ROW_BYTES)
    cid = raw_cid(block)
    row = with_payload(db, anna, cid, len(block))
    put_block(db, files, cid, block, record=row)
    spoil(db, files, cid)
    assert get_block(db, files, cid) is None
    came = files.partials.open(cid, most_bytes=len(block))
    came.begin()
    came.take(memoryview(block))
    files.adopt([(cid, came)])
    came.close()
    assert put_files(db, files, [(cid, len(block))], record=row) == [cid]
    assert get_block(db, files, cid) == block
    assert files.spoiled == set()


@pytest.mark.parametrize("size", [100, IN_ROW_BYTES + 1])
def test_letting_go_of_what_is_spoiled_deletes_nothing(
    db: sqlite3.Connection, files: BlockFiles, anna: Person, size: int
) -> None:
    """It may be the only copy, and half of it is better than nothing."""
    anna.join(db)
    block = b"\x01" + os.urandom(size - 1)
    cid = raw_cid(block)
    row = with_payload(db, anna, cid, size)
    put_block(db, files, cid, block, record=row)
    set_complete(db, row)
    spoil(db, files, cid)
    assert get_block(db, files, cid) is None
    assert let_go_of_spoiled(db, files, record=row) == 1
    assert not is_complete(db, row)
    assert has_block(db, cid)
    assert files.exists(cid) == (size > IN_ROW_BYTES)


async def test_blocks_on_a_volume_that_is_away_are_there_again_with_it(store: Store, anna: Person) -> None:
    block = os.urandom(IN_ROW_BYTES + 1)
    cid = raw_cid(block)
    note = anna.note("Mine", payload=Payload("text/plain", len(block), cid))

    def fill(db: sqlite3.Connection) -> int:
        anna.join(db)
        row = ingest(db, note, now=NOW).rowid
        put_block(db, store.files, cid, block, record=row)
        set_complete(db, row)
        return row

    row = await store.write(fill)
    folder, away = store.home / "blocks", store.home / "away"
    for mount_point_stays in (False, True):
        folder.rename(away)
        if mount_point_stays:
            folder.mkdir()
        assert await store.read(lambda db: get_block(db, store.files, cid)) is None
        assert (cid in store.files.spoiled) is mount_point_stays
        await store.write(lambda db: let_go_of_spoiled(db, store.files, record=row))
        if mount_point_stays:
            folder.rmdir()
        away.rename(folder)
        await store.maintain(now=NOW)
        assert await store.read(lambda db: get_block(db, store.files, cid)) == block
        assert store.files.spoiled == set()


class BadSector(BlockFiles):
    """A disk that cannot read some files; nothing less than a device mapper makes a real one."""

    def path(self, cid: Cid) -> Path:
        return _Unreadable(super().path(cid))


class _Unreadable(PosixPath):
    def read_bytes(self) -> bytes:
        raise OSError(errno.EIO, "Input/output error", str(self))


def test_what_lies_in_a_bad_sector_counts_as_spoiled_and_is_written_again(
    db: sqlite3.Connection, tmp_path: Path, anna: Person
) -> None:
    anna.join(db)
    block = os.urandom(IN_ROW_BYTES + 1)
    cid = raw_cid(block)
    good, bad = BlockFiles(tmp_path / "blocks"), BadSector(tmp_path / "blocks")
    row = with_payload(db, anna, cid, len(block))
    put_block(db, good, cid, block, record=row)
    before = good.path(cid).stat().st_ino
    assert get_block(db, bad, cid) is None
    assert bad.spoiled == {cid}
    put_block(db, bad, cid, block, record=row)
    assert good.path(cid).stat().st_ino != before
    assert get_block(db, good, cid) == block
