"""Importing the same folder again and again: who gets what, and what must not come back."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.harness import Node, running


@pytest.fixture
def ann(tmp_path: Path) -> Iterator[Node]:
    node = Node("Ann", tmp_path / "home")
    with running(node):
        yield node


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    folder = tmp_path / "notes"
    folder.mkdir()
    for name in ("apple", "pear", "quince"):
        (folder / f"{name}.md").write_text(f"# {name.title()}\n\nA fruit.\n")
    return folder


def _import(node: Node, folder: Path, *words: str) -> dict[str, Any]:
    done: dict[str, Any] = node.pkn("import", str(folder), "--yes", *words)
    return done


def _titles(node: Node, audience: str) -> list[str]:
    return sorted(item["title"] for item in node.pkn("list", "--to", audience)["items"])


def test_files_stay_for_those_for_whom_they_were_imported(ann: Node, notes: Path) -> None:
    assert _import(ann, notes, "--to", "public")["by_audience"] == {"public": 3}
    again = _import(ann, notes)
    assert (again["imported"], again["unchanged"]) == (0, 3)
    (notes / "pear.md").write_text("# Pear\n\nRiper now.\n")
    (notes / "apple.md").rename(notes / "apples.md")
    changed = _import(ann, notes)
    assert (changed["by_audience"], changed["left"]) == ({"public": 2}, [])
    assert _titles(ann, "public") == ["Apple", "Pear", "Quince"]
    assert _titles(ann, "trusted") == []


def test_another_audience_says_what_stays(ann: Node, notes: Path) -> None:
    _import(ann, notes, "--to", "public")
    old = {item["title"]: item["id"] for item in ann.pkn("list")["items"]}
    (notes / "pear.md").write_text("---\naudience: private\n---\n# Pear\n\nA fruit.\n")
    planned = _import(ann, notes, "--dry-run")
    done = _import(ann, notes)
    assert planned["left"] == done["left"]
    [left] = done["left"]
    assert (left["id"], left["audience"], left["now"]) == (old["Pear"], "public", "private")
    assert left["path"] == str(notes / "pear.md")
    assert _titles(ann, "private") == ["Pear"]
    assert "Pear" in _titles(ann, "public")
    ann.pkn("retract", left["id"], "--yes")
    assert _titles(ann, "public") == ["Apple", "Quince"]
    assert _import(ann, notes, "--to", "public")["unchanged"] == 3
    moved = _import(ann, notes, "--to", "trusted")
    assert {one["audience"] for one in moved["left"]} == {"public"}
    assert len(moved["left"]) == 2


def test_what_was_retracted_does_not_come_back_unasked(ann: Node, notes: Path) -> None:
    _import(ann, notes)
    [pear] = [item for item in ann.pkn("list")["items"] if item["title"] == "Pear"]
    ann.pkn("retract", pear["id"], "--yes")
    again = _import(ann, notes)
    assert (again["imported"], again["unchanged"]) == (0, 2)
    assert [one["path"] for one in again["skipped"]] == [str(notes / "pear.md")]
    (notes / "pear.md").rename(notes / "moved.md")
    assert [one["path"] for one in _import(ann, notes)["skipped"]] == [str(notes / "moved.md")]
    (notes / "moved.md").rename(notes / "pear.md")
    (notes / "pear.md").write_text("# Pear\n\nWritten anew.\n")
    assert len(_import(ann, notes)["skipped"]) == 1
    wanted = _import(ann, notes, "--again")
    assert (wanted["imported"], wanted["skipped"]) == (1, [])
    assert _import(ann, notes)["unchanged"] == 3


def test_a_text_whose_front_matter_cannot_be_read_goes_to_nobody(ann: Node, notes: Path) -> None:
    (notes / "diary.md").write_text("---\naudience: private\n\n# Diary\n\nsecret\n")
    done = ann.run("import", str(notes), "--to", "public", "--yes", "--json")
    assert done.returncode == 1
    assert "line 1: the front matter" in done.stdout
    refused = ann.run("publish", str(notes / "diary.md"), "--to", "public")
    assert refused.returncode == 1
    assert "line 1: the front matter" in refused.stderr
    assert "Diary" not in _titles(ann, "public")
    (notes / "diary.md").write_text("\n---\nAudience: private\n...\n# Diary\n\nsecret\n")
    assert ann.pkn("publish", str(notes / "diary.md"), "--to", "public")["audience"] == "private"


def test_a_file_that_failed_is_named_once(ann: Node, notes: Path) -> None:
    (notes / "dangling.md").symlink_to(notes / "nowhere.md")
    shown = ann.run("import", str(notes), "--yes")
    assert shown.stdout.count("dangling.md") == 1
    assert "links to nothing" in shown.stdout


def test_whatever_lies_in_a_folder_is_imported_or_named_and_once_is_enough(ann: Node, tmp_path: Path) -> None:
    folder, secret = tmp_path / "all sorts", tmp_path / "secret.md"
    folder.mkdir()
    secret.write_text("# Outside\n\nNobody asked for this.\n")
    good = ("plain.md", "n" * 252 + ".md", os.fsdecode(b"caf\xe9.md"))
    for number, name in enumerate(good):
        (folder / name).write_text(f"# Good {number}\n\nA pomelo.\n")
    (folder / "mine.md").write_text("---\naudience: private\n---\n# Mine\n\nA pomelo.\n")
    (folder / "yaml.md").write_text("---\ntitle: [x\n---\nbody\n")
    (folder / "link.md").symlink_to(secret)
    os.mkfifo(folder / "pipe.md")
    failing = ["link.md", "pipe.md", "yaml.md"]

    def run() -> dict[str, Any]:
        done = ann.run("import", str(folder), "--to", "public", "--yes", "--json")
        # Something failed, and the whole account of it is printed all the same.
        assert (done.returncode, done.stderr) == (1, ""), done
        told: dict[str, Any] = json.loads(done.stdout)
        assert sorted(Path(one["path"]).name for one in told["failed"]) == failing
        return told

    first = run()
    assert (first["imported"], first["by_audience"]) == (4, {"public": 3, "private": 1})
    assert _titles(ann, "public") == ["Good 0", "Good 1", "Good 2"]
    assert _titles(ann, "private") == ["Mine"]
    assert "Outside" not in ann.run("list").stdout
    again = run()
    assert (again["imported"], again["unchanged"]) == (0, 4)
    (folder / "plain.md").write_text("# Good 0\n\nA pomelo, peeled.\n")
    changed = run()
    assert (changed["imported"], changed["unchanged"]) == (1, 3)
    [peeled] = ann.query("peeled")
    versions = ann.pkn("history", peeled["item"])["versions"]
    assert [version["head"] for version in versions] == [True, False]
    assert len(ann.query("pomelo")) == 4


def test_an_edited_note_links_to_what_it_linked_to(tmp_path: Path) -> None:
    ann, folder = Node("Ann", tmp_path), tmp_path / "linked"
    folder.mkdir()
    (folder / "hive.md").write_text("# Hive\n\nBees live there.")
    (folder / "queen.md").write_text("# Queen\n\nThere is one in a [hive](hive.md).")
    with running(ann):
        ann.pkn("import", str(folder), "--yes")
        [queen] = [hit["id"] for hit in ann.query("one") if hit["title"] == "Queen"]

        def linked(ref: str) -> int:
            return len(ann.pkn("show", ref)["links"])

        assert linked(queen) == 1
        for change in (("--title", "The queen"), ("--tag", "bees"), (str(folder / "queen.md"),)):
            assert linked(ann.pkn("edit", queen, *change)["id"]) == 1, change
        text = "# Queen\n\nShe lays eggs in a [hive](hive.md) all day."
        assert linked(ann.pkn("edit", queen, "-", text=text)["id"]) == 1
        assert linked(ann.pkn("edit", queen, "-", text="# Queen\n\nShe flew away.")["id"]) == 0


def _links(node: Node, title: str) -> set[str]:
    """The titles of what an item links to."""
    items = {item["title"]: item["id"] for item in node.pkn("list", "--limit", "200")["items"]}
    found = node.pkn("show", items[title])
    return {node.pkn("show", one)["title"] for one in found["links"]}


def test_notes_that_link_to_each_other_both_have_their_link(ann: Node, notes: Path) -> None:
    (notes / "apple.md").write_text("# Apple\n\nSee [pear](pear.md) and [itself](apple.md).\n")
    (notes / "pear.md").write_text("# Pear\n\nSee [apple](apple.md).\n")
    done = _import(ann, notes)
    assert (done["imported"], done["unchanged"], done["linked"]) == (3, 0, 0)
    assert (_links(ann, "Apple"), _links(ann, "Pear")) == ({"Pear"}, {"Apple"})
    before = ann.pkn("status")["records"]
    again = _import(ann, notes)
    assert (again["imported"], again["unchanged"], again["linked"]) == (0, 3, 0)
    assert ann.pkn("status")["records"] == before


def test_a_link_to_a_file_that_comes_later_is_found(ann: Node, notes: Path) -> None:
    (notes / "apple.md").write_text("# Apple\n\nSee [zest](zest.md).\n")
    for number in range(130):
        (notes / f"m{number}.md").write_text(f"# M{number}\n\nA filling.\n")
    _import(ann, notes)
    assert _links(ann, "Apple") == set()
    (notes / "zest.md").write_text("# Zest\n\nOf a lemon; see [apple](apple.md) and [m3](m3.md).\n")
    done = _import(ann, notes)
    assert (done["imported"], done["unchanged"], done["linked"]) == (1, 133, 1)
    assert _links(ann, "Apple") == {"Zest"}
    assert _links(ann, "Zest") == {"Apple", "M3"}
    assert _import(ann, notes)["linked"] == 0
