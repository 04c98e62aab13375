"""What five silent ones among eight neighbours cost: the time of a query, and whether its top is the same.

Strangers may know what is not here, so that their answers are waited for; of trusted people all summaries are
here, so that a query ends after the least patience whoever has answered by then.
"""

from __future__ import annotations

import signal
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from bench.daemons import ask, client_of
from bench.documents import texts, write_folder
from bench.report import Figure
from pkn_cli.client import ControlClient, JsonObject
from tests.e2e.harness import Node, running, wait_for

PEOPLE, SILENT = 8, 5
ROUNDS, WARMING = 30, 3
LIMIT = 1.1
QUERIES = ("boundary layer transition", "supersonic flow over wings", "heat transfer", "slender bodies")
_MOST_TRIES = 5


def run() -> list[Figure]:
    name, documents = texts()
    queries = QUERIES if name == "cran" else _common(documents)
    details = {"documents": f"{len(documents)} of {name}"}
    with tempfile.TemporaryDirectory(prefix="pkn-bench-") as temporary:
        folder = Path(temporary)
        asker = Node("Asker", folder)
        others = [Node(f"Person{number}", folder) for number in range(PEOPLE)]
        with running(asker, *others):
            _deal(documents, others, folder)
            for other in others:
                asker.connect(other)
            wait_for("all summaries", lambda: asker.pkn("status")["items"] >= len(documents), seconds=60)
            client = client_of(asker)
            figures = _measure(client, others, queries, "strangers", "everyone", details)
            for other in others:
                asker.trust(other)
            wait_for(
                "all texts, which trust brings", lambda: _has_all_texts(asker, len(documents)), seconds=90
            )
            return figures + _measure(client, others, queries, "trusted people", "horizon", details)


def _deal(documents: Mapping[str, str], others: Sequence[Node], folder: Path) -> None:
    for number, other in enumerate(others):
        share = dict(list(documents.items())[number::PEOPLE])
        write_folder(folder / f"documents{number}", share)
        other.pkn("import", str(folder / f"documents{number}"), "--to", "public", "--yes")


def _measure(
    client: ControlClient,
    others: Sequence[Node],
    queries: Sequence[str],
    case: str,
    scope: str,
    details: Mapping[str, object],
) -> list[Figure]:
    """Nobody and five are silent, in turns: the same moments of the machine for both."""
    full: list[float] = []
    partial: list[float] = []
    answered: list[int] = []
    same = 0
    for number in range(WARMING + ROUNDS):
        words = queries[number % len(queries)]
        everybody, wanted = _ask_after_silence(client, words, scope)
        with _silent(others[:SILENT]):
            some, found = _ask(client, words, scope)
        if number >= WARMING:
            full.append(everybody * 1000)
            partial.append(some * 1000)
            answered.append(wanted["peers_answered"])
            same += _ids(wanted) == _ids(found) != []
    ratios = [one / other for one, other in zip(partial, full, strict=True)]
    about = {**details, "answered_when_nobody_is_silent": answered}
    return [
        Figure(
            f"{SILENT} of {PEOPLE} {case} silent",
            median(ratios),
            "× nobody",
            LIMIT,
            samples=ratios,
            details=about,
        ),
        Figure("… the same first ten", same / ROUNDS, "of queries", 1.0, at_least=True),
        Figure("… answered when nobody is silent", median(answered), f"of {PEOPLE}"),
        Figure("… query, nobody silent", median(full), "ms", samples=full),
        Figure(f"… query, {SILENT} silent", median(partial), "ms", samples=partial),
    ]


def _ask(client: ControlClient, words: str, scope: str) -> tuple[float, JsonObject]:
    began = time.perf_counter()
    result = ask(client, words, scope=scope)
    return time.perf_counter() - began, result


def _ask_after_silence(client: ControlClient, words: str, scope: str) -> tuple[float, JsonObject]:
    """A query after one that everybody has answered or a few that went by: who was silent is forgotten where
    the asker waits for answers at all, so that the next silence is the first, which costs most."""
    for _ in range(_MOST_TRIES):
        _, result = _ask(client, words, scope)
        if result["peers_answered"] == PEOPLE:
            break
    return _ask(client, words, scope)


def _has_all_texts(node: Node, count: int) -> bool:
    items = node.pkn("list", "--limit", str(count))["items"]
    return len(items) >= count and all(item["have_payload"] for item in items)


def _ids(result: JsonObject) -> list[str]:
    return [hit["id"] for hit in result["hits"]]


@contextmanager
def _silent(nodes: Sequence[Node]) -> Iterator[None]:
    """Stopped processes: their connections stay, and nothing comes."""
    processes = [node.process for node in nodes if node.process is not None]
    try:
        for process in processes:
            process.send_signal(signal.SIGSTOP)
        yield
    finally:
        for process in processes:
            process.send_signal(signal.SIGCONT)


def _common(documents: Mapping[str, str]) -> list[str]:
    """Pairs of words that many texts have."""
    counts = Counter(word for text in documents.values() for word in set(text.split()))
    words = [word for word, _ in counts.most_common(8)]
    return [f"{one} {other}" for one, other in zip(words[::2], words[1::2], strict=True)]
