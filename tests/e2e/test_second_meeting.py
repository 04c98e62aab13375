"""Two daemons that meet again with clocks apart, a raised floor, somebody blocked, a retraction, an expired
record."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path

from pkn_protocol.control.items import PublishRequest
from pkn_protocol.records.codec import sign_record
from pkn_protocol.records.ids import did_key
from pkn_protocol.records.model import Item, Record
from pknd.daemon import Daemon
from pknd.store.floors import Floor, forget_below
from pknd.store.ingest import ingest
from tests.e2e.inside import Inside, until
from tests.e2e.liar import Liar

TEN_MINUTES = 600_000
TWO_HOURS = 7_200_000


def held(one: Inside, kind: str) -> set[bytes]:
    rows = one.env.store.read_now(
        lambda db: db.execute("SELECT id FROM record WHERE kind = ? AND wire", (kind,)).fetchall()
    )
    return {cid for (cid,) in rows}


async def meet(ann: Daemon, ben: Daemon) -> None:
    await ben.dial("127.0.0.1", ann.network.port, None)


async def in_step(*daemons: Daemon) -> None:
    for daemon in daemons:
        await until("a peer", lambda d=daemon: len(d.sync.peers()) == 1)  # type: ignore[misc]
    for daemon in daemons:
        [peer] = daemon.sync.peers().values()
        await peer.in_step.wait()


async def hear(ann: Inside, vera: Liar, notes: Sequence[Record]) -> None:
    """Vera connects, pushes what she wrote, and leaves when it is there."""
    await vera.party.start()
    try:
        link = await vera.party.network.dial("127.0.0.1", ann.daemon.network.port)
        await vera.push(link, notes)
        await until("Vera's notes", lambda: len(held(ann, "note")) == len(notes))
    finally:
        await vera.party.network.stop()


async def test_a_second_meeting_sends_no_record_whatever_clocks_floors_and_expiry_say(tmp_path: Path) -> None:
    ann, ben, vera = Inside("Ann", tmp_path), Inside("Ben", tmp_path), Liar("vera")
    ben.offset = TEN_MINUTES
    async with ann.running() as a, ben.running() as b:
        await a.people.trust(did_key(b.people.view.me), petname="Ben")
        await b.people.trust(did_key(a.people.view.me), petname="Ann")
        for daemon in (a, b):
            await daemon.people.trust(did_key(vera.party.author), petname="Vera")
        of_vera = [vera.note(f"Vera's {number}", time=ann.now() - number) for number in range(3)]
        await hear(ann, vera, of_vera)
        items = a.items
        for number in range(6):
            await items.publish(PublishRequest(text=f"# Note {number}\n\ntext", audience="public"))
        gone = await items.publish(PublishRequest(text="# Gone\n\ntext", audience="public"))
        await items.publish(PublishRequest(text="# Sealed\n\ntext"))
        await b.items.publish(PublishRequest(text="# Of Ben's, from ten minutes ahead", audience="public"))
        keys = ann.env.keys
        fleeting = sign_record(
            author=keys.author, key=keys.device_key, time=ann.now(), kind="note", body=Item(title="Fleeting"),
            expires=ann.now() + 5_400_000,
        )  # fmt: skip
        await ann.env.store.write(lambda db: ingest(db, fleeting, now=ann.now()))
        await meet(a, b)
        await until("all notes at both", lambda: len(held(ann, "note")) == len(held(ben, "note")) == 12)
        await until("the sealed one too", lambda: len(held(ben, "sealed")) == 1)
        await items.retract(gone.id)
        await until("the retraction", lambda: held(ben, "retraction") == held(ann, "retraction") != set())

    async with ben.running() as b:
        await b.people.block("Vera")
        assert held(ben, "note").isdisjoint(record.id for record in of_vera)

        def raise_floor(db: sqlite3.Connection) -> None:
            row = db.execute(
                "SELECT time, id FROM record WHERE kind = 'note' AND author = ?"
                " ORDER BY time, id LIMIT 1 OFFSET 3",
                (ann.env.keys.author,),
            ).fetchone()
            forget_below(db, ann.env.keys.author, Floor(*row))

        await ben.env.store.write(raise_floor)

    ann.offset += TWO_HOURS
    ben.offset += TWO_HOURS
    async with ann.running() as a, ben.running() as b:
        before = held(ann, "note"), held(ben, "note")
        assert before[0] - before[1] > {record.id for record in of_vera}
        await meet(a, b)
        await in_step(a, b)
        for daemon in (a, b):
            [peer] = daemon.sync.peers().values()
            assert (peer.records_in, peer.records_out) == (0, 0)
        assert (held(ann, "note"), held(ben, "note")) == before
