"""Results: each text once, no older version beside a newer one, and what may have been meant."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from pkn_protocol.control.items import PublishRequest
from pkn_protocol.control.query import Hit, QueryRequest, Scope
from pkn_protocol.records.ids import did_key, parse_cid
from pkn_protocol.records.model import Comment, Rating
from tests.e2e.harness import Node, running, trust_each_other, wait_for
from tests.e2e.inside import Inside
from tests.e2e.liar import Liar
from tests.e2e.test_dishonest import linked, taken

KEEL = (
    "# Keels\n\nA keel gives a sailing boat its righting moment and stops leeway; lead in the bulb lowers "
    "the centre of gravity, and the fin has the section of a wing.\n"
)
BREAD = "# Bread aboard\n\nFlour, water, salt and a lid: bread can be baked on a sailing boat.\n"


def test_one_text_is_one_result_and_a_slip_of_the_pen_is_understood(tmp_path: Path) -> None:
    anna, bruno = Node("Anna", tmp_path), Node("Bruno", tmp_path)
    with running(anna, bruno):
        anna.publish(KEEL, "--to", "public")
        anna.publish(BREAD, "--to", "public")
        bruno.publish(KEEL, "--to", "public")
        bruno.publish(KEEL + "\nSeen on the slip.\n", "--to", "public")
        anna.trust(bruno)
        anna.connect(bruno)
        wait_for("Bruno's notes to come", lambda: len(anna.titles("keel", "--all")) == 3)

        hits = anna.query("sailing", "boat", "keel")
        assert [hit["title"] for hit in hits] == ["Keels", "Bread aboard"]
        assert sorted(one["likeness"] for one in hits[0]["variants"]) == ["near-duplicate", "same"]
        together = {hits[0]["id"], *(one["id"] for one in hits[0]["variants"])}
        assert together == {hit["id"] for hit in anna.query("keel", "--all")}
        assert all(one["score"] <= hits[0]["score"] for one in hits[0]["variants"])
        assert "also as 1 copy, 1 near-duplicate; --all shows each" in anna.run("query", "keel").stdout
        assert anna.titles("keel", "--limit", "1") == ["Keels"]

        result = anna.pkn("query", "kel", "--local")
        assert result["hits"] == []
        assert result["did_you_mean"] == [{"word": "kel", "instead": "keel", "documents": 3}]
        told = anna.run("query", "lewway", "boat")
        assert "Keels" in told.stdout
        assert "no item has lewway, did you mean leeway (3 items)?" in told.stderr
        nothing = anna.run("query", "lewway", "--local")
        assert (nothing.returncode, nothing.stderr.count("\n")) == (0, 1)
        assert "nothing found" in nothing.stderr and "did you mean leeway" in nothing.stderr
        assert anna.pkn("query", "keel")["did_you_mean"] == []


async def test_of_versions_that_different_people_answer_with_the_latest_is_shown(tmp_path: Path) -> None:
    ann, ben, behind = Inside("Ann", tmp_path), Liar("ben"), Liar("behind")
    now = ann.now()
    old = ben.note("Turbulence, old", time=now - 60)
    between = ben.note("Turbulence, between", time=now - 50, item=old.id, replaces=(old.id,))
    new = ben.note("Turbulence, new", time=now - 40, item=old.id, replaces=(between.id,))
    async with ann.running() as daemon, linked(ben, daemon), linked(behind, daemon):
        ben.records, behind.records = [new, between], [old]
        # Only in its author's company is a record believed.
        behind.party.device_record = ben.party.device_record
        await daemon.people.trust(did_key(ben.party.author), petname="Ben")
        request = QueryRequest(query="turbulence", scope=Scope.EVERYONE)
        last = [update async for update in daemon.queries.query(request)][-1].result
        assert last.peers_answered == 2
        assert [hit.title for hit in last.hits] == ["Turbulence, new"]


async def test_each_factor_is_shown_and_its_weight_is_a_setting(tmp_path: Path) -> None:
    ann, ben = Inside("Ann", tmp_path), Liar("ben")
    async with ann.running() as daemon, linked(ben, daemon) as link:
        await daemon.items.publish(PublishRequest(text="# Turbulence here", audience="public"))
        record = ben.note("Turbulence there", time=ann.now() - 400 * 86_400_000)
        await ben.push(link, [record])
        await taken(ann, record)

        async def hits() -> dict[str, Hit]:
            request = QueryRequest(query="turbulence", scope=Scope.LOCAL, explain=True)
            last = [update async for update in daemon.queries.query(request)][-1].result
            for hit in last.hits:
                assert hit.explain is not None
                assert hit.score == pytest.approx(math.prod(hit.explain.values()))
            return {hit.title: hit for hit in last.hits}

        usual = await hits()
        assert list(usual) == ["Turbulence here", "Turbulence there"]
        before = usual["Turbulence there"].explain
        assert before is not None
        assert list(before) == ["text", "distance", "crowd", "ratings", "freshness", "claim"]
        assert (before["distance"], before["crowd"], before["claim"]) == (0.6, 1.0, 1.0)
        await ann.config.set("rank_stranger", "0.3")
        await ann.config.set("rank_age", "0.8")
        after = (await hits())["Turbulence there"].explain
        assert after is not None
        assert (after["text"], after["distance"]) == (before["text"], 0.3)
        assert after["freshness"] == pytest.approx(1 - 8 * (1 - before["freshness"]))


async def test_a_phrase_that_only_a_text_could_show_is_marked_until_a_holder_answers(tmp_path: Path) -> None:
    ann, ben = Inside("Ann", tmp_path), Liar("ben")
    words = "the boundary of a layer, or a boundary layer"
    async with ann.running() as daemon, linked(ben, daemon) as link:
        record = ben.note("Flow", time=ann.now() - 60, words=words, payload=ben.text("Flow\n" + words))
        ben.records = [record]
        await ben.push(link, [record])
        await taken(ann, record)

        async def confirmed(query: str, scope: Scope) -> list[tuple[str, bool]]:
            updates = [u async for u in daemon.queries.query(QueryRequest(query=query, scope=scope))]
            return [(hit.title, hit.confirmed) for hit in updates[-1].result.hits]

        assert await confirmed('"boundary layer"', Scope.LOCAL) == [("Flow", False)]
        assert await confirmed('"boundary layer"', Scope.EVERYONE) == [("Flow", True)]
        assert await confirmed("boundary layer", Scope.LOCAL) == [("Flow", True)]


def test_a_holder_that_has_much_to_read_is_waited_for_to_confirm_a_phrase(tmp_path: Path) -> None:
    ann, ben, cal = (Node(name, tmp_path) for name in ("Ann", "Ben", "Cal"))
    with running(ann, ben, cal):
        # More than is fetched unasked.
        much = "Filler and more filler. " * 12_000
        ben.publish(f"# Tunnels\n\n{much}\nA laminar boundary layer.", "--to", "public")
        for other in (ben, cal):
            ann.connect(other)
        trust_each_other(ann, ben, cal)
        wait_for("the summary", lambda: ann.titles("laminar", "--local") == ["Tunnels"])
        phrase = '"laminar boundary layer"'
        assert [hit["confirmed"] for hit in ann.query(phrase, "--local")] == [False]
        assert [hit["confirmed"] for hit in ann.query(phrase)] == [True]


def test_filters_alone_are_answered_with_the_command_that_lists(tmp_path: Path) -> None:
    ann = Node("Ann", tmp_path)
    with running(ann):
        done = ann.run("query", "tag:physics/air", "kind:note")
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
        assert "pkn list --tag physics/air --kind note" in done.stderr
        assert "pkn list --tag 'two words'" in ann.run("query", 'tag:"two words"').stderr
        assert "type at least one" in ann.run("query", "...").stderr


async def test_what_a_trusted_person_says_of_an_item_counts_and_is_news(tmp_path: Path) -> None:
    ann, ben = Inside("Ann", tmp_path), Liar("ben")
    async with ann.running() as daemon, linked(ben, daemon) as link:
        published = await daemon.items.publish(PublishRequest(text="# Turbulence here", audience="public"))
        item = parse_cid(published.id)
        rating = ben.sign("rating", Rating(item, 5), time=ann.now() - 60, item=item)
        await ben.push(link, [rating])
        await taken(ann, rating)

        async def factor() -> float:
            request = QueryRequest(query="turbulence", scope=Scope.LOCAL, explain=True)
            last = [update async for update in daemon.queries.query(request)][-1].result
            assert last.hits[0].explain is not None
            return last.hits[0].explain["ratings"]

        assert await factor() == 1.0
        await daemon.people.trust(did_key(ben.party.author), petname="Ben")
        assert await factor() == pytest.approx(1.1)
        comment = ben.sign("comment", Comment(item, "And there?"), time=ann.now(), item=item)
        await ben.push(link, [comment])
        await taken(ann, comment)
    # Also after a restart.
    ann_again = Node("Ann", tmp_path)
    with running(ann_again):
        done = ann_again.run("news")
        assert "Ben commented on Turbulence here: And there?" in done.stdout
        assert ann_again.run("news").stdout == ""
