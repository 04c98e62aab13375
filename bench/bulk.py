"""A file of a gigabyte between daemons: how fast, in how much memory, and what gossip costs meanwhile.

The rate is compared with what aiohttp streams over TLS in writes of 256 KiB, both ends in one process,
measured before each round. That process keeps one processor busy and two daemons keep two: where something
else runs beside them the ratio falls, so what else ran is told with it.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median

from bench.daemons import ask, client_of
from bench.machine import busy_seconds
from bench.report import Figure
from pkn_cli.client import ControlClient
from tests.e2e.harness import Node, running, trust_each_other, wait_for

MIB = 1024 * 1024
FILE_BYTES = 1024 * MIB
ROUNDS = 3
LATENCIES = 40
RATIO, GROWTH_MIB, SLOWER = 0.5, 64.0, 2.0
_PIECE = 4 * MIB
_WAIT_SECONDS = 600.0


def run() -> list[Figure]:
    with tempfile.TemporaryDirectory(prefix="pkn-bench-") as temporary:
        folder = Path(temporary)
        anna, bruno, chiara = (Node(name, folder) for name in ("Anna", "Bruno", "Chiara"))
        file = LargeFile(folder / "large.bin")
        with running(anna, bruno):
            bruno.connect(anna)
            trust_each_other(anna, bruno)
            figures = _one_holder(anna, bruno, file, "public")
            figures += _one_holder(anna, bruno, file, "trusted")
            figures += _gossip(anna, bruno, file)
            with running(chiara):
                figures += _two_holders(anna, bruno, chiara, file)
        return figures


class LargeFile:
    """Random bytes; each `renewed` one has other chunks."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with path.open("wb") as file:
            for _ in range(FILE_BYTES // _PIECE):
                file.write(os.urandom(_PIECE))

    def renewed(self) -> Path:
        with self.path.open("r+b") as file:
            for start in range(0, FILE_BYTES, MIB):
                file.seek(start)
                file.write(os.urandom(16))
        return self.path


def _one_holder(anna: Node, bruno: Node, file: LargeFile, audience: str) -> list[Figure]:
    ratios, rates, baselines, growth_there, growth_here = [], [], [], [], []
    disk: list[float] = []
    read: list[float] = []
    streamed: list[tuple[float, float]] = []
    processors: list[float] = []
    beside_streamed: list[float] = []
    beside: list[float] = []
    for number in range(ROUNDS):
        others = Others()
        streamed.append(_baseline())
        beside_streamed.append(others.busy())
        baselines.append(streamed[-1][0])
        item = _published(anna, bruno, file, audience)
        before = [_memory(node) for node in (anna, bruno)]
        spent = sum(_processor_seconds(node) for node in (anna, bruno))
        others = Others(anna, bruno)
        rates.append(FILE_BYTES / _fetch(bruno, item))
        beside.append(others.busy())
        processors.append(sum(_processor_seconds(node) for node in (anna, bruno)) - spent)
        after = [_memory(node, "VmHWM") for node in (anna, bruno)]
        growth_there.append((after[0] - before[0]) / MIB)
        growth_here.append((after[1] - before[1]) / MIB)
        ratios.append(rates[-1] / baselines[-1])
        disk.append(_disk(bruno.home.parent))
        if number == 0:
            read.append(FILE_BYTES / _get(bruno, item))
    case = "1 GiB" if audience == "public" else "1 GiB, sealed"
    details = {
        "megabytes_a_second": [rate / 1e6 for rate in rates],
        "aiohttp_megabytes_a_second": [rate / 1e6 for rate in baselines],
        "disk_megabytes_a_second": [rate / 1e6 for rate in disk],
        "aiohttp_processor_seconds": [processor for _, processor in streamed],
        "own_processor_seconds": processors,
        "processors_busy_with_others": beside,
        "processors_busy_with_others_beside_aiohttp": beside_streamed,
    }
    limit = RATIO if audience == "public" else None
    return [
        Figure(f"{case}: rate", median(ratios), "of aiohttp's", limit, True, ratios, details),
        Figure(f"{case}: rate", median(rates) / 1e6, "MB/s"),
        Figure(f"{case}: what the disk alone takes, written and synced", median(disk) / 1e6, "MB/s"),
        Figure(
            f"{case}: processor, both daemons",
            median(own / base for own, (_, base) in zip(processors, streamed, strict=True)),
            "× aiohttp's",
        ),
        Figure(f"{case}: sender grows by", max(growth_there), "MiB", GROWTH_MIB, samples=growth_there),
        Figure(f"{case}: receiver grows by", max(growth_here), "MiB", GROWTH_MIB, samples=growth_here),
        Figure(f"{case}: pkn get -o of what is here", read[0] / 1e6, "MB/s"),
    ]


def _two_holders(anna: Node, bruno: Node, chiara: Node, file: LargeFile) -> list[Figure]:
    trust_each_other(anna, bruno, chiara)
    item = _published(anna, bruno, file, "public")
    _fetch(bruno, item)
    for other in (anna, bruno):
        chiara.connect(other)
    wait_for("the item", lambda: _has_item(chiara, item), seconds=_WAIT_SECONDS)
    baseline, _ = _baseline()
    before = {peer["device"]: peer["bytes_in"] for peer in chiara.pkn("peers")["peers"]}
    rate = FILE_BYTES / _fetch(chiara, item)
    shares = [
        (peer["bytes_in"] - before[peer["device"]]) / FILE_BYTES for peer in chiara.pkn("peers")["peers"]
    ]
    return [
        Figure("1 GiB from two holders: rate", rate / baseline, "of aiohttp's"),
        Figure("1 GiB from two holders: rate", rate / 1e6, "MB/s"),
        Figure("… the smaller share", min(shares), "of the bytes", samples=shares),
        Figure("… fetched in all", sum(shares), "× the bytes", 1.05),
    ]


def _gossip(anna: Node, bruno: Node, file: LargeFile) -> list[Figure]:
    """New items while nothing else goes on, and while one gigabyte after the other is fetched; in turns."""
    here, there = client_of(anna), client_of(bruno)
    idle: list[float] = []
    meanwhile: list[float] = []
    word = 0
    while len(meanwhile) < LATENCIES:
        item = _published(anna, bruno, file, "public")
        for _ in range(10):
            word += 1
            idle.append(_latency(here, there, f"idle{word}word"))
        fetching = threading.Thread(target=_fetch, args=(bruno, item))
        fetching.start()
        while fetching.is_alive():
            word += 1
            took = _latency(here, there, f"busy{word}word")
            if fetching.is_alive():
                meanwhile.append(took)
        fetching.join()
    return [
        Figure("a new item meanwhile", median(meanwhile) / median(idle), "× idle", SLOWER),
        Figure("… idle", median(idle) * 1000, "ms", samples=[s * 1000 for s in idle]),
        Figure("… meanwhile", median(meanwhile) * 1000, "ms", samples=[s * 1000 for s in meanwhile]),
    ]


def _latency(here: ControlClient, there: ControlClient, word: str) -> float:
    began = time.perf_counter()
    here.ask("POST", "/v1/items", body={"text": f"about {word}", "audience": "public"})
    while not ask(there, word)["hits"]:
        if time.perf_counter() - began > _WAIT_SECONDS:
            raise TimeoutError(f"{word} did not arrive")
    return time.perf_counter() - began


def _published(anna: Node, bruno: Node, file: LargeFile, audience: str) -> str:
    """The file, with new chunks, in Bruno's list."""
    known = _items(bruno)
    body = {"path": str(file.renewed()), "audience": audience}
    client_of(anna).ask("POST", "/v1/items", body=body, seconds=_WAIT_SECONDS)
    wait_for("the item", lambda: bool(_items(bruno) - known), seconds=_WAIT_SECONDS)
    [item] = _items(bruno) - known
    return item


def _items(node: Node) -> set[str]:
    found = client_of(node).get("/v1/items", [("kind", "file")])["items"]
    return {str(item["id"]) for item in found}


def _has_item(node: Node, item: str) -> bool:
    return item in _items(node)


def _fetch(node: Node, item: str) -> float:
    """The seconds until all is there, on disk and verified."""
    began = time.perf_counter()
    parameters = [("timeout_ms", str(int(_WAIT_SECONDS * 1000)))]
    for event in client_of(node).stream("POST", f"/v1/items/{item}/fetch", parameters):
        if event["event"] == "summary" and event["summary"]["complete"]:
            return time.perf_counter() - began
    raise RuntimeError("it did not come")


def _get(node: Node, item: str) -> float:
    target = node.home.parent / "got"
    began = time.perf_counter()
    node.pkn("get", item, "-o", str(target))
    took = time.perf_counter() - began
    target.unlink()
    return took


def _memory(node: Node, field: str = "VmRSS") -> int:
    """Bytes of resident memory; asking for what there is now forgets the greatest there was."""
    if node.process is None:
        raise RuntimeError(f"{node.name} does not run")
    folder = Path("/proc") / str(node.process.pid)
    if field == "VmRSS":
        # proc(5): 5 resets the peak of resident memory.
        (folder / "clear_refs").write_text("5")
    lines = (folder / "status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith(f"{field}:"))) * 1024


def _processor_seconds(node: Node) -> float:
    if node.process is None:
        raise RuntimeError(f"{node.name} does not run")
    # proc(5): utime and stime, the 14th and 15th; the name before them may hold spaces.
    fields = (Path("/proc") / str(node.process.pid) / "stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Others:
    """What else than these daemons and this process keeps processors busy, from now on."""

    def __init__(self, *nodes: Node) -> None:
        self._nodes = nodes
        self._began = time.perf_counter()
        self._at_first = self._seconds()

    def busy(self) -> float:
        """Processors, in the mean."""
        return max(0.0, self._seconds() - self._at_first) / (time.perf_counter() - self._began)

    def _seconds(self) -> float:
        own = sum(_processor_seconds(node) for node in self._nodes)
        for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN):
            used = resource.getrusage(who)
            own += used.ru_utime + used.ru_stime
        return busy_seconds() - own


def _disk(folder: Path) -> float:
    """Bytes a second of files of 1 MiB, each written and synced, by four threads."""
    block = os.urandom(MIB)

    def write(number: int) -> Path:
        path = folder / f"disk{number}"
        with path.open("wb") as file:
            file.write(block)
            file.flush()
            os.fsync(file.fileno())
        return path

    began = time.perf_counter()
    with ThreadPoolExecutor(4) as threads:
        paths = list(threads.map(write, range(FILE_BYTES // MIB)))
    took = time.perf_counter() - began
    for path in paths:
        path.unlink()
    return FILE_BYTES / took


def _baseline() -> tuple[float, float]:
    """Bytes a second, and processor seconds, by a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.streamed", str(FILE_BYTES)], capture_output=True, text=True, check=True
    )
    rate, seconds = done.stdout.split()
    return float(rate), float(seconds)
