"""Homes that earlier programs wrote open, and keep all that is in them.

`homes/schema-1.tar.gz` was written by the program of schema 1: the garden `ada` (a note of it edited), a note
for trusted people, a file of 70,000 bytes, and a note that was retracted. Its keys belong to nobody.
"""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from tests.e2e.harness import Node, running

HOMES = Path(__file__).parent / "homes"
AUTHOR = "did:key:z6MkeoJgSxh4ptZePDXaLJj266R1j9Avj2znQGBv2mW4QsAG"


@pytest.fixture
def ada(tmp_path: Path) -> Node:
    node = Node("Ada", tmp_path)
    with tarfile.open(HOMES / "schema-1.tar.gz") as archive:
        archive.extractall(tmp_path, filter="data")
    (tmp_path / "home").rename(node.home)
    node.home.chmod(0o700)
    return node


def test_a_home_of_the_first_schema_keeps_its_content(ada: Node) -> None:
    with running(ada):
        assert ada.id == AUTHOR
        status = ada.pkn("status")
        assert (status["items"], status["records"]) == (22, 29)
        assert ada.pkn("verify")["bad"] == []
        assert ada.titles("zeppelins") == ["The boundary layer"]
        [secret] = ada.query("quartz")
        assert "quartz oscillators" in ada.pkn("show", secret["id"])["text"]
        assert ada.query("walrus") == []
        [noise] = ada.pkn("list", "--kind", "file")["items"]
        assert noise["have_payload"] and noise["size"] == 70_000


def test_what_an_older_home_holds_can_be_published_on(ada: Node, tmp_path: Path) -> None:
    with running(ada):
        [hit] = ada.query("zeppelins")
        text = tmp_path / "again.md"
        text.write_text("# The boundary layer\n\nNow without airships.\n")
        ada.pkn("edit", hit["id"], str(text))
        assert ada.query("zeppelins") == []
        assert ada.titles("airships") == ["The boundary layer"]
        assert len(ada.pkn("history", hit["id"])["versions"]) == 3
    with running(ada):
        assert ada.titles("airships") == ["The boundary layer"]
