"""What people type, against a real daemon: names, references, languages, tags, words that find nothing."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.harness import PKN, WAIT_SECONDS, CommandFailed, Node, running, trust_each_other, wait_for


@pytest.fixture(scope="module")
def ann(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    node = Node("Ann", tmp_path_factory.mktemp("ann"))
    with running(node):
        yield node


@pytest.fixture(scope="module")
def ben(ann: Node, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    node = Node("Ben", tmp_path_factory.mktemp("ben"))
    with running(node):
        node.connect(ann)
        yield node


def test_a_new_name_is_seen_at_once_here_and_by_others(tmp_path: Path) -> None:
    cat, dan = Node("Cat", tmp_path), Node("Dan", tmp_path)
    with running(cat, dan):
        dan.connect(cat)
        dan.trust(cat)
        assert cat.run("config", "get", "name").stdout == "Cat\n"
        cat.pkn("config", "set", "name", "Catherine")
        assert cat.pkn("id")["name"] == "Catherine"
        assert cat.pkn("status")["name"] == "Catherine"
        wait_for("Dan to see it", lambda: dan.pkn("people", cat.id)["name"] == "Catherine")
        cat.pkn("config", "unset", "name")
        assert cat.run("config", "get", "name").stdout == "Catherine\n"


@pytest.mark.parametrize("lang", ["klingon", "e", "english please", "en-"])
def test_what_is_no_language_is_refused_wherever_it_is_said(lang: str, ann: Node, tmp_path: Path) -> None:
    note = tmp_path / "note.md"
    note.write_text(f"---\nlang: {lang}\n---\ntext\n")
    for words, status in ((("publish", str(note)), 1), (("config", "set", "lang", lang), 2)):
        refused = ann.run(*words)
        assert refused.returncode == status
        assert "such as en or pt-BR" in refused.stderr
    assert ann.run("publish", "-", "--lang", lang, text="text").returncode == 2


def test_a_language_without_a_stemmer_is_said_to_be_one(ann: Node) -> None:
    done = ann.run("publish", "-", "--lang", "pl", text="Tekst po polsku")
    assert done.returncode == 0
    assert "words of pl are found as they are written" in done.stderr
    assert ann.run("publish", "-", "--lang", "de-CH", text="Text").stderr.count("words of") == 0


def test_a_tag_is_the_same_with_its_hash(ann: Node) -> None:
    item = ann.publish("Tagged", "--tag", "#hash", "--tag", "  two words ")
    assert ann.pkn("show", item)["tags"] == ["hash", "two-words"]
    assert [one["id"] for one in ann.pkn("list", "--tag", "#hash")["items"]] == [item]
    ann.pkn("edit", item, "--tag", "#other")
    assert ann.pkn("show", item)["tags"] == ["other"]


@pytest.mark.parametrize(
    ("tag", "told"),
    [
        ("", "a tag is empty"),
        (" # ", "a tag is empty"),
        ("a\x1b[2J", "U+001B"),
        ("abc\u202ecba", "U+202E"),
        ("t" * 300, "has 300 bytes, and may have 128"),
    ],
)
def test_what_is_no_tag_is_refused_wherever_it_is_said(
    tag: str, told: str, ann: Node, tmp_path: Path
) -> None:
    before = ann.pkn("status")["items"]
    note = tmp_path / "note.md"
    note.write_text(f"---\ntitle: Odd\ntags: [good, {json.dumps(tag)}]\n---\n\nbody\n")
    imported = ann.run("import", str(note), "--yes", "--json")
    [failed] = json.loads(imported.stdout)["failed"]
    assert failed["error"].startswith("line 3: ") and told in failed["error"]
    note.write_text("plain")
    for words in (
        ("publish", str(note), "--tag", tag),
        ("ask", "Why?", "--tag", tag),
        ("list", "--tag", tag),
        ("query", "plain", "--tag", tag),
    ):
        refused = ann.run(*words)
        assert refused.returncode == 2
        assert (told in refused.stderr or "cannot be" in refused.stderr) and "as in:" in refused.stderr
        assert "\x1b" not in refused.stderr
    assert ann.pkn("status")["items"] == before


@pytest.mark.parametrize("typed", ["Stall", "boundary layer", "boundary-layer", "Reynolds0189"])
def test_a_title_is_no_reference_and_the_message_says_how_to_find_it(typed: str, ann: Node) -> None:
    refused = ann.run("show", typed)
    assert refused.returncode == 2
    assert "no item's reference" in refused.stderr
    assert "pkn query" in refused.stderr


@pytest.mark.parametrize("command", ["show", "get", "history", "people", "peers"])
def test_an_empty_reference_is_wrong_usage(command: str, ann: Node) -> None:
    refused = ann.run(command, "")
    assert refused.returncode == 2
    assert "empty reference" in refused.stderr


def test_words_that_no_text_keeps_are_named(ann: Node) -> None:
    assert "too common to be kept of a text: the" in ann.run("query", "the").stderr
    assert "too common" in ann.run("query", "don't").stderr
    assert "two characters and more" in ann.run("query", "日").stderr
    assert "nobody else was asked" in ann.run("query", "zyzzogeton").stderr


@pytest.mark.parametrize("petname", ["you", "Me", "hwhR68YQSa", "z6MkFriend"])
def test_a_petname_that_means_something_else_is_refused(petname: str, ann: Node, ben: Node) -> None:
    with pytest.raises(CommandFailed):
        ann.pkn("trust", ben.id, petname, "--yes")
    with pytest.raises(CommandFailed, match="key"):
        ann.pkn("trust", ben.id, ann.id.removeprefix("did:key:z6Mk")[:10], "--yes")
    for usual in ("Bernhard1", "Maximilian", "Ben McAllister"):
        assert ann.pkn("trust", ben.id, usual, "--yes")["petname"] == usual


def test_trust_says_what_it_gives_and_what_it_ends(ann: Node, ben: Node) -> None:
    ann.pkn("block", ben.id)
    shown = ann.run("trust", ben.id, "ben", "--yes")
    assert "blocked, and are so no longer" in shown.stderr
    assert "what you have published to them before" in shown.stderr
    assert "before" not in ann.run("trust", ben.id, "ben", "--yes").stderr


def test_what_says_undo_does_so(ann: Node, ben: Node) -> None:
    ann.pkn("trust", ben.id, "benny")
    for act, undone in (("untrust", "none"), ("block", "blocked"), ("unblock", "none")):
        if act == "block":
            ann.pkn("trust", "benny")
        done = ann.run(act, "benny")
        assert done.returncode == 0, done.stderr
        person = ann.pkn("people", ben.id)
        assert (person["trust"], person["petname"]) == (undone, "benny")
        undo = done.stderr.strip().rpartition("pkn ")[2].split()
        assert undo == [{"untrust": "trust", "block": "unblock", "unblock": "block"}[act], "benny"]
    ann.pkn("trust", "benny")
    assert ann.pkn("people", "benny")["trust"] == "trusted"
    ann.pkn("untrust", "benny")


def test_retracting_what_somebody_else_wrote_says_what_can_be_done(ann: Node, ben: Node) -> None:
    trust_each_other(ann, ben)
    ben.connect(ann)
    item = ann.publish("# Hers\n\nwhortleberry", "--to", "public")
    wait_for("Ben to have it", lambda: ben.titles("whortleberry") == ["Hers"])
    refused = ben.run("retract", item, "--yes")
    assert "only its author can retract" in refused.stderr
    assert "pkn block" in refused.stderr
    assert "you" in ann.run("history", item).stdout
    assert "Ann" not in ann.run("history", item).stdout


def test_a_note_does_not_become_a_picture_unasked(ann: Node, tmp_path: Path) -> None:
    picture = tmp_path / "pic.png"
    picture.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(64))
    item = ann.publish("# A note\n\nwords")
    refused = ann.run("edit", item, str(picture))
    assert refused.returncode == 1
    assert "--kind file" in refused.stderr
    assert ann.pkn("show", item)["kind"] == "note"
    assert ann.pkn("edit", item, str(picture), "--kind", "file")["kind"] == "file"


def test_one_bad_file_does_not_keep_others_from_being_published(ann: Node, tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("# First good one\n")
    (tmp_path / "b.md").write_text("---\naudience: nobody\n---\n")
    (tmp_path / "c.md").write_text("# Second good one\n")
    done = ann.run("publish", *(str(tmp_path / name) for name in ("a.md", "b.md", "c.md")))
    assert done.returncode == 1
    assert "First good one" in done.stdout
    assert "Second good one" in done.stdout
    assert "b.md" in done.stderr
    assert "1 of 3 not published, the others are" in done.stderr


@pytest.mark.parametrize("address", ["foo:bar:baz", "::zz", "1:2:3"])
def test_what_is_no_address_is_not_dialled(address: str, ann: Node) -> None:
    refused = ann.run("connect", address)
    assert refused.returncode == 2
    assert "is no address" in refused.stderr


def test_of_two_starts_at_once_one_says_that_it_runs_already(tmp_path: Path) -> None:
    environment = Node("Eve", tmp_path).environment
    words = [str(PKN), "up", "--name", "Eve", "--listen", "127.0.0.1:0", "--no-mdns"]
    both = [
        subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for _ in range(2)
    ]
    try:
        shown = [process.communicate(timeout=4 * WAIT_SECONDS)[0] for process in both]
        assert [process.returncode for process in both] == [0, 0], shown
        assert sorted("runs already" in text for text in shown) == [False, True], shown
    finally:
        subprocess.run([PKN, "down"], env=environment, capture_output=True, check=True)
