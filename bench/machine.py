"""What the machine is and how busy, and two times that latencies are measured by: a sync, a round trip."""

from __future__ import annotations

import os
import platform
import socket
import sqlite3
import threading
import time
from pathlib import Path
from statistics import median


def facts() -> dict[str, object]:
    """`load`: processes that wanted a processor in the last minute, ours among them."""
    return {
        "processor": _processor(),
        "processors": os.cpu_count(),
        "load": os.getloadavg()[0],
        "when": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "machine": platform.machine(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
    }


def _processor() -> str:
    """What the processor calls itself, where the system tells."""
    about = Path("/proc/cpuinfo")
    lines = about.read_text(encoding="utf-8").splitlines() if about.exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor())


def busy_seconds() -> float:
    """Processor seconds since the machine started, of everything that runs on it."""
    # proc(5): user, nice, system, idle, iowait, irq, softirq; the rest is others' or counted twice.
    user, nice, system, _, _, irq, softirq = Path("/proc/stat").read_text().split(maxsplit=8)[1:8]
    ticks = sum(map(int, (user, nice, system, irq, softirq)))
    return ticks / os.sysconf("SC_CLK_TCK")


def fsync_seconds(folder: Path, *, times: int = 50) -> float:
    """The median time of a sync after 4 KiB were appended to a file in `folder`."""
    path = folder / "fsync"
    samples = []
    with path.open("wb") as file:
        for _ in range(times):
            file.write(os.urandom(4096))
            file.flush()
            began = time.perf_counter()
            os.fsync(file.fileno())
            samples.append(time.perf_counter() - began)
    path.unlink()
    return median(samples)


def round_trip_seconds(*, times: int = 500) -> float:
    """The median time of 64 bytes to a thread and back over TCP on loopback."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def echo() -> None:
            peer, _ = server.accept()
            with peer:
                peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                while data := peer.recv(64):
                    peer.sendall(data)

        thread = threading.Thread(target=echo)
        thread.start()
        samples = []
        with socket.create_connection(server.getsockname()) as client:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for _ in range(times):
                began = time.perf_counter()
                client.sendall(b"x" * 64)
                received = 0
                while received < 64:
                    received += len(client.recv(64))
                samples.append(time.perf_counter() - began)
        thread.join()
    return median(samples)
