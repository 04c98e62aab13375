"""References and the words of a question, against real daemons and the real command."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from pkn_protocol.channel import messages as m
from pkn_protocol.records.codec import sign_record
from pkn_protocol.records.ids import cid_text
from pkn_protocol.records.model import Item
from pkn_protocol.sync.wants import PairKey
from tests.e2e.harness import Node, running, wait_for
from tests.pknd.channel.party import LOOPBACK, Party
from tests.vectors.generate import AUTHOR, DEVICE, ME, TIME

ALIKE = (240_235, 521_128)
"""Milliseconds after TIME at which two notes called `One of two` have ids that begin alike: found by trying
half a million, which takes a minute."""
BEGINNING = "gbivwpxq"


@pytest.fixture(scope="module")
def ann(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    node = Node("Ann", tmp_path_factory.mktemp("ann"))
    with running(node):
        yield node


async def test_a_reference_that_may_mean_two_things_names_both(ann: Node) -> None:
    records = [
        sign_record(author=ME, key=DEVICE, time=TIME + more, kind="note", body=Item(title="One of two"))
        for more in ALIKE
    ]
    ids = [cid_text(record.id) for record in records]
    assert [text.removeprefix("bafyrei")[:8] for text in ids] == [BEGINNING] * 2
    party = await Party("vera", device_key=DEVICE, author_key=AUTHOR).start()
    try:
        link = await party.network.dial(LOOPBACK, int(ann.address.rpartition(":")[2]))
        await party.until(lambda: link in party.heard.wanting)
        hashed = PairKey.of(party.device_key, link.peer.device).hash(party.author)
        await link.send(m.Push(hashed, tuple(record.block for record in records)))
        found = [f"{text.removeprefix('bafyrei')[:10]}" for text in ids]
        await asyncio.to_thread(
            wait_for, "both", lambda: all(text in ann.run("list").stdout for text in found)
        )
        done = await asyncio.to_thread(ann.run, "show", BEGINNING)
        assert (done.returncode, done.stdout) == (1, "")
        assert f"{BEGINNING} may mean 2 things" in done.stderr
        assert done.stderr.count("One of two") == 2
        assert all(text in done.stderr for text in found), done.stderr
        # What is shown of either can be typed.
        for text, whole in zip(found, ids, strict=True):
            assert (await asyncio.to_thread(ann.pkn, "show", text))["id"] == whole
    finally:
        await party.network.stop()


def test_a_reference_that_is_too_short_or_none_says_how_long_it_must_be(ann: Node) -> None:
    item = ann.publish("# Short\n\ntext").removeprefix("bafyrei")
    assert ann.pkn("show", item[:8])["title"] == "Short"
    done = ann.run("show", item[:7])
    assert done.returncode == 2
    assert "too short" in done.stderr and "8 or more characters" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_claimed_name_names_nobody_and_brings_a_suggestion(ann: Node, tmp_path: Path) -> None:
    ben = Node("Benedikt", tmp_path)
    with running(ben):
        ben.connect(ann)
        wait_for("Ann to know his name", lambda: "Benedikt" in ann.run("people").stdout)
        key = ben.id.removeprefix("did:key:z6Mk")
        for words in (("trust", "Benedikt", "ben", "--yes"), ("block", "Benedikt"), ("people", "Benedikt")):
            done = ann.run(*words)
            assert done.returncode == 1, words
            assert "only what somebody claims to be called" in done.stderr, words
            assert key[:8] in done.stderr, words
        assert ann.pkn("people", key[:8])["trust"] == "none"
        ann.pkn("trust", key[:8], "ben", "--yes")
        assert ann.pkn("people", "ben")["id"] == ben.id


def test_what_is_excluded_is_taken_from_what_would_be_found(ann: Node) -> None:
    ann.publish("# Rye\n\nbread of rye and caraway")
    ann.publish("# Wheat\n\nbread of wheat and poppy")
    assert sorted(ann.titles("bread")) == ["Rye", "Wheat"]
    assert ann.titles("bread", "-caraway") == ["Wheat"]
    assert ann.titles("bread", "-wheat") == ["Rye"]
    assert ann.titles("bread", '-"rye and caraway"') == ["Wheat"]
    assert sorted(ann.titles("bread", '-"caraway and rye"')) == ["Rye", "Wheat"]


def test_a_phrase_is_not_found_in_words_that_are_scattered(ann: Node) -> None:
    ann.publish("# Together\n\nThe tidal mill ground oats.")
    ann.publish("# Scattered\n\nThe mill stood above the tidal flats.")
    assert sorted(ann.titles("tidal", "mill")) == ["Scattered", "Together"]
    assert ann.titles('"tidal mill"') == ["Together"]
    assert ann.titles('"mill stood"', "tidal") == ["Scattered"]
    assert ann.titles('"mill tidal"') == []
