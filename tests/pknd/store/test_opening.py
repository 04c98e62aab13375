"""Homes that cannot be opened say why and what to do, and nothing in them is touched."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Collection, Sequence
from pathlib import Path

import pytest
from sqlite_utils.migrations import Migrations

from bench.payloads import text_payload
from pkn_protocol.records.model import Item
from pkn_protocol.text.analysis import analyse
from pkn_protocol.text.sketch import make_sketch
from pknd.search.index import IndexReader, NewDocument, add_documents, add_terms
from pknd.search.postings import Terms
from pknd.search.runs import drop_documents
from pknd.store import schema
from pknd.store.backups import BACKUP_INTERVAL_MS, KEPT_BACKUPS, backups, make_backup
from pknd.store.database import open_database
from pknd.store.errors import HomeInUse, StoreDamaged, StoreTooNew, StoreUnreadable
from pknd.store.ingest import ingest
from pknd.store.lock import HomeLock
from pknd.store.records import counts, get
from pknd.store.schema import SCHEMA_VERSION
from pknd.store.store import Store
from tests.pknd.store.people import NOW, Person


async def filled_home(home: Path, person: Person, *, notes: int = 60) -> None:
    store = Store.open(home)

    def fill(db: sqlite3.Connection) -> None:
        person.join(db)
        for number in range(notes):
            ingest(db, person.note(f"Note {number}", excerpt="x" * 500, time=NOW + number), now=NOW)

    await store.write(fill)
    await store.back_up()
    await store.close()


def contents(home: Path) -> dict[str, bytes]:
    # Shared memory is no content: it is made anew by whoever looks.
    return {p.name: p.read_bytes() for p in home.glob("pkn.db*") if not p.name.endswith("-shm")}


def pragma(path: Path, name: str) -> int:
    with contextlib.closing(sqlite3.connect(path)) as db:
        return int(db.execute(f"PRAGMA {name}").fetchone()[0])


async def test_a_new_database_is_private_and_set_up_to_forget(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "home")
    assert store.path.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "home").stat().st_mode & 0o777 == 0o700
    await store.close()
    assert pragma(store.path, "auto_vacuum") == 2
    assert pragma(store.path, "user_version") == SCHEMA_VERSION
    with contextlib.closing(sqlite3.connect(store.path)) as db:
        assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    with contextlib.closing(open_database(store.path)) as db:
        settings = [db.execute(f"PRAGMA {n}").fetchone()[0] for n in ("secure_delete", "synchronous")]
        assert settings == [1, 2]


async def test_a_home_left_empty_by_a_crash_is_begun_anew(tmp_path: Path) -> None:
    (tmp_path / "pkn.db").touch()
    store = Store.open(tmp_path)
    await store.close()
    assert pragma(store.path, "auto_vacuum") == 2


def run_in_shell(command: str) -> None:
    subprocess.run(["sh", "-c", command], check=True)


def garbage(path: Path) -> None:
    path.write_bytes(b"not a database " * 1000)


def overwritten_pages(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(3 * 4096)
        file.write(os.urandom(20 * 4096))


def cut_off(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def overwritten_header(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(bytes(100))


@pytest.mark.parametrize("harm", [garbage, overwritten_pages, cut_off, overwritten_header])
async def test_a_damaged_database_is_refused_untouched_and_the_hint_brings_it_back(
    tmp_path: Path, anna: Person, harm: object
) -> None:
    home = tmp_path / "it's a home"
    await filled_home(home, anna)
    path = home / "pkn.db"
    harm(path)  # type: ignore[operator]
    before = contents(home)
    for _ in range(2):
        with pytest.raises(StoreDamaged) as refused:
            Store.open(home)
        assert contents(home) == before
    [backup] = backups(home)
    assert backup.name in refused.value.hint and "\n" not in refused.value.line()
    command = refused.value.hint.split("`")[1]
    run_in_shell(command)
    assert (home / "damaged" / "pkn.db").read_bytes() == before["pkn.db"]
    store = Store.open(home)
    assert (await store.read(counts)).items == 60
    await store.close()


async def test_after_a_crash_the_log_is_part_of_what_is_left_untouched(tmp_path: Path, anna: Person) -> None:
    running = tmp_path / "running"
    await filled_home(running, anna)
    store = Store.open(running)
    await store.write(lambda db: ingest(db, anna.note("Last"), now=NOW))
    crashed = tmp_path / "crashed"
    shutil.copytree(running, crashed)
    await store.close()
    assert (crashed / "pkn.db-wal").stat().st_size
    spoilt = tmp_path / "spoilt"
    shutil.copytree(crashed, spoilt)
    overwritten_pages(spoilt / "pkn.db")
    before = contents(spoilt)
    with pytest.raises(StoreDamaged) as refused:
        Store.open(spoilt)
    assert contents(spoilt) == before
    run_in_shell(refused.value.hint.split("`")[1])
    assert {path.name for path in (spoilt / "damaged").iterdir()} >= before.keys()
    for home, items in ((spoilt, 60), (crashed, 61)):
        again = Store.open(home)
        assert (await again.read(counts)).items == items
        await again.close()


async def test_without_a_backup_the_hint_is_to_begin_again(tmp_path: Path, anna: Person) -> None:
    await filled_home(tmp_path, anna)
    for backup in backups(tmp_path):
        backup.unlink()
    garbage(tmp_path / "pkn.db")
    with pytest.raises(StoreDamaged, match="damaged") as refused:
        Store.open(tmp_path)
    assert "peers give back" in refused.value.hint
    run_in_shell(refused.value.hint.split("`")[1])
    await Store.open(tmp_path).close()


async def test_damage_found_later_is_named_as_such(tmp_path: Path, anna: Person) -> None:
    await filled_home(tmp_path, anna, notes=200)
    store = Store.open(tmp_path)
    overwritten_pages(tmp_path / "pkn.db")
    with pytest.raises(StoreDamaged):
        for number in range(200):
            cid = anna.note(f"Note {number}", excerpt="x" * 500, time=NOW + number).id
            await store.read(lambda db, cid=cid: get(db, cid))  # type: ignore[misc]
    await store.close()


async def test_the_database_of_another_program_is_left_alone(tmp_path: Path) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / "pkn.db")) as db:
        db.execute("PRAGMA application_id = 12345")
        db.execute("CREATE TABLE photo (name TEXT)")
    before = contents(tmp_path)
    with pytest.raises(StoreDamaged, match="another program"):
        Store.open(tmp_path)
    assert contents(tmp_path) == before


async def test_a_home_of_a_newer_version_is_left_alone(tmp_path: Path, anna: Person) -> None:
    await filled_home(tmp_path, anna)
    with contextlib.closing(sqlite3.connect(tmp_path / "pkn.db")) as db:
        db.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    before = contents(tmp_path)
    with pytest.raises(StoreTooNew, match="newer") as refused:
        Store.open(tmp_path)
    assert "update" in refused.value.hint
    assert contents(tmp_path) == before


async def test_a_home_that_is_no_folder_of_files_is_named(tmp_path: Path) -> None:
    (tmp_path / "pkn.db").mkdir()
    with pytest.raises(StoreUnreadable, match=r"pkn\.db"):
        Store.open(tmp_path)


async def test_a_migration_makes_a_backup_of_what_was(
    tmp_path: Path, anna: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    await filled_home(tmp_path, anna)
    for backup in backups(tmp_path):
        backup.unlink()
    later = Migrations("pkn")
    later._migrations = list(schema.MIGRATIONS._migrations)
    later(name="0002_more")(lambda db: db.execute("CREATE TABLE more (x)"))
    monkeypatch.setattr("pknd.store.database.MIGRATIONS", later)
    await Store.open(tmp_path).close()
    [backup] = backups(tmp_path)
    with contextlib.closing(sqlite3.connect(backup)) as db:
        tables = {name for (name,) in db.execute("SELECT name FROM sqlite_master")}
    assert "record" in tables and "more" not in tables


async def test_backups_are_made_once_a_day_and_two_are_kept(store: Store, anna: Person) -> None:
    await store.write(anna.join)
    times = [NOW + n * BACKUP_INTERVAL_MS for n in range(4)]
    for now in times:
        for _ in range(2):
            await store.maintain(now=now)
            for path in backups(store.home):  # as if made at that time
                if path.stat().st_mtime * 1000 > now:
                    os.utime(path, (now / 1000, now / 1000))
    made = backups(store.home)
    assert 1 <= len(made) <= KEPT_BACKUPS
    with contextlib.closing(sqlite3.connect(made[0])) as copy:
        assert copy.execute("SELECT count(*) FROM record").fetchone() == (1,)
        assert copy.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert made[0].stat().st_mode & 0o777 == 0o600


async def test_a_backup_that_fails_leaves_the_one_before(store: Store, anna: Person) -> None:
    await store.write(anna.join)
    before = await store.back_up()
    closed = sqlite3.connect(store.path)
    closed.close()
    with pytest.raises(sqlite3.Error):
        make_backup(closed, store.home, now=NOW)
    assert backups(store.home) == [before]
    assert list(before.parent.iterdir()) == [before]


def test_a_second_daemon_on_one_home_is_refused_with_the_pid_of_the_first(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from pknd.store.lock import HomeLock;"
        "lock = HomeLock(Path(sys.argv[1])); print('held', flush=True); sys.stdin.read()"
    )
    arguments = [sys.executable, "-c", program, str(tmp_path)]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == b"held\n"
        with pytest.raises(HomeInUse, match=str(holder.pid)):
            HomeLock(tmp_path)
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    lock = HomeLock(tmp_path)
    assert (tmp_path / "lock").read_text() == str(os.getpid())
    with pytest.raises(HomeInUse, match=str(os.getpid())):
        HomeLock(tmp_path)
    lock.release()
    lock.release()
    HomeLock(tmp_path).release()


def test_the_hint_survives_a_shell(tmp_path: Path) -> None:
    path = tmp_path / "a `b` $(c) 'd'" / "pkn.db"
    assert shlex.quote(str(path.parent)) in StoreDamaged(path, "x", None).hint


def test_what_was_found_by_a_sketch_that_no_text_could_show_is_so_no_longer(
    tmp_path: Path, anna: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    together: list[int] = []
    dropped: list[int] = []

    def adding(db: sqlite3.Connection, documents: Sequence[NewDocument]) -> None:
        together.append(len(documents))
        add_documents(db, documents)

    def dropping(db: sqlite3.Connection, docs: Collection[int]) -> None:
        dropped.append(len(docs))
        drop_documents(db, docs)

    claimed = make_sketch(analyse("turbulence", "en"))
    texts = make_sketch(analyse("Buns with butter", "en"))
    db = open_database(tmp_path / "pkn.db")
    with db:
        anna.join(db)
        false = [
            ingest(
                db, anna.record("note", Item("Watches", lang="en", sketch=claimed), time=NOW + n), now=NOW
            ).rowid
            for n in range(5)
        ]
        true = Item("Buns", lang="en", sketch=texts, payload=text_payload("with butter"))
        ingest(db, anna.record("note", true, time=NOW), now=NOW)
        # As a program found it that believed all sketches.
        claims = dict.fromkeys(analyse("turbulence", "en"), 0)
        add_terms(db, [Terms(rowid, claims, 1, True) for rowid in false], ["en"] * len(false))
        db.execute("DELETE FROM _sqlite_migrations WHERE name LIKE '0005%'")
        db.execute("PRAGMA user_version = 4")
    db.close()
    monkeypatch.setattr(schema, "_INDEXED_AT_ONCE", 2)
    monkeypatch.setattr(schema, "add_documents", adding)
    monkeypatch.setattr("pknd.search.runs.drop_documents", dropping)
    db = open_database(tmp_path / "pkn.db")
    reader = IndexReader(db)
    found = [
        reader.frequency(analyse(word, "en"), public_only=True) for word in ("turbulence", "watch", "butter")
    ]
    assert found == [0, 5, 1]
    assert together == [2, 2, 1] and dropped == [5], "in parts, and runs are written anew once"
    db.close()
