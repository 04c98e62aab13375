"""A large file between daemons of which one is killed on the way: what has come is not fetched again."""

from __future__ import annotations

import hashlib
import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pkn_cli.client import ControlClient, JsonObject
from tests.e2e.harness import PKN, Node, running, trust_each_other, wait_for

MB = 1024 * 1024
PIECE = 4 * MB
SLACK = 24 * MB
"""What may be fetched twice or be on its way at a kill: beginnings below 64 KiB, and messages; and, since the
figures are compared with what a client saw last, a tenth of a second of loopback."""


def large_file(folder: Path, megabytes: int) -> Path:
    path = folder / "large.bin"
    with path.open("wb") as file:
        for number in range(megabytes * MB // PIECE):
            file.write(hashlib.shake_128(number.to_bytes(4, "big")).digest(PIECE))
    return path


def digest_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def progress(node: Node, item: str) -> Iterator[JsonObject]:
    client = ControlClient(node.home, start_hint="")
    yield from client.stream("POST", f"/v1/items/{item}/fetch", [("timeout_ms", "600000")])


def until_some_came(node: Node, item: str, least: int) -> None:
    for event in progress(node, item):
        done = (event.get("progress") or {}).get("done", 0)
        if done >= least:
            return
        assert event["event"] == "progress", "it was over before it could be interrupted"


def on_disk(node: Node) -> int:
    """Bytes of blocks, whole or begun."""
    return sum(path.stat().st_size for path in (node.home / "blocks").rglob("*") if path.is_file())


def received(node: Node) -> int:
    return sum(int(peer["bytes_in"]) for peer in node.pkn("peers")["peers"])


@contextmanager
def stopped(node: Node) -> Iterator[None]:
    assert node.process is not None
    node.process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        node.process.send_signal(signal.SIGCONT)


def published(ann: Node, ben: Node, path: Path, audience: str) -> str:
    ben.connect(ann)
    trust_each_other(ann, ben)
    ann.pkn("publish", str(path), "--to", audience)
    wait_for("the item", lambda: bool(ben.pkn("list")["items"]))
    return str(ben.pkn("list")["items"][0]["id"])


def killed_receiver_goes_on(folder: Path, megabytes: int, audience: str) -> None:
    ann, ben = Node("Ann", folder), Node("Ben", folder)
    path = large_file(folder, megabytes)
    with running(ann, ben):
        item = published(ann, ben, path, audience)
        until_some_came(ben, item, megabytes * MB // 20)
        with stopped(ann):
            ben.kill()
        kept = on_disk(ben)
        assert 0 < kept < megabytes * MB
        ben.start()
        ben.connect(ann)
        ben.pkn("get", item, "-o", str(folder / "got"))
        assert digest_of(folder / "got") == digest_of(path)
        assert received(ben) < megabytes * MB - kept + SLACK
        assert ben.pkn("verify", item)["bad"] == []


def test_a_receiver_that_was_killed_fetches_only_what_is_missing(tmp_path: Path) -> None:
    killed_receiver_goes_on(tmp_path, 256, "public")


@pytest.mark.long
def test_the_same_with_a_gigabyte_that_is_sealed(tmp_path: Path) -> None:
    killed_receiver_goes_on(tmp_path, 1024, "trusted")


def killed_sender_is_gone_on_with(folder: Path, megabytes: int) -> None:
    ann, ben = Node("Ann", folder), Node("Ben", folder)
    path = large_file(folder, megabytes)
    with running(ann, ben):
        item = published(ann, ben, path, "public")
        # Where it listened it listens again: that is where the other dials.
        ann.listen = ann.address
        getting = subprocess.Popen(
            [PKN, "get", item, "-o", str(folder / "got"), "--json"],
            env=ben.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        wait_for("something to come", lambda: on_disk(ben) > 8 * MB)
        ann.kill()
        assert getting.poll() is None, "it was over before it could be interrupted"
        wait_for("the end of the connection", lambda: ben.online() == 0)
        kept = on_disk(ben)
        ann.start()
        ben.connect(ann)
        out, errors = getting.communicate(timeout=60 + megabytes // 4)
        assert getting.returncode == 0, errors.decode()
        assert json.loads(out)["size"] == megabytes * MB
        assert digest_of(folder / "got") == digest_of(path)
        # Counted for each connection anew.
        assert received(ben) < megabytes * MB - kept + SLACK


def test_a_reader_waits_for_a_sender_that_was_killed_and_comes_back(tmp_path: Path) -> None:
    killed_sender_is_gone_on_with(tmp_path, 256)


@pytest.mark.long
def test_the_same_with_a_sender_of_a_gigabyte(tmp_path: Path) -> None:
    killed_sender_is_gone_on_with(tmp_path, 1024)


def from_two_holders(folder: Path, megabytes: int, audience: str) -> None:
    ann, ben, cat = (Node(name, folder) for name in ("Ann", "Ben", "Cat"))
    path = large_file(folder, megabytes)
    with running(ann, ben, cat):
        trust_each_other(ann, ben, cat)
        item = published(ann, ben, path, audience)
        for _ in progress(ben, item):
            pass
        for other in (ann, ben):
            cat.connect(other)
        wait_for("the item", lambda: bool(cat.pkn("list")["items"]))
        cat.pkn("get", item, "-o", str(folder / "got"))
        assert digest_of(folder / "got") == digest_of(path)
        shares = [int(peer["bytes_in"]) for peer in cat.pkn("peers")["peers"]]
        assert len(shares) == 2 and min(shares) > megabytes * MB // 8, shares
        assert sum(shares) < megabytes * MB + SLACK


def test_who_has_two_holders_fetches_from_both_and_nothing_twice(tmp_path: Path) -> None:
    from_two_holders(tmp_path, 64, "trusted")


@pytest.mark.long
def test_the_same_with_a_gigabyte_from_two(tmp_path: Path) -> None:
    from_two_holders(tmp_path, 1024, "public")
