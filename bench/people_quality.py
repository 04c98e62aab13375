"""Eight real daemons that trust each other: how near the answers of one come to one index of all texts.

Each imports its share of a collection, dealt by chance and, a second time, by topic. One is asked each
question of the collection, with `--local` and with its peers; documents that are one text are results of
their own, since they were judged one by one. Every figure is given for both halves of the questions too:
the first half anybody may look at while changing the search, the second nobody.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean

from bench.daemons import ask, client_of
from bench.documents import COLLECTIONS, Collection, collection, is_there, write_folder
from bench.relevance import central_scores, ndcg
from bench.report import Figure
from pkn_cli.client import ControlClient, path_of
from tests.e2e.harness import Node, running, wait_for

PEOPLE = 8
LEAST_LOCAL, LEAST_ASKED = 0.98, 1.00


@dataclass(frozen=True, slots=True)
class Measured:
    """nDCG@10 by question: of the own disk, with peers, and of one index of all texts."""

    local: Mapping[str, float]
    asked: Mapping[str, float]
    central: Mapping[str, float]
    peers_asked: float

    def ratio(self, found: Mapping[str, float], questions: Sequence[str]) -> float:
        return mean(found[one] for one in questions) / mean(self.central[one] for one in questions)


def run() -> list[Figure]:
    """Ratios of the mean nDCG@10; none where no collection with judgements lies beside the repository."""
    figures: list[Figure] = []
    for name in filter(is_there, COLLECTIONS):
        held = collection(name)
        for dealing in ("by chance", "by topic"):
            figures += _figures(held, dealing, measure(held, dealing))
    return figures or [Figure("not measured: no ../shared/data", 0.0, "collections")]


def _figures(held: Collection, dealing: str, found: Measured) -> Iterator[Figure]:
    halves = {"": list(held.queries), **halves_of(held)}
    details = {
        "people": PEOPLE,
        "documents": len(held.documents),
        "queries": len(held.queries),
        "peers_asked": found.peers_asked,
        "central_ndcg": mean(found.central.values()),
    }
    for label, scores, least in (
        ("--local", found.local, LEAST_LOCAL),
        ("with peers", found.asked, LEAST_ASKED),
    ):
        for half, questions in halves.items():
            yield Figure(
                f"{held.name}, dealt {dealing}, {label}{half}",
                found.ratio(scores, questions),
                "× central nDCG@10",
                None if half else least,
                at_least=True,
                samples=() if half else list(scores.values()),
                details={} if half else details,
            )


def halves_of(held: Collection) -> dict[str, list[str]]:
    """The questions that may be looked at, and those that may not."""
    questions = list(held.queries)
    return {", first half": questions[::2], ", second half": questions[1::2]}


def measure(held: Collection, dealing: str, people: int = PEOPLE) -> Measured:
    """Deal a collection to daemons, and ask one of them everything."""
    central = dict(zip(held.queries, central_scores(held), strict=True))
    with (
        tempfile.TemporaryDirectory(prefix="pkn-bench-") as folder,
        _dealt(held, dealing, people, Path(folder)) as asker,
    ):
        names = _names(asker, len(held.documents))
        client = client_of(asker)
        local = {number: _ask(client, held, number, "local", names)[0] for number in held.queries}
        asked = {number: _ask(client, held, number, "horizon", names) for number in held.queries}
    return Measured(
        local,
        {number: score for number, (score, _) in asked.items()},
        central,
        mean(count for _, count in asked.values()),
    )


def judged_part(held: Collection, documents: int, queries: int) -> Collection:
    """A smaller collection: documents that were judged for some questions, and those questions."""
    chosen = dict(list(held.queries.items())[:queries])
    wanted = [one for number in chosen for one in held.grades.get(number, {})]
    kept = dict.fromkeys([*wanted, *held.documents])
    names = [name for name in kept if name in held.documents][:documents]
    grades = {
        number: {name: grade for name, grade in held.grades.get(number, {}).items() if name in set(names)}
        for number in chosen
    }
    return replace(
        held,
        documents={name: held.documents[name] for name in names},
        queries={number: text for number, text in chosen.items() if grades[number]},
        grades=grades,
    )


@contextmanager
def _dealt(held: Collection, dealing: str, people: int, folder: Path) -> Iterator[Node]:
    """Daemons that hold their shares, and all summaries; the first of them."""
    order = list(held.documents)
    if dealing == "by chance":
        random.Random(1).shuffle(order)
    # As they stand, neighbours in these collections are of one subject.
    size = -(-len(order) // people)
    nodes = [Node(f"Person{number}", folder) for number in range(people)]
    with running(*nodes):
        for number, node in enumerate(nodes):
            share = {name: held.documents[name] for name in order[number * size : (number + 1) * size]}
            write_folder(folder / f"documents{number}", share)
            node.pkn("import", str(folder / f"documents{number}"), "--to", "public", "--yes")
        _join(nodes)
        asker = nodes[0]
        wait_for("all summaries", lambda: asker.pkn("status")["items"] >= len(order), seconds=120)
        yield asker


def _join(nodes: Sequence[Node]) -> None:
    """All connected, and all trust all."""
    known = [node.control.get(path_of("status")) for node in nodes]
    for number, node in enumerate(nodes):
        for place, other in enumerate(known):
            if place > number:
                node.control.ask("POST", "/v1/peers/connect", body={"address": other["listen"][0]})
            if place != number:
                node.control.ask("POST", f"/v1/people/{other['id']}/trust", body={})


def _names(asker: Node, count: int) -> dict[str, str]:
    """What the collection calls each item: the file's name that an item keeps, by id."""
    items = asker.pkn("list", "--limit", str(count))["items"]
    details = {item["id"]: item for item in items}
    return {
        cid: str(asker.control.get(f"/v1/items/{cid}", [("fetch", "0")])["name"]).removesuffix(".md")
        for cid in details
    }


def _ask(
    client: ControlClient, held: Collection, number: str, scope: str, names: Mapping[str, str]
) -> tuple[float, int]:
    # A judged question is words alone: its quotation marks, dashes and colons are prose.
    text = held.queries[number].replace('"', " ").replace(" -", " ")
    result = ask(client, text, scope=scope, each=True)
    top = [names[hit["id"]] for hit in result["hits"]]
    return ndcg(top, held.grades.get(number, {})), int(result["peers_asked"])
