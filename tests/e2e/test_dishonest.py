"""Peers whose answers are signed well and are not to be believed: what a query shows all the same."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from bench.payloads import text_payload
from pkn_protocol.channel import messages as m
from pkn_protocol.control.items import EditRequest, PublishRequest
from pkn_protocol.control.query import QueryRequest, Scope
from pkn_protocol.records.ids import cid_text, did_key, raw_cid
from pkn_protocol.records.model import Payload, Record, Retraction
from pkn_protocol.search.patience import CONFIRMING_MS
from pkn_protocol.text.analysis import analyse
from pknd.channel.link import Link
from pknd.daemon import Daemon
from pknd.store.records import get_row, is_held
from tests.e2e.inside import Inside, until
from tests.e2e.liar import Liar

MINUTE = 60_000


@asynccontextmanager
async def linked(liar: Liar, daemon: Daemon) -> AsyncIterator[Link]:
    """The liar's end of a connection to a daemon."""
    await liar.party.start()
    try:
        yield await liar.party.network.dial("127.0.0.1", daemon.network.port)
    finally:
        await liar.party.network.stop()


async def titles(daemon: Daemon, words: str) -> list[str]:
    request = QueryRequest(query=words, scope=Scope.EVERYONE)
    last = [update async for update in daemon.queries.query(request)][-1]
    assert last.final and last.result.peers_answered == 1
    return [hit.title for hit in last.result.hits]


async def test_a_strangers_question_is_answered_and_not_passed_on(tmp_path: Path) -> None:
    ann, near, stranger = Inside("Ann", tmp_path), Liar("near"), Liar("stranger")
    async with ann.running() as daemon, linked(near, daemon), linked(stranger, daemon) as link:
        await daemon.items.publish(PublishRequest(text="# Turbulence here", audience="public"))
        await daemon.people.trust(did_key(near.party.author), petname="near")
        assert len(await asked(link, number=1)) == 1
        assert near.asked == []
        await daemon.people.trust(did_key(stranger.party.author), petname="no stranger")
        assert len(await asked(link, number=2)) == 1
        assert [question.query_id for question in near.asked] == [bytes([2]) * 16]


async def test_who_is_silent_does_not_hold_what_others_behind_a_forwarder_know(tmp_path: Path) -> None:
    ann, asker = Inside("Ann", tmp_path), Liar("asker")
    knowing, silent = Liar("knowing"), Liar("silent")
    others = (asker, knowing, silent)
    async with (
        ann.running() as daemon,
        linked(asker, daemon) as link,
        linked(knowing, daemon),
        linked(silent, daemon),
    ):
        for one in others:
            await daemon.people.trust(did_key(one.party.author), petname=one.party.name)
        knowing.records = [knowing.note("Turbulence there", time=ann.now() - 60)]
        silent.party.answer = never
        async with asyncio.timeout(20):
            hits = await asked(link, number=1, timeout_ms=60_000)
        assert [hit.id for hit in hits] == [record.id for record in knowing.records]


async def test_who_held_a_question_to_confirm_a_phrase_for_nothing_does_not_hold_the_next(
    tmp_path: Path,
) -> None:
    ann, near, prompt = Inside("Ann", tmp_path), Liar("near"), Liar("prompt")
    async with ann.running() as daemon, linked(near, daemon) as link, linked(prompt, daemon):
        for one in (near, prompt):
            await daemon.people.trust(did_key(one.party.author), petname=one.party.name)
        payload = Payload("text/plain", 5000, raw_cid(b"what nobody gives away"))
        note = near.note("Notes", time=ann.now() - 60, words="turbulence grows", payload=payload)
        await near.push(link, [note])
        await taken(ann, note)

        async def late(_link: Link, message: m.Message) -> AsyncIterator[m.Message]:
            await asyncio.sleep(0.3)  # what it is about: longer than an answer takes, and less than is waited
            yield m.Answers((m.AnswerHit(note.id, 1, "", (), False),), asked=1)

        async def answered() -> tuple[int, float]:
            request = QueryRequest(query='"turbulence grows"', scope=Scope.EVERYONE, timeout_ms=60_000)
            last = [update async for update in daemon.queries.query(request)][-1].result
            assert [(hit.title, hit.confirmed) for hit in last.hits] == [("Notes", False)]
            return last.peers_answered, last.elapsed_ms

        near.party.answer = late
        assert (await answered())[0] == 2
        near.party.answer = never
        answers, took = await answered()
        assert answers == 1 and took < CONFIRMING_MS


async def never(_link: Link, _message: m.Message) -> AsyncIterator[m.Message]:
    await asyncio.Event().wait()
    yield m.Answers((), asked=1)


