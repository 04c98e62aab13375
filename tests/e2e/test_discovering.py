"""Who knows about something, and what is like an item, asked of a real daemon."""

from __future__ import annotations

from pathlib import Path

from tests.e2e.harness import Node, running, wait_for

KEEL = "# Keels\n\nA keel gives a sailing boat its righting moment and stops leeway.\n"
BALLAST = "# Ballast\n\nLead in the keel of a sailing boat makes the righting moment grow with the heel.\n"
LEEWAY = "# Leeway\n\nWithout a keel a boat makes leeway; the sailing course is not the one steered.\n"
BREAD = "# Bread aboard\n\nFlour, water, salt and a lid: bread can be baked on a boat.\n"


def test_who_knows_ranks_people_by_what_they_published(tmp_path: Path) -> None:
    anna, bruno = Node("Anna", tmp_path), Node("Bruno", tmp_path)
    with running(anna, bruno):
        for text in (KEEL, BALLAST, LEEWAY):
            bruno.publish(text, "--to", "public")
        anna.publish(BREAD, "--to", "public")
        anna.publish("# A note on keels\n\nAsk somebody about the keel.\n", "--to", "public")
        anna.trust(bruno)
        anna.connect(bruno)
        wait_for("Bruno's notes to come", lambda: len(anna.titles("leeway")) == 2)
        known = anna.pkn("who", "keel", "righting", "moment")["people"]
        assert [one["author"] for one in known] == [bruno.id, anna.id]
        assert known[0]["matching"] == 3
        assert {item["title"] for item in known[0]["items"]} == {"Keels", "Ballast", "Leeway"}
        assert anna.pkn("who", "zeppelins")["people"] == []


def test_what_is_like_an_item_is_found_by_its_own_words(tmp_path: Path) -> None:
    anna = Node("Anna", tmp_path)
    with running(anna):
        keel = anna.publish(KEEL)
        for text in (BALLAST, LEEWAY, BREAD):
            anna.publish(text)
        titles = [item["title"] for item in anna.pkn("related", keel)["items"]]
        assert set(titles[:2]) == {"Ballast", "Leeway"}
        assert "Keels" not in titles
        shown = anna.run("show", keel).stdout
        assert "Ballast" in shown.rpartition("Related")[2]


def test_filters_among_the_words_are_those_of_the_options(tmp_path: Path) -> None:
    anna = Node("Anna", tmp_path)
    with running(anna):
        anna.publish(KEEL, "--tag", "boats/racing")
        anna.publish(LEEWAY, "--tag", "seamanship")
        anna.publish("# A page on keels\n\nKeels of all boats.\n", "--kind", "page")
        assert anna.titles("keel", "tag:boats") == anna.titles("keel", "--tag", "boats") == ["Keels"]
        assert anna.titles("keel", "kind:page") == ["A page on keels"]
        assert len(anna.titles("keel", "author:me", "since:1d")) == 3
        assert anna.titles("keel", "tag:boats", "kind:page") == []
        refused = anna.run("query", "keel", "since:yesterdayish")
        assert refused.returncode == 2 and "neither a date" in refused.stderr
