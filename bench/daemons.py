"""Real daemons on loopback, and their control sockets asked from this process."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.documents import texts, write_folder
from pkn_cli.client import ControlClient, JsonObject
from tests.e2e.harness import Node, running


@contextmanager
def folder_of_documents() -> Iterator[tuple[Path, Path, str, int]]:
    """A temporary folder, below it one of documents, what they are, and how many."""
    with tempfile.TemporaryDirectory(prefix="pkn-bench-") as temporary:
        folder = Path(temporary)
        name, documents = texts()
        write_folder(folder / "documents", documents)
        yield folder, folder / "documents", name, len(documents)


@contextmanager
def filled(folder: Path, documents: Path) -> Iterator[Node]:
    """A daemon that holds the documents."""
    node = Node("Anna", folder)
    with running(node):
        node.pkn("import", str(documents), "--to", "public", "--yes")
        yield node


def client_of(node: Node) -> ControlClient:
    return ControlClient(node.home, start_hint="")


def ask(client: ControlClient, words: str, *, scope: str = "local", each: bool = False) -> JsonObject:
    """The final answer to a query; `each`: copies of one text by themselves."""
    for event in client.stream("POST", "/v1/query", body={"query": words, "scope": scope, "each": each}):
        if event.get("event") == "final":
            result: JsonObject = event["result"]
            return result
    raise RuntimeError("the answer broke off")