async def asked(link: Link, *, number: int, timeout_ms: int = 2000) -> list[m.AnswerHit]:
    """What a peer's daemon answers to a question about turbulence."""
    term = m.QueryTerm("turbulence", tuple(analyse("turbulence", "en")), 1)
    ask = m.Ask(
        query_id=bytes([number]) * 16,
        text="turbulence",
        terms=(term,),
        phrases=(),
        excluded=(),
        excluded_phrases=(),
        documents=1,
        mean_length=1,
        limit=10,
        nodes=32,
        most_bytes=65536,
        hops=2,
        timeout_ms=timeout_ms,
        seen=(),
    )
    hits: list[m.AnswerHit] = []
    async for reply in link.stream(ask, timeout_s=60):
        assert isinstance(reply, m.Answers)
        hits += reply.hits
    return hits


async def taken(one: Inside, record: Record) -> None:
    await until("a record", lambda: one.env.store.read_now(lambda db: is_held(db, record.id)))


async def test_what_was_taken_back_or_replaced_or_lies_ahead_does_not_return_with_an_answer(
    tmp_path: Path,
) -> None:
    ann, liar = Inside("Ann", tmp_path), Liar("liar")
    now = ann.now()
    gone = liar.note("Turbulence, taken back", time=now - 9)
    later = liar.note("Turbulence, taken back, later", time=now - 8, item=gone.id, replaces=(gone.id,))
    retraction = liar.sign("retraction", Retraction(), time=now - 7, item=gone.id)
    old = liar.note("Turbulence, old", time=now - 6)
    new = liar.note("Laminar, new", time=now - 5, item=old.id, replaces=(old.id,))
    ahead = liar.note("Turbulence, tomorrow", time=now + 20 * MINUTE)
    held_ahead = liar.note("Turbulence, soon", time=now + 19 * MINUTE)
    strange = liar.note("Turbulence, if", time=now - 4, extra={"!if": 1})
    over = liar.note("Turbulence, over", time=now - 3, expires=now - 1)
    honest = liar.note("Turbulence, said", time=now - 2)
    async with ann.running() as daemon, linked(liar, daemon) as link:
        await liar.push(link, [retraction, new, held_ahead])
        await taken(ann, held_ahead)
        liar.records = [gone, later, old, ahead, held_ahead, strange, over, honest]
        assert await titles(daemon, "turbulence") == ["Turbulence, said"]
        assert len(liar.asked) == 1
        # It is not that they were never looked at: without the retraction, the first would have come.
        ann.offset = 30 * MINUTE
        found = await titles(daemon, "turbulence")
        assert sorted(found) == ["Turbulence, said", "Turbulence, soon", "Turbulence, tomorrow"]


async def test_whose_sketch_is_not_of_its_text_is_found_by_titles_and_tags_alone(tmp_path: Path) -> None:
    ann, liar = Inside("Ann", tmp_path), Liar("liar")
    when = ann.now() - 1000
    lie = liar.note(
        "Bread", words="turbulence " * 9, time=when, payload=liar.text("of flour"), tags=("dough",)
    )
    never = text_payload("which is served to nobody")
    other = liar.note("Rolls", words="turbulence of rolls", time=when + 1, payload=never)
    later = liar.note("Buns", words="turbulence of buns", time=when + 2, payload=never)
    unseen = liar.note("Cakes", words="turbulence of cakes", time=when + 3, payload=never)
    async with ann.running() as daemon, linked(liar, daemon) as link:
        await liar.push(link, [lie, other])
        await taken(ann, other)
        assert sorted(await titles(daemon, "turbulence")) == ["Bread", "Rolls"]
        # Texts of those who are trusted are fetched unasked.
        await daemon.people.trust(did_key(liar.party.author), petname="liar")
        await until("the lie to be found out", lambda: bool(daemon.people.view.doubted))
        assert await titles(daemon, "turbulence") == []
        assert await titles(daemon, "dough") == ["Bread"]
        assert await titles(daemon, "rolls") == ["Rolls"]
        person = await daemon.people.person("liar")
        assert person.doubted
        await liar.push(link, [later])
        await taken(ann, later)
        liar.records = [unseen]
        assert await titles(daemon, "turbulence") == []
        assert await titles(daemon, "cakes") == ["Cakes"]
    async with ann.running() as daemon, linked(liar, daemon):
        assert await titles(daemon, "turbulence") == []
        request = QueryRequest(query="buns", scope=Scope.LOCAL)
        [hit] = [update async for update in daemon.queries.query(request)][-1].result.hits
        assert (hit.title, hit.doubted) == ("Buns", True)


