"""A daemon that holds 100,000 records by 100 people: its memory, and how soon after its start it answers."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import psutil

from bench.daemons import ask, client_of
from bench.documents import texts
from bench.payloads import text_payload
from bench.report import Figure
from pkn_cli.failures import Failure
from pkn_protocol.control.people import Trust
from pkn_protocol.records.codec import countersign_device, sign_record
from pkn_protocol.records.ids import AuthorId, DeviceId
from pkn_protocol.records.model import Device, Item
from pkn_protocol.records.signing import Ed25519Key
from pkn_protocol.text.analysis import analyse
from pkn_protocol.text.sketch import make_sketch
from pknd.environment import Environment
from pknd.people.founding import founding_records
from pknd.people.keys import open_keys
from pknd.store.batch import Arrival, ingest_many
from pknd.store.people import set_opinion
from pknd.store.store import Store
from tests.e2e.harness import Node

PEOPLE = 100
RECORDS = 100_000
STARTS = 5
MEMORY_MIB, START_SECONDS = 200.0, 2.0
_DAY_MS = 86_400_000
_QUERIES = ("boundary layer", "supersonic flow over a wing", "heat transfer", "buckling of shells")


def run() -> list[Figure]:
    with TemporaryDirectory(prefix="pkn-bench-") as temporary:
        node = Node("Anna", Path(temporary))
        _fill(node.home)
        starts: list[float] = []
        memory: list[float] = []
        for _ in range(STARTS):
            seconds, resident = _start(node)
            starts.append(seconds)
            memory.append(resident)
        size = (node.home / "pkn.db").stat().st_size / 1e6
    return [
        Figure(f"resident memory with {RECORDS} records", median(memory), "MiB", MEMORY_MIB, samples=memory),
        Figure("from its start to the first answer", median(starts), "s", START_SECONDS, samples=starts),
        Figure("database", size, "MB"),
    ]


def _fill(home: Path) -> None:
    home.mkdir(mode=0o700, parents=True)
    (home / "keys").mkdir(mode=0o700)
    keys, _ = open_keys(home / "keys", random_bytes=os.urandom)
    store = Store.open(home)
    now = int(time.time() * 1000)
    env = Environment(home, store, keys, lambda: now, time.monotonic, os.urandom)
    db = store._connection
    with db:
        db.execute("BEGIN")
        founding_records(db, env, "Anna")
    for arrivals, author in _people(now):
        with db:
            db.execute("BEGIN")
            set_opinion(db, author, Trust.TRUSTED, petname=None, now=now)
            ingest_many(db, arrivals, now=now, near=(author,))
    store._close()


def _people(now: int) -> Iterator[tuple[list[Arrival], AuthorId]]:
    _, held = texts()
    chance = random.Random(3)
    bodies = sorted(held.values())
    for number in range(PEOPLE):
        key, device = Ed25519Key.from_seed(chance.randbytes(32)), Ed25519Key.from_seed(chance.randbytes(32))
        author = AuthorId(key.public)
        body = Device(DeviceId(device.public), f"{number}", countersign_device(author, device, now))
        arrivals = [Arrival(sign_record(author=author, key=key, time=now, kind="device", body=body))]
        for _ in range(RECORDS // PEOPLE):
            title, _, text = chance.choice(bodies).partition("\n")
            more = chance.choice(bodies)[:300]
            sketch = make_sketch(analyse(f"{title}\n{text[:500]} {more}", "en"))
            item = Item(
                title[:200] or "Untitled",
                lang="en",
                excerpt=text[:280] or "-",
                sketch=sketch,
                payload=text_payload(more),
            )
            moment = now - chance.randrange(700 * _DAY_MS)
            arrivals.append(
                Arrival(sign_record(author=author, key=device, time=moment, kind="note", body=item))
            )
        yield arrivals, author


def _start(node: Node) -> tuple[float, float]:
    """Seconds from the start of the process to its first answer, and MiB after some questions more."""
    began = time.perf_counter()
    command = [sys.executable, "-m", "pknd", "--home", str(node.home), "--no-mdns", "--listen", "127.0.0.1:0"]
    with node.log_path.open("ab") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=node.environment)
    try:
        client = client_of(node)
        while True:
            try:
                if not ask(client, _QUERIES[0])["hits"]:
                    raise RuntimeError("nothing was found")
                break
            except Failure:
                if process.poll() is not None or time.perf_counter() - began > 60:
                    raise
                time.sleep(0.005)
        seconds = time.perf_counter() - began
        for words in _QUERIES * 5:
            ask(client, words)
        return seconds, psutil.Process(process.pid).memory_info().rss / 2**20
    finally:
        process.terminate()
        process.wait(20)
