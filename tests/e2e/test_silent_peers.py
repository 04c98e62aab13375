"""Eight daemons of which five say nothing: a query's first ten are what all eight would have given."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.harness import Node, running, wait_for

PEOPLE, SILENT, NOTES = 8, 5, 4
WORDS = ("turbulence", "boundary", "layer")


@contextmanager
def silent(nodes: Sequence[Node]) -> Iterator[None]:
    """Stopped processes: their connections stay, and nothing comes."""
    processes = [node.process for node in nodes if node.process is not None]
    try:
        for process in processes:
            process.send_signal(signal.SIGSTOP)
        yield
    finally:
        for process in processes:
            process.send_signal(signal.SIGCONT)


def write_notes(folder: Path, number: int) -> None:
    """Notes of which no two score the same, so that the first ten are ten in one order."""
    folder.mkdir()
    for note in range(NOTES):
        rank = number * NOTES + note
        words = ["turbulence"] * (1 + rank % 3) + ["boundary layer"] * (1 + rank % 5)
        others = [f"word{rank}x{extra}" for extra in range(3 * rank)]
        text = f"# Flow {rank}\n\n{' '.join(words + others)}\n"
        (folder / f"flow{rank}.md").write_text(text)


def asked(node: Node, scope: str) -> dict[str, Any]:
    request = {"query": " ".join(WORDS), "scope": scope}
    [final] = [
        event["result"]
        for event in node.control.stream("POST", "/v1/query", body=request)
        if event["event"] == "final"
    ]
    return dict(final)


def ids(result: dict[str, Any]) -> list[str]:
    return [hit["id"] for hit in result["hits"]]


def listed(node: Node) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = node.control.get(f"/v1/items?limit={PEOPLE * NOTES}")["items"]
    return items


@pytest.mark.timeout(300)
def test_with_five_of_eight_silent_the_first_ten_are_the_same(tmp_path: Path) -> None:
    asker = Node("Asker", tmp_path)
    others = [Node(f"Person{number}", tmp_path) for number in range(PEOPLE)]
    with running(asker, *others):
        for number, other in enumerate(others):
            folder = tmp_path / f"notes{number}"
            write_notes(folder, number)
            request = {"paths": [str(folder)], "audience": "public"}
            last = [*other.control.stream("POST", "/v1/import", body=request)][-1]
            assert last["summary"]["imported"] == NOTES
            address = other.control.get("/v1/status")["listen"][0]
            asker.control.ask("POST", "/v1/peers/connect", body={"address": address})
        everything = PEOPLE * NOTES
        wait_for("all summaries", lambda: asker.pkn("status")["items"] >= everything)
        everybody = asked(asker, "everyone")
        with silent(others[:SILENT]):
            some = asked(asker, "everyone")
        assert len(ids(everybody)) == 10
        assert ids(some) == ids(everybody)
        assert (some["peers_asked"], some["complete"]) == (PEOPLE, False)
        assert some["peers_answered"] <= PEOPLE - SILENT

        for other in others:
            person = other.control.get("/v1/status")["id"]
            asker.control.ask("POST", f"/v1/people/{person}/trust", body={})
        # The texts of whom one trusts come by themselves, and the first results are scored by them.
        wait_for("all texts", lambda: all(item["have_payload"] for item in listed(asker)))
        trusted = asked(asker, "horizon")
        assert len(ids(trusted)) == 10
        with silent(others[:SILENT]):
            some = asked(asker, "horizon")
            assert ids(some) == ids(trusted)
            # Of people within the horizon everything that counts is here: nothing is missing.
            assert some["complete"] is True
            assert some["peers_answered"] <= PEOPLE - SILENT
