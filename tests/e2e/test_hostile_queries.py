"""Questions that nobody asks in good faith: an answer or an error with a next step; the daemon goes on."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from pkn_cli.client import JsonObject, path_of
from pkn_cli.failures import Failure
from tests.e2e.harness import Node, running

SLOW_SECONDS = 5.0
"""Far more than any takes here; a daemon that hangs takes longer."""
ANSWERED = {
    "fts5": 'keel AND boat OR NOT NEAR(lead, 5) title:keel * ^keel {a b}: + "keel"',
    "nul": "keel\0boat",
    "control characters": "".join(map(chr, range(32))) + "keel\x1b[2J\x7f\x9b\u202e",
    "quote that is not closed": 'keel" "boat',
    "quote in front": '"keel -"',
    "half of a pair": "keel\ud800\udcff",
    "marks upon marks": "keel e" + "\u0301" * 900,
    "one character that is eighteen": "keel " + "\ufdfa" * 900,
    "the same word over and over": "keel " * 190,
    "sql": "keel'; DROP TABLE record; --",
}
NOTHING_FOUND = {
    "one stop word": "the",
    "stop words": "the of and is to",
    "a word of 1,000 characters": "a" * 1000,
    "64 words": " ".join(f"w{number}" for number in range(64)),
    "a phrase of 60 words": '"' + " ".join(f"w{number}" for number in range(60)) + '"',
    "120 tags": "keel " + " ".join(f"tag:t{number}" for number in range(120)),
}
REFUSED = {
    "10,000 words": " ".join(f"word{number}" for number in range(10_000)),
    "1 MB of words": "word " * 200_000,
    "1 MB without a space": "w" * 1_000_000,
    "60,000 characters": "w" * 60_000,
    "65 words": " ".join(f"w{number}" for number in range(65)),
    "1,000 Han": "".join(chr(0x4E00 + number) for number in range(1000)),
    "nothing": "",
    "spaces": " \t\n ",
    "NUL alone": "\0",
    "quotes alone": '""""""',
    "dashes": "- " * 400,
    "exclusions alone": "-keel -boat",
    "a star": "*",
    "half of a pair alone": "\udcff",
    "half of a pair as a tag": "keel tag:\udcff",
    "half of a pair as an author": "keel author:\udcff",
    "NUL in a tag": "keel tag:a\0b",
    "control characters as an author": "keel author:a\0\x1b[2Jb",
    "control characters as a kind": "keel kind:\x1b[2J",
    "a time without end": "keel since:99999999999999999d",
    "a date that is none": "keel since:9999-99-99",
}


@pytest.fixture(scope="module")
def anna(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    node = Node("Anna", tmp_path_factory.mktemp("hostile"))
    with running(node):
        node.publish("# Keels\n\nA keel gives a sailing boat its righting moment.\n", "--tag", "boats")
        yield node
        assert node.events("traceback") == []
        assert node.events("control.failed") == []


def ask(node: Node, text: str, **more: object) -> JsonObject:
    """The final result, or Failure; in time, and the daemon answers others afterwards."""
    began = time.monotonic()
    try:
        body = {"query": text, **more}
        result: JsonObject = [*node.control.stream("POST", path_of("query"), body=body)][-1]["result"]
        return result
    finally:
        node.control.get(path_of("status"))
        assert time.monotonic() - began < SLOW_SECONDS


@pytest.mark.parametrize("name", ANSWERED)
def test_what_is_no_word_is_no_obstacle(anna: Node, name: str) -> None:
    assert [hit["title"] for hit in ask(anna, ANSWERED[name])["hits"]] == ["Keels"]


@pytest.mark.parametrize("name", NOTHING_FOUND)
def test_what_nobody_wrote_is_not_found(anna: Node, name: str) -> None:
    result = ask(anna, NOTHING_FOUND[name])
    assert result["hits"] == []
    assert ("too common" in result["hint"]) is ("stop word" in name)


@pytest.mark.parametrize("route", ["/v1/query", "/v1/who"])
@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_asked_is_refused_with_a_next_step(anna: Node, name: str, route: str) -> None:
    if route == "/v1/who" and REFUSED[name].startswith("keel "):
        pytest.skip("who has no filters")
    began = time.monotonic()
    with pytest.raises(Failure) as refused:
        anna.control.ask("POST", route, body={"query": REFUSED[name]})
    assert time.monotonic() - began < SLOW_SECONDS
    assert refused.value.code != "internal"
    told = f"{refused.value} {refused.value.hint}"
    assert any(step in told for step in ("as in:", "use fewer", "kinds are", "is neither", "pkn people"))
    assert len(told) < 500
    assert anna.control.get(path_of("status"))["items"] == 1


def test_filters_of_the_request_are_read_as_warily(anna: Node) -> None:
    for more in ({"tags": ["\udcff"]}, {"author": "\udcff"}, {"author": "a\0b"}, {"kind": "\udcff"}):
        with pytest.raises(Failure) as refused:
            ask(anna, "keel", **more)
        assert refused.value.code != "internal"


def test_the_command_prints_one_line_that_is_harmless(anna: Node) -> None:
    long = [f"word{number}" for number in range(10_000)]
    for words in (
        long,
        ["word " * 20_000],
        ['"'],
        ["tag:\udcff keel"],
        ["author:\x1b[2Jx keel"],
        ["kind:\x1b[2J keel"],
    ):
        done = anna.run("query", *words)
        assert done.returncode == (1 if "more than 65536 bytes" in done.stderr else 2)
        assert done.stdout == ""
        assert done.stderr.startswith("pkn: ") and done.stderr.count("\n") == 1
        assert (
            "\x1b" not in done.stderr
            and "internal" not in done.stderr
            and "failed at this" not in done.stderr
        )
    found = anna.run("query", "keel\x1b[2J", '"', "AND", "\udcff")
    assert found.returncode == 0
    assert "Keels" in found.stdout and "\x1b" not in found.stdout + found.stderr
