"""What keeps a daemon from starting, as real processes meet it: one line that says what to do, whichever
command was typed, nothing changed on disk, and all that was stored is there once that is done."""

from __future__ import annotations

import asyncio
import contextlib
import re
import shutil
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from pkn_protocol.control.items import PublishRequest
from pkn_protocol.control.summaries import ListFilter
from pkn_protocol.control.work import VerifyRequest, VerifySummary
from pkn_protocol.records.ids import did_key
from pknd.daemon import Daemon
from pknd.items.verifying import Verifier
from pknd.main import HOME_IN_USE
from pknd.store.database import DATABASE_NAME
from pknd.store.store import Store
from tests.e2e.harness import PKN, Node, running
from tests.e2e.inside import Inside, until_so

KEPT = "The quince hedge was planted in March."
VOLUME_BYTES = 8 * 1024 * 1024
"""Above what the daemon leaves free on any volume."""


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home in which something was published, closed in order, without a backup."""
    folder = tmp_path_factory.mktemp("written")

    async def write() -> Path:
        ada = Inside("Ada", folder)
        async with ada.running() as daemon:
            await daemon.items.publish(PublishRequest(text=f"# Hedges\n\n{KEPT}", audience="public"))
            await daemon.items.publish(PublishRequest(text="# Gates\n\nThe quince gate squeaks."))
        return ada.folder

    return asyncio.run(write())


@pytest.fixture
def ada(written: Path, tmp_path: Path) -> Node:
    """The person of that home; not running."""
    node = Node("Ada", tmp_path)
    shutil.copytree(written, node.home, symlinks=True)
    node.home.chmod(0o700)
    return node


def state(home: Path) -> dict[str, str]:
    """What is stored, by digest: all but the log and the lock."""
    return {
        str(path.relative_to(home)): sha256(path.read_bytes()).hexdigest()
        for path in home.rglob("*")
        if path.is_file() and path.name not in ("pknd.log", "lock")
    }


def refused(ada: Node, *options: str, unchanged: bool = True) -> str:
    """Both ways to start it end with status 1 and one and the same line; that line, without who says it."""
    before = state(ada.home)
    listen = options if "--listen" in options else ("--listen", "127.0.0.1:0", *options)
    told = []
    for command, prefix in (
        ([sys.executable, "-m", "pknd", "--home", str(ada.home)], "pknd: "),
        ([str(PKN), "up"], "pkn: pknd did not start: "),
    ):
        done = subprocess.run(
            [*command, "--no-mdns", *listen],
            env=ada.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (done.returncode, done.stdout) == (1, ""), done
        assert done.stderr.startswith(prefix), done.stderr
        assert done.stderr.endswith("\n") and done.stderr.count("\n") == 1, done.stderr
        assert done.stderr[:-1].isprintable()
        told.append(done.stderr[:-1].removeprefix(prefix))
    log = ada.home / "pknd.log"
    if log.exists() and log.stat().st_size:
        assert "Traceback" not in log.read_text()
        assert "event=daemon.failed" in log.read_text()
    if unchanged:
        assert state(ada.home) == before
    assert told[0] == told[1]
    return told[0]


def is_whole(ada: Node, *, titles: tuple[str, ...] = ("Gates", "Hedges")) -> None:
    """A daemon starts there, and what was acknowledged is there and verifies."""

    async def look() -> None:
        inside = Inside("Ada", ada.home.parent)
        async with inside.running() as daemon:
            items = {item.title: item.id for item in (await daemon.items.listed(ListFilter())).items}
            assert sorted(items) == sorted(titles)
            shown = await daemon.items.show(items["Hedges"], fetch=False, timeout_s=1)
            assert shown.text is not None and KEPT in shown.text
            *_, summary = [step async for step in Verifier(inside.env).run(VerifyRequest())]
            assert isinstance(summary, VerifySummary)
            assert summary.bad == () and summary.payloads == len(titles)

    asyncio.run(look())


def as_the_hint_says(line: str) -> None:
    """Run the command between the backticks."""
    found = re.search(r"`([^`]+)`", line)
    assert found is not None, line
    subprocess.run(["bash", "-c", found[1]], check=True, capture_output=True, timeout=20)


def spoil(database: Path) -> None:
    """Bytes in the middle of the database are others than before."""
    with database.open("r+b") as file:
        file.seek(database.stat().st_size // 3)
        file.write(b"\xa5" * (database.stat().st_size // 3))


def test_a_damaged_database_names_the_backup_that_takes_its_place(ada: Node) -> None:
    async def back_up() -> None:
        store = Store.open(ada.home)
        await store.back_up()
        await store.close()

    asyncio.run(back_up())
    spoil(ada.home / DATABASE_NAME)
    line = refused(ada)
    assert "is damaged" in line and "backups/pkn-" in line
    as_the_hint_says(line)
    is_whole(ada)
    # What was damaged is kept for who wants to look into it.
    assert (ada.home / "damaged" / DATABASE_NAME).exists()


async def test_a_damaged_database_without_a_backup_is_put_aside_and_peers_give_back_what_they_hold(
    ada: Node, tmp_path: Path
) -> None:
    inside, ben = Inside("Ada", tmp_path), Inside("Ben", tmp_path)

    async def titles(daemon: Daemon) -> list[str]:
        return [item.title for item in (await daemon.items.listed(ListFilter())).items]

    async with ben.running() as b:
        async with inside.running() as a:
            await b.people.trust(did_key(a.people.view.me), petname="Ada")
            await b.dial("127.0.0.1", a.network.port, None)
            await until_so("Ben to have it", lambda: titles(b), ["Hedges"])
            [item] = (await b.items.listed(ListFilter())).items
            assert (await b.items.show(item.id, fetch=True, timeout_s=20)).text is not None
        spoil(ada.home / DATABASE_NAME)
        line = await asyncio.to_thread(refused, ada)
        assert "is damaged" in line and "peers give back" in line
        as_the_hint_says(line)
        async with inside.running() as a:
            assert await titles(a) == []
            await a.dial("127.0.0.1", b.network.port, None)
            await until_so("it to come back", lambda: titles(a), ["Hedges"])
            shown = await a.items.show(item.id, fetch=True, timeout_s=20)
            assert shown.text is not None and KEPT in shown.text


def test_a_home_that_a_newer_program_wrote_is_left_alone(ada: Node) -> None:
    def version(number: int) -> None:
        with contextlib.closing(sqlite3.connect(ada.home / DATABASE_NAME)) as db:
            db.execute(f"PRAGMA user_version = {number}")

    with contextlib.closing(sqlite3.connect(ada.home / DATABASE_NAME)) as db:
        [[own]] = db.execute("PRAGMA user_version").fetchall()
    version(own + 1)
    line = refused(ada)
    assert "newer version" in line and "update pkn" in line
    version(own)
    is_whole(ada)


def readable_by_others(key: Path) -> Callable[[str], None]:
    key.chmod(0o644)

    def repair(line: str) -> None:
        subprocess.run(["bash", "-c", line.split("; ")[-1]], check=True, timeout=20)

    return repair


def no_key_in_it(key: Path) -> Callable[[str], None]:
    kept = key.read_bytes()
    key.write_bytes(kept[:-10])

    def repair(line: str) -> None:
        assert "restore it from a backup of the home" in line
        key.write_bytes(kept)

    return repair


def gone(key: Path) -> Callable[[str], None]:
    aside = key.with_suffix(".aside")
    key.rename(aside)

    def repair(line: str) -> None:
        assert "restore the keys folder" in line
        aside.rename(key)

    return repair


@pytest.mark.parametrize("spoiled", [readable_by_others, no_key_in_it, gone])
def test_keys_that_cannot_be_used_are_named_and_never_made_anew(
    spoiled: Callable[[Path], Callable[[str], None]], ada: Node
) -> None:
    key = ada.home / "keys" / "device.key"
    repair = spoiled(key)
    line = refused(ada)
    assert str(key) in line
    repair(line)
    is_whole(ada)


def test_a_port_in_use_is_named(ada: Node) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        line = refused(ada, "--listen", f"127.0.0.1:{port}", unchanged=False)
    assert f"{port}" in line and "--listen" in line
    is_whole(ada)


def test_a_home_that_another_daemon_serves_is_left_to_it(ada: Node) -> None:
    with running(ada):
        assert ada.process is not None
        second = subprocess.run(
            [sys.executable, "-m", "pknd", "--home", str(ada.home), "--listen", "127.0.0.1:0"],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (second.returncode, second.stdout) == (HOME_IN_USE, "")
        assert second.stderr.count("\n") == 1 and f"process {ada.process.pid}" in second.stderr
        again = ada.run("up")
        assert again.returncode == 0 and "runs already" in again.stdout
        assert sorted(ada.titles("quince")) == ["Gates", "Hedges"]


@pytest.fixture
def volume(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "volume"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={VOLUME_BYTES}", "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def occupied(volume: Path) -> Path:
    """A file that takes all the room that is left."""
    path = volume / "ballast"
    with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
    return path


@pytest.mark.needs("root")
def test_a_full_disk_refuses_what_does_not_fit_and_loses_nothing(written: Path, volume: Path) -> None:
    ada = Node("Ada", volume)
    shutil.copytree(written, ada.home)
    ada.home.chmod(0o700)
    with running(ada):
        ballast = occupied(volume)
        text = "# Bread\n\n" + "The quince bread needs an oven. " * 5000
        done = ada.run("publish", "-", "--to", "public", text=text)
        assert (done.returncode, done.stdout) == (1, ""), done
        assert done.stderr.count("\n") == 1 and "free some space" in done.stderr, done.stderr
        assert sorted(ada.titles("quince")) == ["Gates", "Hedges"]
        ballast.unlink()
        ada.publish(text, "--to", "public")
        ada.stop()
    ballast = occupied(volume)
    line = refused(ada, unchanged=False)
    assert "no room" in line and "ree some space" in line, line
    ballast.unlink()
    is_whole(ada, titles=("Bread", "Gates", "Hedges"))
    assert "Traceback" not in ada.log_path.read_text()
