"""A newcomer beside a full daemon: answers while the rest arrives, progress, and in step without reading."""

from __future__ import annotations

from pathlib import Path

from pkn_protocol.control.items import PublishRequest
from pkn_protocol.control.query import QueryRequest, Scope
from pkn_protocol.records.codec import sign_record
from pkn_protocol.records.ids import did_key
from pkn_protocol.records.model import Item
from pkn_protocol.text.analysis import analyse
from pkn_protocol.text.sketch import make_sketch
from pknd.daemon import Daemon
from pknd.store.batch import Arrival, ingest_many
from tests.e2e.inside import Inside, until

RECORDS = 4000


async def fill(one: Inside, count: int) -> None:
    """So many public notes, of the last years."""
    keys, now = one.env.keys, one.now()
    arrivals = []
    for number in range(count):
        title = f"Note {number} about lanterns"
        body = Item(title, lang="en", sketch=make_sketch(analyse(title, "en")))
        time = now - number * 3_600_000
        record = sign_record(author=keys.author, key=keys.device_key, time=time, kind="note", body=body)
        arrivals.append(Arrival(record))
    await one.env.store.write(lambda db: ingest_many(db, arrivals, now=now, near=frozenset()))


def count(one: Inside) -> int:
    return int(
        one.env.store.read_now(
            lambda db: db.execute("SELECT count(*) FROM record WHERE kind = 'note'").fetchone()[0]
        )
    )


async def trust_each_other(a: Daemon, b: Daemon) -> None:
    await a.people.trust(did_key(b.people.view.me), petname="B")
    await b.people.trust(did_key(a.people.view.me), petname="A")


async def test_a_newcomer_asks_while_the_rest_arrives_and_sees_how_far_it_is(tmp_path: Path) -> None:
    old, new = Inside("Old", tmp_path), Inside("New", tmp_path)
    async with old.running() as a, new.running() as b:
        await trust_each_other(a, b)
        await fill(old, RECORDS)
        seen: list[tuple[int, int]] = []
        answered_at = 0
        await b.dial("127.0.0.1", a.network.port, None)

        def look() -> bool:
            progress = b.sync.progress()
            if progress.known:
                seen.append((progress.come, progress.known))
            return count(new) > 0

        await until("the first records", look)
        async for update in b.queries.query(QueryRequest("lanterns", scope=Scope.LOCAL)):
            if update.result.hits and not answered_at:
                answered_at = count(new)
        assert answered_at > 0

        def finished() -> bool:
            look()
            return count(new) == RECORDS

        await until("all of them", finished)
        assert max(known for _, known in seen) >= RECORDS
        assert [come for come, _ in seen] == sorted(come for come, _ in seen)
        await until("the end of fetching", lambda: b.sync.progress().known == 0)
        status = a.sync.peers(), b.sync.peers()
        assert all(len(peers) == 1 for peers in status)


async def test_what_is_published_reaches_the_other_at_once_and_then_both_are_in_step(tmp_path: Path) -> None:
    one, other = Inside("One", tmp_path), Inside("Other", tmp_path)
    async with one.running() as a, other.running() as b:
        await trust_each_other(a, b)
        await b.dial("127.0.0.1", a.network.port, None)
        await until("two peers", lambda: len(a.sync.peers()) == len(b.sync.peers()) == 1)
        [peer] = b.sync.peers().values()
        await peer.in_step.wait()
        for number in range(5):
            await a.items.publish(PublishRequest(text=f"# Number {number}\n\ntext", audience="public"))
        await until("all of them", lambda: count(other) == 5)
