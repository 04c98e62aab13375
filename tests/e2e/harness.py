"""Real daemons on loopback, each with a home of its own, and the real command to speak to them."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pkn_cli.client import ControlClient, path_of
from pkn_cli.failures import Failure

PKN = Path(sys.executable).with_name("pkn")
START_SECONDS = 60.0
WAIT_SECONDS = 40.0


class CommandFailed(AssertionError):
    """A command ended with another status than 0."""

    def __init__(self, words: tuple[str, ...], done: subprocess.CompletedProcess[str]) -> None:
        super().__init__(f"pkn {' '.join(words)}: status {done.returncode}: {done.stderr}")
        self.status = done.returncode
        self.stderr = done.stderr


class Node:
    """One person's daemon, run in the foreground so that its end is seen."""

    def __init__(self, name: str, folder: Path, *, mdns: bool = False, listen: str = "127.0.0.1:0") -> None:
        self.name = name
        self.home = folder / name.lower()
        self.mdns = mdns
        self.listen = listen
        self.environment = {**os.environ, "PKN_HOME": str(self.home), "NO_COLOR": "1", "COLUMNS": "100"}
        self.process: subprocess.Popen[bytes] | None = None
        self.command_prefix: tuple[str, ...] = ()

    @property
    def log_path(self) -> Path:
        return self.home.with_suffix(".log")

    def start(self) -> Node:
        self.launch()
        wait_for(f"{self.name} to answer", self.answers, seconds=START_SECONDS)
        return self

    def launch(self) -> None:
        """Begin to start."""
        self.home.parent.mkdir(parents=True, exist_ok=True)
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                [
                    *self.command_prefix,
                    *(sys.executable, "-m", "pknd", "--home", str(self.home), "--name", self.name),
                    *("--listen", self.listen),
                    *(() if self.mdns else ("--no-mdns",)),
                    *("--log-level", "debug"),
                ],
                stderr=log,
                stdout=log,
                env=self.environment,
            )

    def answers(self) -> bool:
        if self.process is not None and self.process.poll() is not None:
            raise AssertionError(f"{self.name} ended: {self.log_path.read_text()[-2000:]}")
        try:
            self.control.get(path_of("status"))
        except Failure:
            return False
        return True

    def stop(self) -> float:
        """SIGTERM, and wait; the seconds that it took."""
        if self.process is None:
            return 0.0
        began = time.monotonic()
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGTERM)
        self.process.wait(10)
        self.process = None
        return time.monotonic() - began

    def kill(self) -> None:
        """SIGKILL: no warning, no clean-up."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(10)
            self.process = None

    def run(self, *words: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [PKN, *words],
            env=self.environment,
            capture_output=True,
            text=True,
            input=text,
            stdin=subprocess.DEVNULL if text is None else None,
            timeout=60,
            check=False,
        )

    def pkn(self, *words: str, text: str | None = None) -> Any:
        """The JSON that a command prints.

        Raises:
            CommandFailed: its status is not 0.
        """
        done = self.run(*words, "--json", text=text)
        if done.returncode != 0:
            raise CommandFailed(words, done)
        return json.loads(done.stdout)

    def publish(self, text: str, *words: str) -> str:
        """Publish a text; the item's id."""
        return str(self.pkn("publish", "-", *words, text=text)["id"])

    def query(self, *words: str) -> list[dict[str, Any]]:
        hits: list[dict[str, Any]] = self.pkn("query", *words)["hits"]
        return hits

    def titles(self, *words: str) -> list[str]:
        return [str(hit["title"]) for hit in self.query(*words)]

    @property
    def control(self) -> ControlClient:
        """The control API without a command, which costs a process."""
        return ControlClient(self.home, start_hint="")

    @property
    def id(self) -> str:
        return str(self.pkn("id")["id"])

    @property
    def address(self) -> str:
        return str(self.pkn("status")["listen"][0])

    def connect(self, other: Node) -> None:
        self.pkn("connect", other.address)

    def trust(self, other: Node) -> None:
        self.pkn("trust", other.id, other.name, "--yes")

    def online(self) -> int:
        known: Any = self.control.get(path_of("peers"))
        return sum(peer["state"] == "online" for peer in known["peers"])

    def files_with(self, words: bytes) -> list[str]:
        """The files of the home that hold some bytes."""
        return [path.name for path in self.home.rglob("*") if path.is_file() and words in path.read_bytes()]

    def asked_of_disk(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """What the database says; the daemon, running or not, has nothing to do with it."""
        db = sqlite3.connect(f"file:{self.home / 'pkn.db'}?mode=ro", uri=True)
        try:
            return db.execute(statement, values).fetchall()
        finally:
            db.close()

    def events(self, name: str) -> list[str]:
        """The lines of the log with an event."""
        return [line for line in self.log_path.read_text().splitlines() if f"event={name} " in line + " "]


@contextlib.contextmanager
def running(*nodes: Node) -> Iterator[None]:
    """Start daemons; whatever happens, end them."""
    try:
        for node in nodes:
            node.launch()
        for node in nodes:
            wait_for(f"{node.name} to answer", node.answers, seconds=START_SECONDS)
        yield
    finally:
        for node in nodes:
            node.kill()


def wait_for(what: str, happened: Callable[[], bool], *, seconds: float = WAIT_SECONDS) -> None:
    """Ask until it is so, or fail at the deadline."""
    deadline = time.monotonic() + seconds
    while not happened():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds:.0f} s in vain for {what}")
        time.sleep(0.01)


def trust_each_other(*nodes: Node) -> None:
    for one in nodes:
        for other in nodes:
            if one is not other:
                one.trust(other)
