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


def test_a_file_that_is_published_again_is_no_second_item(ann: Node, tmp_path: Path) -> None:
    note = tmp_path / "note.md"
    note.write_text("# Medlars\n\nRipe when bletted.\n")
    first = ann.pkn("publish", str(note), "--tag", "fruit", "--to", "public")
    again = ann.pkn("publish", str(note))
    assert (again["id"], again["unchanged"], again["audience"]) == (first["id"], True, "public")
    assert ann.pkn("publish", str(note), "--tag", "fruit")["unchanged"]
    imported = ann.pkn("import", str(tmp_path / "note.md"), "--yes")
    assert (imported["imported"], imported["unchanged"]) == (0, 1)
    tagged = ann.pkn("publish", str(note), "--tag", "autumn")
    assert (tagged["item"], tagged["unchanged"]) == (first["id"], False)
    note.write_text("# Medlars\n\nRipe in November.\n")
    changed = ann.pkn("publish", str(note))
    assert (changed["item"], changed["audience"]) == (first["id"], "public")
    [item] = ann.pkn("list", "--author", "me")["items"]
    assert (item["id"], item["tags"]) == (changed["id"], ["fruit", "autumn"])
    private = ann.pkn("publish", str(note), "--to", "private")
    assert private["item"] != first["id"]
    assert any(f"pkn retract {first['id']}" in warning for warning in private["warnings"])
    assert ann.pkn("publish", str(note))["unchanged"]
    ann.pkn("retract", private["item"], "--yes")
    assert not ann.pkn("publish", str(note))["unchanged"]
