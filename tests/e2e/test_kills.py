"""kill -9 of a real daemon while it publishes and imports: what was acknowledged is there and verifies."""

from __future__ import annotations

import contextlib
import json
import os
import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pkn_cli.client import ControlClient
from pkn_cli.failures import Failure
from tests.e2e.harness import Node, running

FILES_AN_IMPORT = 120
BLOCK_BYTES = 40_000
"""Larger than what is kept in a row: a file of its own, which has to be synced too."""


class Published:
    """What the daemon has acknowledged, over all its lives."""

    def __init__(self) -> None:
        self.ids: list[str] = []
        self.titles: set[str] = set()
        self.cut_off = 0


class Publisher(threading.Thread):
    """Publishes one text after the other until the daemon is gone."""

    def __init__(self, node: Node, published: Published, life: int, number: int) -> None:
        super().__init__()
        self._control = ControlClient(node.home, start_hint="")
        self._published = published
        self._name = f"{life}.{number}"
        self.began = threading.Event()

    def run(self) -> None:
        text = 0
        with contextlib.suppress(Failure, OSError, ValueError):
            while True:
                long = "x" * (BLOCK_BYTES if text % 5 == 4 else 10)
                body = {"text": f"# Note {self._name}.{text}\n\nturbulence {long}", "audience": "public"}
                reply = self._control.ask("POST", "/v1/items", body=body)
                self._published.ids.append(str(reply["id"]))
                self.began.set()
                text += 1
        self._published.cut_off += 1
        self.began.set()


class Importing(threading.Thread):
    """Imports folders of new files, one after the other, until the daemon is gone."""

    def __init__(self, node: Node, published: Published, life: int, folder: Path) -> None:
        super().__init__()
        self._control = ControlClient(node.home, start_hint="")
        self._published = published
        self._life = life
        self._folder = folder
        self.began = threading.Event()

    def run(self) -> None:
        number = 0
        with contextlib.suppress(Failure, OSError, ValueError):
            while True:
                folder = self._folder / f"{self._life}.{number}"
                folder.mkdir(parents=True)
                titles = [f"File {self._life}.{number}.{file}" for file in range(FILES_AN_IMPORT)]
                for file, title in enumerate(titles):
                    (folder / f"{file}.md").write_text(f"# {title}\n\nturbulence of {title}\n")
                self.began.set()
                body = {"paths": [str(folder)], "audience": "public"}
                events = [*self._control.stream("POST", "/v1/import", body=body)]
                if events[-1].get("summary", {}).get("imported") == FILES_AN_IMPORT:
                    self._published.titles.update(titles)
                number += 1
        self.began.set()


def live_and_die(node: Node, published: Published, life: int, seconds: float, folder: Path) -> None:
    """One life of the daemon: publish and import side by side, until the blow after `seconds`."""
    workers: list[Publisher | Importing] = [Publisher(node, published, life, n) for n in range(3)]
    workers.append(Importing(node, published, life, folder))
    for worker in workers:
        worker.start()
    try:
        for worker in workers:
            assert worker.began.wait(60)
        time.sleep(seconds)  # the moment of the blow is what is varied here
    finally:
        node.kill()
        for worker in workers:
            worker.join(60)
    assert not any(worker.is_alive() for worker in workers)


def check(node: Node, published: Published) -> None:
    verified = node.pkn("verify")
    assert verified["bad"] == []
    held = {item["id"]: item for item in everything(node)}
    missing = [cid for cid in published.ids if cid not in held]
    assert missing == [], f"{len(missing)} of {len(published.ids)} acknowledged items are gone"
    assert all(held[cid]["have_payload"] for cid in published.ids)
    lost = published.titles - {item["title"] for item in held.values()}
    assert lost == set(), f"{len(lost)} of {len(published.titles)} imported files are gone"


def everything(node: Node) -> Iterator[dict[str, object]]:
    """All items, a page after the other."""
    cursor: str | None = None
    while True:
        more = [] if cursor is None else [("cursor", cursor)]
        page = node.control.get("/v1/items", [("limit", "1000"), *more])
        yield from page["items"]
        cursor = page.get("cursor")
        if cursor is None:
            return


def kill_often(folder: Path, kills: int) -> None:
    seed = int(os.environ.get("PKN_SEED") or random.SystemRandom().randrange(1 << 32))
    print(f"again with PKN_SEED={seed}")
    chance = random.Random(seed)
    node, published = Node("Ann", folder), Published()
    with running(node):
        for life in range(kills):
            live_and_die(node, published, life, chance.uniform(0.0, 1.0) ** 2, folder / "files")
            node.start()
        check(node, published)
        assert published.ids
        assert published.cut_off == 3 * kills
        print(json.dumps({"published": len(published.ids), "imported": len(published.titles)}))


@pytest.mark.timeout(300)
def test_what_a_daemon_acknowledged_is_there_after_five_kills(tmp_path: Path) -> None:
    kill_often(tmp_path, 5)


@pytest.mark.timeout(1800)
@pytest.mark.long
def test_what_a_daemon_acknowledged_is_there_after_fifty_kills(tmp_path: Path) -> None:
    kill_often(tmp_path, 50)
