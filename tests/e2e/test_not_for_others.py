"""What is for trusted people, beside somebody who is not: all that comes to them is written down, and what
they may ask for by name is answered as if it did not exist."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from pkn_protocol.channel import messages as m
from pkn_protocol.channel.errors import CloseCode
from pkn_protocol.control.items import PublishRequest
from pkn_protocol.records.ids import Cid, cid_text, dag_cbor_cid, did_key, raw_cid
from pkn_protocol.records.model import Item
from pkn_protocol.records.payload import BLOCK_BYTES
from pknd.channel.blocks import token_text
from pknd.channel.frames import FrameSocket
from pknd.channel.link import Link
from pknd.channel.tls import client_context
from pknd.daemon import Daemon
from pknd.store.records import Filter, listed
from tests.e2e.inside import Inside, until

SECRET = b"The walnut ledger lies under the third zinnia."
WORDS = (b"walnut", b"zinnia", b"Ledger", b"Cellar")


@dataclass
class Tap:
    """Everything that comes to a daemon over its connections: frames after the handshake, and blocks."""

    frames: list[bytes] = field(default_factory=list)
    blocks: list[bytes] = field(default_factory=list)

    def listen(self, daemon: Daemon) -> None:
        network: Any = daemon.network
        make_link, fetch = network._link, network._fetch

        def tapped_link(frames: FrameSocket, *given: Any, **more: Any) -> Link:
            socket: Any = frames
            receive = socket.receive

            async def tapped() -> bytes:
                frame: bytes = await receive()
                self.frames.append(frame)
                return frame

            socket.receive = tapped
            link: Link = make_link(frames, *given, **more)
            return link

        async def tapped_fetch(link: Link, cid: Cid, most_bytes: int) -> bytes | None:
            block: bytes | None = await fetch(link, cid, most_bytes)
            self.blocks.append(block or b"")
            return block

        network._link, network._fetch = tapped_link, tapped_fetch

    def came(self, words: bytes) -> bool:
        return any(words in part for part in (*self.frames, *self.blocks))


def on_disk(person: Inside, words: bytes) -> bool:
    return any(words in path.read_bytes() for path in person.folder.rglob("*") if path.is_file())


def titles(person: Inside) -> set[str]:
    found = person.env.store.read_now(lambda db: listed(db, Filter(now=person.now()), limit=50))
    return {held.record.body.title for held in found if isinstance(held.record.body, Item)}


async def dial(one: Daemon, other: Daemon) -> Link:
    device = await one.dial("127.0.0.1", other.network.port, None)
    return one.network.links[device]


async def in_step(daemon: Daemon, *, peers: int) -> None:
    await until("all peers", lambda: len(daemon.sync.peers()) == peers)
    for peer in daemon.sync.peers().values():
        await peer.in_step.wait()


Answer = tuple[int, dict[str, str], bytes]


async def asked_over_http(http: aiohttp.ClientSession, link: Link, cid: Cid) -> Answer:
    """What the peer answers whoever holds the token of this connection; without the time of day."""
    port = link.remote[1] if link.outbound else link.peer.port
    async with http.get(
        f"https://{link.remote[0]}:{port}/v1/blocks/{cid_text(cid)}",
        headers={"Authorization": f"Bearer {token_text(link.peer.token)}"},
        ssl=client_context(),
    ) as response:
        headers = {name: text for name, text in response.headers.items() if name != "Date"}
        return response.status, headers, await response.read()


def sealed_names(person: Inside) -> dict[str, list[Cid]]:
    """The ids of all that is not public at somebody's: records, and the blocks of their contents."""
    statements = {
        "records": "SELECT id FROM record WHERE scope <> x'' OR NOT wire",
        "roots": "SELECT cid FROM payload JOIN record ON record.rowid = record WHERE scope <> x''",
        "blocks": "SELECT cid FROM block_use JOIN record ON record.rowid = record WHERE scope <> x''",
    }
    return {
        name: [Cid(cid) for (cid,) in person.env.store.read_now(lambda db, s=sql: db.execute(s).fetchall())]  # type: ignore[misc]
        for name, sql in statements.items()
    }


async def test_whoever_is_not_trusted_receives_nothing_of_it_and_learns_nothing_by_asking(
    tmp_path: Path,
) -> None:
    large = tmp_path / "Cellar.txt"
    large.write_bytes(SECRET + b"\n" + b"rows of jars " * (BLOCK_BYTES // 12))
    ann, ben, cat = (Inside(name, tmp_path) for name in ("Ann", "Ben", "Cat"))
    tap = Tap()
    async with ann.running() as a, ben.running() as b, cat.running() as c:
        tap.listen(c)
        await a.people.trust(did_key(b.people.view.me), petname="Ben")
        await b.people.trust(did_key(a.people.view.me), petname="Ann")
        await c.people.trust(did_key(a.people.view.me), petname="Ann")
        await c.people.trust(did_key(b.people.view.me), petname="Ben")
        to_ann, to_ben = await dial(c, a), await dial(c, b)
        of_ben = await dial(b, a)
        await in_step(c, peers=2)

        note = await a.items.publish(PublishRequest(text="# Ledger\n\n" + SECRET.decode()))
        file = await a.items.publish(PublishRequest(path=str(large)))
        open_note = PublishRequest(text="# Weather\n\nFog by noon, and a last walk.", audience="public")
        await a.items.publish(open_note)
        await until("all at Ben's", lambda: titles(ben) == {"Ledger", "Cellar.txt", "Weather"})
        content = await b.items.payload(file.id, timeout_s=20)
        assert b"".join([chunk async for chunk in content.chunks]) == large.read_bytes()
        shown = await b.items.show(note.id, fetch=True, timeout_s=20)
        assert shown.text is not None
        assert SECRET.decode() in shown.text
        await until("the public one at Cat's", lambda: titles(cat) == {"Weather"})
        await until("its text too", lambda: tap.came(b"Fog by noon, and a last walk."))
        # They part and meet again: all that there is now is compared.
        for link in (to_ann, to_ben):
            await link.close(CloseCode.GOING_AWAY, "until later")
            await link.wait_over()
        to_ann, to_ben = await dial(c, a), await dial(c, b)
        await in_step(c, peers=2)

        names = sealed_names(ann)
        assert len(names["records"]) >= 5
        assert len(names["roots"]) == 2
        assert len(names["blocks"]) >= 4
        absent = raw_cid(b"held by nobody")
        asked = [cid for cids in names.values() for cid in cids]
        async with aiohttp.ClientSession() as http:
            for link in (to_ann, to_ben):
                expected = await asked_over_http(http, link, absent)
                assert expected[0] == 404
                for cid in asked:
                    assert await asked_over_http(http, link, cid) == expected
                records = (dag_cbor_cid(b"held by nobody"), *names["records"])
                fetched = await link.request(m.Fetch(records, devices=True), timeout_s=10)
                assert fetched == m.Records((), records)
                held = await link.request(m.Have((absent, *asked)), timeout_s=10)
                assert held == m.Holds(bytes(1 + len(asked)))
            for cid in names["blocks"]:
                assert (await asked_over_http(http, of_ben, cid))[0] == 200

        assert titles(cat) == {"Weather"}
        for words in WORDS:
            assert on_disk(ann, words), words
            assert not tap.came(words), words
            assert not on_disk(cat, words), words
        for cid in names["records"]:
            [(block,)] = ann.env.store.read_now(
                lambda db, c=cid: db.execute("SELECT block FROM record WHERE id = ?", (c,)).fetchall()  # type: ignore[misc]
            )
            assert not tap.came(block)
