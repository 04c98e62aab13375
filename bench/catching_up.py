"""10,000 records from one daemon to an empty one: fetched, verified, indexed, on disk.

The measure is this machine's rate of Ed25519 verifications on one core, taken in the same run.
"""

from __future__ import annotations

import os
import random
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from bench.documents import texts, write_folder
from bench.report import Figure
from pkn_protocol.records.signing import Ed25519Key, verify
from tests.e2e.harness import Node, running, trust_each_other

RECORDS = 10_000
ROUNDS = 3
LIMIT = 0.3
_MOST_SECONDS = 120.0
_MESSAGE_BYTES = 300
_POLL_SECONDS = 0.05


def run() -> list[Figure]:
    with TemporaryDirectory(prefix="pkn-bench-") as temporary:
        folder = Path(temporary)
        write_folder(folder / "documents", _documents(RECORDS))
        anna = Node("Anna", folder)
        rates: list[float] = []
        public: list[float] = []
        with running(anna):
            anna.pkn("import", str(folder / "documents"), "--to", "public", "--yes")
            for number in range(ROUNDS):
                rates.append(_verifications())
                public.append(_seconds(anna, Node(f"Bruno{number}", folder)))
                rates.append(_verifications())
    rate = median(rates)
    ratios = [RECORDS / seconds / rate for seconds in public]
    return [
        Figure(
            f"{RECORDS} records from one daemon to an empty one",
            median(ratios),
            "× verifications of one core",
            LIMIT,
            at_least=True,
            samples=ratios,
        ),
        Figure("… records a second", RECORDS / median(public), "1/s"),
        Figure("… verifications a second on one core", rate, "1/s", samples=rates),
    ]


def _documents(count: int) -> dict[str, str]:
    """So many different documents, made of those at hand: each with sentences of two."""
    _, held = texts()
    chance = random.Random(2)
    names = sorted(held)
    made = {}
    for number in range(count):
        one, other = held[chance.choice(names)], held[chance.choice(names)]
        title, _, body = one.partition("\n")
        made[str(number)] = f"{title} {number}\n{body[: len(body) // 2]} {other.partition(chr(10))[2][:400]}"
    return made


def _seconds(anna: Node, bruno: Node) -> float:
    with running(bruno):
        trust_each_other(anna, bruno)
        before = _on_disk(bruno)
        bruno.connect(anna)
        began = time.perf_counter()
        while _on_disk(bruno) < before + RECORDS:
            if time.perf_counter() - began > _MOST_SECONDS:
                raise RuntimeError("the records did not arrive in time")
            time.sleep(_POLL_SECONDS)
        return time.perf_counter() - began


def _on_disk(node: Node) -> int:
    # Documents of the index, which are stored with the records. To go through the records themselves twenty
    # times a second took a quarter of a core from those who are measured.
    [(count,)] = node.asked_of_disk("SELECT count(*) FROM document")
    return int(count)


def _verifications() -> float:
    """A second, of messages as long as records."""
    key = Ed25519Key.from_seed(os.urandom(32))
    signed = [(m := os.urandom(_MESSAGE_BYTES), key.sign(m)) for _ in range(2000)]
    began = time.perf_counter()
    for message, signature in signed:
        if not verify(key.public, message, signature):
            raise RuntimeError("a good signature was refused")
    return len(signed) / (time.perf_counter() - began)
