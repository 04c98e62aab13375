"""Two and three people's daemons: finding, trusting, asking, reading, and what outsiders do not get."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.e2e.harness import CommandFailed, Node, running, trust_each_other, wait_for

SECRET = "The walnut ledger lies under the third zinnia."


def test_a_newcomer_who_trusts_nobody_finds_public_items_within_five_seconds(tmp_path: Path) -> None:
    old, new = Node("Old", tmp_path, mdns=True), Node("New", tmp_path, mdns=True)
    with running(old):
        old.publish("# Tides\n\nThe rule of twelfths for planning.", "--to", "public")
        began = time.monotonic()
        with running(new):
            wait_for(
                "the hit", lambda: "Tides" in new.titles("twelfths"), seconds=5 - (time.monotonic() - began)
            )
            [hit] = new.query("twelfths")
            assert (hit["trust"], hit["distance"]) == ("none", None)
            assert hit["author_claimed"] is True
            shown = new.run("query", "twelfths").stdout
            assert "stranger" in shown
            assert "claimed" in shown


def test_trusted_items_reach_those_who_are_trusted_and_nobody_else(tmp_path: Path) -> None:
    ann, ben, cat = (Node(name, tmp_path) for name in ("Ann", "Ben", "Cat"))
    with running(ann, ben, cat):
        ben.connect(ann)
        cat.connect(ann)
        cat.connect(ben)
        ann.trust(ben)
        ben.trust(ann)
        ann.publish("# Ledger\n\n" + SECRET)
        ann.publish("# Weather\n\nFog by noon.", "--to", "public")
        wait_for("Ben to find it", lambda: "Ledger" in ben.titles("walnut", "zinnia"))
        wait_for("Cat to find the public one", lambda: "Weather" in cat.titles("fog", "--everyone"))
        assert cat.titles("walnut", "zinnia", "--everyone") == []
        for word in (b"zinnia", b"Ledger"):
            # On the author's disk the search finds it: so it would elsewhere.
            assert ann.files_with(word) != []
            assert cat.files_with(word) == []
            assert word not in cat.log_path.read_bytes()
        wait_for("the text to be at Ben's", lambda: ben.query("zinnia")[0]["have_payload"])
        ann.stop()
        shown = ben.pkn("show", ben.query("zinnia")[0]["id"])
        assert SECRET in shown["text"]
        assert shown["audience"] == "trusted"


def test_an_item_is_sealed_anew_for_those_who_are_left_after_somebody_is_untrusted(tmp_path: Path) -> None:
    ann, ben, cat = (Node(name, tmp_path) for name in ("Ann", "Ben", "Cat"))
    with running(ann, ben, cat):
        ben.connect(ann)
        cat.connect(ann)
        trust_each_other(ann, ben)
        trust_each_other(ann, cat)
        ann.publish("# Before\n\nquince one")
        wait_for("both to have it", lambda: all(node.titles("quince") == ["Before"] for node in (ben, cat)))
        ann.pkn("untrust", "Cat")
        ann.publish("# After\n\nquince two")
        wait_for("Ben to have both", lambda: sorted(ben.titles("quince")) == ["After", "Before"])
        assert cat.titles("quince") == ["Before"]
        assert cat.files_with(b"quince two") == []


def test_whoever_is_trusted_later_reads_what_was_published_before(tmp_path: Path) -> None:
    ann, ben = Node("Ann", tmp_path), Node("Ben", tmp_path)
    with running(ann, ben):
        ann.publish("# Early\n\nmedlar jelly")
        ben.connect(ann)
        ben.trust(ann)
        assert ben.titles("medlar") == []
        ann.trust(ben)
        wait_for("Ben to find it", lambda: ben.titles("medlar") == ["Early"])


def test_private_items_stay(tmp_path: Path) -> None:
    ann, ben = Node("Ann", tmp_path), Node("Ben", tmp_path)
    with running(ann, ben):
        ben.connect(ann)
        trust_each_other(ann, ben)
        ann.publish("# Diary\n\npersimmon", "--to", "private")
        ann.publish("# Open\n\npersimmon", "--to", "public")
        wait_for("the public one", lambda: ben.titles("persimmon") == ["Open"])
        assert ben.files_with(b"Diary") == []
        assert sorted(ann.titles("persimmon")) == ["Diary", "Open"]


def test_a_new_version_takes_the_place_of_the_one_before_on_all_machines(tmp_path: Path) -> None:
    ann, ben = Node("Ann", tmp_path), Node("Ben", tmp_path)
    with running(ann, ben):
        ben.connect(ann)
        trust_each_other(ann, ben)
        item = ann.publish("# Recipe\n\nten eggs", "--to", "public")
        wait_for("Ben to have it", lambda: ben.titles("eggs") == ["Recipe"])
        ann.pkn("edit", item, "-", text="# Recipe\n\ntwelve partridges")
        wait_for("Ben to have the new one", lambda: ben.titles("partridges") == ["Recipe"])
        assert ben.titles("eggs") == []
        assert [version["head"] for version in ben.pkn("history", item)["versions"]] == [True, False]
        with pytest.raises(CommandFailed):
            ben.pkn("edit", item, "-", text="mine now")


def test_what_was_stored_is_there_after_a_restart_and_peers_find_each_other_again(tmp_path: Path) -> None:
    ann, ben = Node("Ann", tmp_path), Node("Ben", tmp_path, listen="127.0.0.1:0")
    with running(ann, ben):
        ben.connect(ann)
        trust_each_other(ann, ben)
        ann.publish("# Kept\n\nelderflower", "--to", "public")
        wait_for("Ben to have it", lambda: ben.titles("elderflower") == ["Kept"])
        assert ben.stop() < 2.0
        ben.start()
        wait_for("the connection", lambda: ben.online() == 1)
        assert ben.titles("elderflower", "--local") == ["Kept"]
        assert ben.pkn("verify")["bad"] == []


def test_a_second_meeting_sends_no_record(tmp_path: Path) -> None:
    ann, ben, cat = (Node(name, tmp_path) for name in ("Ann", "Ben", "Cat"))
    with running(ann, ben, cat):
        ben.connect(ann)
        cat.connect(ann)
        trust_each_other(ann, ben)
        for number in range(5):
            ann.publish(f"# Public {number}\n\ngooseberry", "--to", "public")
        ann.publish("# Sealed\n\ngooseberry")
        gone = ann.publish("# Gone\n\ngooseberry", "--to", "public")
        wait_for("Ben to have all", lambda: len(ben.titles("gooseberry")) == 7)
        wait_for("Cat to have the public ones", lambda: len(cat.titles("gooseberry", "--everyone")) == 6)
        ann.pkn("retract", gone, "--yes")
        wait_for("the retraction", lambda: len(ben.titles("gooseberry")) == 6)
        wait_for("the retraction", lambda: len(cat.titles("gooseberry")) == 5)
        ben.pkn("block", cat.id)
        ann.stop()
        wait_for(
            "the end of both",
            lambda: len(ben.events("sync.ended")) >= 1 and len(cat.events("sync.ended")) >= 1,
        )
        before = [len(node.events("sync.ended")) for node in (ben, cat)]
        ann.listen = "127.0.0.1:0"
        ann.start()
        ben.connect(ann)
        cat.connect(ann)
        wait_for("a comparison", lambda: ann.online() == 2)
        ann.pkn("query", "gooseberry")
        ann.stop()
        for node, count in zip((ben, cat), before, strict=True):
            wait_for("the end", lambda n=node, c=count: len(n.events("sync.ended")) > c)  # type: ignore[misc]
            last = node.events("sync.ended")[-1]
            assert "records_in=0" in last, last
            assert "records_out=0" in last, last


def test_a_question_reaches_those_whom_the_asker_does_not(tmp_path: Path) -> None:
    ann, ben, cat = (Node(name, tmp_path) for name in ("Ann", "Ben", "Cat"))
    with running(ann, ben, cat):
        ben.connect(ann)
        ben.connect(cat)
        trust_each_other(ann, ben)
        trust_each_other(ben, cat)
        cat.publish("# Far away\n\nThe medlar is eaten when it is bletted.", "--to", "public")
        cat.publish("# Not for all\n\nThe medlar tree by the wall.")
        wait_for("Ben to have both", lambda: len(ben.titles("medlar")) == 2)
        assert ann.titles("medlar", "--local") == []
        [hit] = ann.query("medlar")
        assert hit["title"] == "Far away"
        assert hit["trust"] == "none"
        assert ann.titles("medlar", "--local") == []


def test_people_whom_the_trusted_vouch_for_are_heard(tmp_path: Path) -> None:
    ann, ben, cat = (Node(name, tmp_path) for name in ("Ann", "Ben", "Cat"))
    with running(ann, ben, cat):
        ben.connect(ann)
        ben.connect(cat)
        trust_each_other(ann, ben)
        trust_each_other(ben, cat)
        cat.publish("# Cherries\n\nmaraschino", "--to", "public")
        ben.pkn("vouch", "Cat")
        wait_for("Ann to hold it", lambda: ann.titles("maraschino", "--local") == ["Cherries"])
        assert ann.query("maraschino")[0]["distance"] == 2
        ann.pkn("block", cat.id)
        assert ann.titles("maraschino", "--local") == []
        ann.pkn("unblock", cat.id)
        wait_for("Ann to hold it again", lambda: ann.titles("maraschino", "--local") == ["Cherries"])


def test_who_is_unblocked_is_met_again_at_once(tmp_path: Path) -> None:
    ann, ben = Node("Ann", tmp_path), Node("Ben", tmp_path)
    with running(ann, ben):
        ben.connect(ann)
        trust_each_other(ann, ben)
        wait_for("them to meet", lambda: ann.online() == ben.online() == 1)
        ann.pkn("block", "Ben")
        wait_for("the connection to end", lambda: ann.online() == ben.online() == 0)
        ben.publish("# Written meanwhile", "--to", "public")
        ann.pkn("unblock", "Ben")
        ann.trust(ben)
        wait_for("them to meet again", lambda: ann.online() == 1, seconds=10)
        wait_for("what was written meanwhile", lambda: ann.titles("meanwhile") == ["Written meanwhile"])
