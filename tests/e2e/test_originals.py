"""Large own files, which stay where they lie: what is said and done when they have changed or are gone."""

from __future__ import annotations

import contextlib
import random
import sqlite3
from pathlib import Path

import pytest

from tests.e2e.harness import CommandFailed, Node, running, trust_each_other, wait_for


@pytest.fixture
def film(tmp_path: Path) -> Path:
    path = tmp_path / "film.bin"
    path.write_bytes(b"\0" + random.Random(7).randbytes(3 * 2**20))
    return path


@pytest.mark.parametrize("audience", ["public", "trusted"])
def test_a_copy_comes_from_a_peer_when_the_original_is_gone(
    audience: str, film: Path, tmp_path: Path
) -> None:
    ann, ben = Node("Ann", tmp_path), Node("Ben", tmp_path)
    bytes_then = film.read_bytes()
    with running(ann, ben):
        ben.connect(ann)
        trust_each_other(ann, ben)
        item = ann.pkn("publish", str(film), "--to", audience)["id"]
        wait_for("Ben to have heard of it", lambda: ben.run("show", item, "--local").returncode == 0)
        ben.pkn("get", item, "-o", str(tmp_path / "copy.bin"))
        film.rename(tmp_path / "elsewhere.bin")
        shown = ann.pkn("show", item, "--local")
        assert shown["have_payload"] is False
        assert str(film) in shown["lost_original"]
        assert "film.bin cannot be read" in ann.run("show", item, "--local").stderr
        assert "on this machine, held" in ann.run("show", item, "--local").stdout
        ann.pkn("get", item, "-o", str(tmp_path / "again.bin"))
        assert (tmp_path / "again.bin").read_bytes() == bytes_then
        assert ann.pkn("show", item)["lost_original"] is None
        assert ann.pkn("verify")["bad"] == []


def test_without_a_copy_it_is_said_what_happened_and_a_file_that_is_back_is_good(
    film: Path, tmp_path: Path
) -> None:
    ann = Node("Ann", tmp_path)
    with running(ann):
        item = ann.pkn("publish", str(film))["id"]
        film.rename(tmp_path / "elsewhere.bin")
        with pytest.raises(CommandFailed, match="put the file back"):
            ann.pkn("get", item, "-o", str(tmp_path / "again.bin"))
        verified = ann.run("verify")
        assert verified.returncode == 1
        assert "film.bin" in verified.stdout
        assert "import it as it is now" in verified.stdout
        (tmp_path / "elsewhere.bin").rename(film)
        ann.pkn("get", item, "-o", str(tmp_path / "again.bin"))
        assert ann.pkn("verify")["bad"] == []


@pytest.mark.parametrize("back", ["moved", "copied"])
def test_a_get_that_finds_nothing_takes_nothing_away(back: str, film: Path, tmp_path: Path) -> None:
    ann, ben = Node("Ann", tmp_path), Node("Ben", tmp_path)
    bytes_then, elsewhere, copy = film.read_bytes(), tmp_path / "elsewhere.bin", tmp_path / "copy.bin"
    with running(ann, ben):
        ben.connect(ann)
        item = ann.pkn("publish", str(film), "--to", "public")["id"]
        wait_for("Ben to have heard of it", lambda: ben.run("show", item, "--local").returncode == 0)
        film.rename(elsewhere)
        with pytest.raises(CommandFailed, match="put the file back"):
            ann.pkn("get", item, "-o", str(copy))
        # The loss is told as before.
        assert str(film) in ann.pkn("show", item, "--local")["lost_original"]
        verified = ann.run("verify", item)
        assert verified.returncode == 1 and "film.bin" in verified.stdout
        if back == "moved":
            elsewhere.rename(film)
        else:
            film.write_bytes(bytes_then)
            assert ann.pkn("verify", item)["bad"] == []
        ben.pkn("get", item, "-o", str(copy))
        assert copy.read_bytes() == bytes_then
        assert ann.pkn("show", item)["have_payload"] is True


def test_a_file_that_is_back_with_other_bytes_of_the_same_length_is_not_taken_for_it(
    film: Path, tmp_path: Path
) -> None:
    ann = Node("Ann", tmp_path)
    with running(ann):
        item = ann.pkn("publish", str(film), "--to", "public")["id"]
        film.write_bytes(film.read_bytes()[:-1] + b"?")
        assert "was changed" in ann.run("verify", item).stdout
        with pytest.raises(CommandFailed, match="was changed"):
            ann.pkn("get", item, "-o", str(tmp_path / "copy.bin"))