async def test_a_sketch_without_a_text_is_believed_by_nobody(tmp_path: Path) -> None:
    ann, liar = Inside("Ann", tmp_path), Liar("liar")
    when = ann.now() - 1000
    held = liar.note("zzzz", words="turbulence", time=when)
    answered = liar.note("Turbulence, not said", words="vortex", time=when + 1)
    async with ann.running() as daemon, linked(liar, daemon) as link:
        await liar.push(link, [held])
        await taken(ann, held)
        liar.records = [held, answered]
        assert await titles(daemon, "turbulence") == ["Turbulence, not said"]
        assert await titles(daemon, "vortex") == []
        assert await titles(daemon, "zzzz") == ["zzzz"]


async def test_no_honest_text_is_taken_for_a_lie(tmp_path: Path) -> None:
    ann, ben = Inside("Ann", tmp_path), Inside("Ben", tmp_path)
    files = {
        "plain.txt": b"Turbulence,\r\nsaid in two lines.\r\n",
        "front.md": b"---\ntitle: Turbulence in front\ntags: [flow, air]\nlang: de\n---\n# Other\n\nWirbel.",
        "bom.md": b"\xef\xbb\xbf# With a mark\n\nturbulence",
        "long.md": b"# " + b"turbulence and more " * 60 + b"\n\nA title that is cut.",
        "page.html": b"<html><title>Turbulence</title><body><p>of the air &amp; water</p></body></html>",
        "data.json": b'{"turbulence": ["in", "json"]}',
        "japanese.md": "# 乱流\n\n乱流の研究".encode(),
        "large.txt": b"turbulence of the boundary layer " * 4000,
        "latin.txt": "Wirbelst\u00e4rke \u00fcber alles".encode("latin-1"),
        "empty.md": b"# Only a heading\n",
        "nothing.txt": b"",
    }
    async with ann.running() as a, ben.running() as b:
        for name, data in files.items():
            path = tmp_path / name
            path.write_bytes(data)
            await a.items.publish(PublishRequest(path=str(path), audience="public"))
        noted = PublishRequest(url="https://example.org/flow", text="Turbulence, read.", audience="public")
        marked = await a.items.publish(noted)
        for change in (EditRequest(title="Another title"), EditRequest(text="Turbulence, read again.")):
            marked = await a.items.edit(marked.id, change)
        await a.items.publish(PublishRequest(url="https://example.org/air", audience="public"))
        shortcut = tmp_path / "Swirls.url"
        shortcut.write_bytes(b"[InternetShortcut]\r\nURL=https://example.net/vortices\r\n")
        await a.items.publish(PublishRequest(path=str(shortcut), audience="public"))
        await b.people.trust(did_key(a.people.view.me), petname="Ann")
        await b.dial("127.0.0.1", a.network.port, None)
        await until("all summaries", lambda: len(rows(ben)) == len(files) + 3)
        for rowid in rows(ben):
            held = ben.env.store.read_now(lambda db, rowid=rowid: get_row(db, rowid))  # type: ignore[misc]
            assert held is not None
            assert await b.fetcher.fetch(held, 10.0), held.record.body
            assert await b.sketches.check(rowid), held.record.body
        assert b.people.view.doubted == frozenset()
        assert await titles(b, "vortices") == ["Swirls"]


def rows(one: Inside) -> list[int]:
    return [
        rowid
        for (rowid,) in one.env.store.read_now(
            lambda db: db.execute("SELECT record FROM payload ORDER BY record").fetchall()
        )
    ]


async def test_an_item_whose_content_cannot_be_what_it_says_harms_no_query(tmp_path: Path) -> None:
    ann, liar = Inside("Ann", tmp_path), Liar("liar")
    # Two mebibytes are not one block: no content has this root.
    payload = Payload("text/plain", 2 * 1024 * 1024, raw_cid(b"turbulence"))
    record = liar.note("Turbulence there", time=ann.now() - 1, payload=payload)
    async with ann.running() as daemon, linked(liar, daemon) as link:
        await daemon.people.trust(did_key(liar.party.author), petname="liar")
        await daemon.items.publish(PublishRequest(text="# Turbulence here", audience="public"))
        await liar.push(link, [record])
        await taken(ann, record)
        assert sorted(await titles(daemon, "turbulence")) == ["Turbulence here", "Turbulence there"]
        assert (await titles(daemon, '"turbulence here"'))[0] == "Turbulence here"
        shown = await daemon.items.show(cid_text(record.id), fetch=False, timeout_s=5)
        assert shown.title == "Turbulence there"
        assert len(await asked(link, number=3)) == 2
