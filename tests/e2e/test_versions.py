"""Versions of what one wrote: each can be read again, and a file published again is no second item."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.harness import Node, running


@pytest.fixture
def ann(tmp_path: Path) -> Iterator[Node]:
    node = Node("Ann", tmp_path / "home")
    with running(node):
        yield node


def test_each_version_can_be_read_by_the_reference_that_history_shows(ann: Node) -> None:
    item = ann.publish("# Recipe\n\nten eggs")
    ann.pkn("edit", item, "-", text="# Recipe\n\ntwelve eggs")
    ann.pkn("edit", item, "-", text="# Recipe\n\nno eggs")
    versions = ann.pkn("history", item)["versions"]
    texts = ["no eggs", "twelve eggs", "ten eggs"]
    typed = [row.split()[0] for row in ann.run("history", item).stdout.splitlines()[1:]]
    for references in ([one["ref"] for one in versions], typed):
        for reference, text in zip(references, texts, strict=True):
            assert text in ann.pkn("show", reference)["text"]
            assert ann.run("get", reference).stdout.strip().endswith(text)
            assert ann.pkn("history", reference)["versions"] == versions
    assert "no eggs" in ann.pkn("show", item)["text"]
    shown = ann.run("show", typed[-1]).stdout
    assert "this is an earlier one" in shown and typed[0] in shown
    refused = ann.run("show", item + "@2")
    assert "pkn history" in refused.stderr