def test_the_state_of_an_earlier_version_is_not_bad_but_no_longer_here(film: Path, tmp_path: Path) -> None:
    ann = Node("Ann", tmp_path / "home")
    with running(ann):
        ann.pkn("import", str(film), "--yes")
        film.write_bytes(film.read_bytes() + b"more")
        assert ann.run("verify").returncode == 1
        assert ann.pkn("import", str(film), "--yes")["imported"] == 1
        verified = ann.pkn("verify")
        assert (verified["bad"], verified["gone"]) == ([], 1)
        assert "1 earlier content no longer here" in ann.run("verify").stdout


def test_a_file_that_was_let_go_of_is_taken_in_again(film: Path, tmp_path: Path) -> None:
    ann, ben = Node("Ann", tmp_path), Node("Ben", tmp_path)
    with running(ann, ben):
        ben.connect(ann)
        ann.pkn("import", str(film), "--to", "public", "--yes")
        [item] = ann.pkn("list")["items"]
        film.rename(tmp_path / "elsewhere.bin")
        with pytest.raises(CommandFailed, match="nobody who is online"):
            ann.pkn("get", item["id"], "-o", str(tmp_path / "again.bin"), "--timeout", "2")
        (tmp_path / "elsewhere.bin").rename(film)
        ann.pkn("import", str(film), "--yes")
        assert ann.pkn("show", item["item"])["have_payload"] is True
        assert ann.pkn("verify")["bad"] == []


def _flip(node: Node) -> int:
    """Change a byte of each block that the daemon of a node holds, as a failing disk would; how many."""
    flipped = 0
    with contextlib.closing(sqlite3.connect(node.home / "pkn.db")) as db, db:
        for cid, data in db.execute("SELECT cid, data FROM block WHERE place = 0").fetchall():
            bad = bytes([data[0] ^ 1]) + data[1:]
            db.execute("UPDATE block SET data = ? WHERE cid = ?", (bad, cid))
            flipped += 1
    for path in (node.home / "blocks").glob("??/*"):
        data = path.read_bytes()
        path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
        flipped += 1
    return flipped


@pytest.mark.parametrize("size", [2_000, 300_000, 2_500_000])
def test_what_the_disk_has_spoiled_comes_again_from_a_peer(size: int, tmp_path: Path) -> None:
    ann, ben = Node("Ann", tmp_path), Node("Ben", tmp_path)
    path = tmp_path / "long.bin"
    path.write_bytes(b"\0" + random.Random(size).randbytes(size))
    copy = tmp_path / "copy.bin"
    with running(ann, ben):
        ben.connect(ann)
        trust_each_other(ann, ben)
        item = ann.pkn("publish", str(path))["id"]
        wait_for("Ben to have heard of it", lambda: ben.run("show", item, "--local").returncode == 0)
        ben.pkn("get", item, "-o", str(copy))
        ben.stop()
        assert _flip(ben) > 0
        ann.stop()
        ben.start()
        alone = ben.run("get", item, "-o", str(copy), "--force")
        assert alone.returncode == 1 and "this disk has spoiled" in alone.stderr
        verified = ben.run("verify")
        assert verified.returncode == 1 and "pkn get fetches it" in verified.stdout
        ann.start()
        ben.connect(ann)
        ben.pkn("get", item, "-o", str(copy), "--force")
        assert copy.read_bytes() == path.read_bytes()
        assert ben.pkn("verify")["bad"] == []


def test_a_text_that_the_disk_has_spoiled_is_shown_again(tmp_path: Path) -> None:
    ann, ben = Node("Ann", tmp_path), Node("Ben", tmp_path)
    with running(ann, ben):
        ben.connect(ann)
        trust_each_other(ann, ben)
        mine = ben.publish("# Mine\n\nsloe gin")
        item = ann.publish("# Medlars\n\nRipe when bletted.")
        wait_for("Ben to have the text", lambda: ben.pkn("show", item)["text"] is not None)
        wait_for("Ann to have his", lambda: ann.pkn("show", mine)["text"] is not None)
        ben.stop()
        assert _flip(ben) == 2
        ben.start()
        wait_for("them to meet", lambda: ben.online() == 1)
        for one, text in ((item, "bletted"), (mine, "sloe gin")):
            assert text in ben.pkn("show", one)["text"]
        assert ben.pkn("verify")["bad"] == []
