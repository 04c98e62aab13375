"""A daemon and a peer that does not keep to the rules: what it costs that peer, and nobody else."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from pkn_protocol.channel import messages as m
from pkn_protocol.channel.errors import CloseCode
from pkn_protocol.control.items import PublishRequest
from pkn_protocol.records.codec import sign_record
from pkn_protocol.records.ids import Cid, did_key
from pkn_protocol.records.model import Item, Record
from pkn_protocol.records.signing import Ed25519Key
from pkn_protocol.sync.wants import PairKey
from pknd.channel.link import Link
from pknd.daemon import Daemon
from tests.e2e.inside import Inside, until
from tests.pknd.channel.party import Party, key_of


class Peer(Party):
    """A trusted peer that says what a test has it say."""

    def note(self, title: str, *, time: int, key: Ed25519Key | None = None) -> Record:
        return sign_record(
            author=self.author, key=key or self.device_key, time=time, kind="note", body=Item(title)
        )

    def push(self, link: Link, *blocks: bytes) -> m.Push:
        hashed = PairKey.of(self.device_key, link.peer.device).hash(self.author)
        return m.Push(hashed, blocks)

    def said(self, kind: type[m.Message]) -> list[m.Message]:
        return [message for message in self.heard.messages if isinstance(message, kind)]


@asynccontextmanager
async def met(tmp_path: Path) -> AsyncIterator[tuple[Inside, Daemon, Peer, Link]]:
    inside, peer = Inside("Ann", tmp_path), Peer("mallory")
    async with inside.running() as ann:
        await peer.start()
        try:
            link = await peer.network.dial("127.0.0.1", ann.network.port, expected=None)
            await until("the daemon's want", lambda: bool(peer.said(m.Want)))
            await until("the device", lambda: peer.device in ann.sync.peers())
            await until(
                "who it is", lambda: bool(held(inside, "device") - {b""}) and len(held(inside, "device")) == 2
            )
            await ann.people.trust(did_key(peer.author), petname="mallory")
            yield inside, ann, peer, link
        finally:
            await peer.network.stop()


def held(one: Inside, kind: str) -> set[bytes]:
    rows = one.env.store.read_now(
        lambda db: db.execute("SELECT id FROM record WHERE kind = ?", (kind,)).fetchall()
    )
    return {cid for (cid,) in rows}


async def test_a_bad_record_ends_the_connection_and_the_good_ones_beside_it_are_kept(tmp_path: Path) -> None:
    async with met(tmp_path) as (inside, _, peer, link):
        good = [peer.note(f"Good {number}", time=inside.now()) for number in range(6)]
        forged = bytearray(peer.note("Forged", time=inside.now()).block)
        forged[-1] ^= 1
        blocks = [record.block for record in good]
        await link.send(peer.push(link, *blocks[:3], bytes(forged), b"no record at all", *blocks[3:]))
        await until("the end", lambda: link.ended is not None)
        assert link.ended is not None
        assert (link.ended.code, link.ended.by_peer) == (CloseCode.BAD_RECORD, True)
        assert held(inside, "note") == {record.id for record in good}


async def test_records_by_a_device_that_nobody_names_are_refused_and_the_connection_stays(
    tmp_path: Path,
) -> None:
    async with met(tmp_path) as (inside, ann, peer, link):
        stranger = key_of("a device of nobody")
        notes = [peer.note(f"N {number}", time=inside.now(), key=stranger) for number in range(100)]
        # Mallory claims to want what Ann wants of it, and answers every comparison with "the same".
        want = peer.said(m.Want)[-1]
        assert isinstance(want, m.Want)
        await link.send(m.Want(1, 0, want.add))
        answered: set[int] = set()

        async def same(link: Link, message: m.Message) -> None:
            if isinstance(message, m.Compare):
                answered.add(message.number)
                await link.send(m.Same(message.number))

        peer.on_message = same
        await link.send(peer.push(link, *(note.block for note in notes)))

        def refused() -> set[Cid]:
            return {cid for message in peer.said(m.Refused) for cid in getattr(message, "ids", ())}

        await until("all to be refused", lambda: len(refused()) == len(notes))
        assert refused() == {note.id for note in notes}
        assert len(answered) < 10
        assert link.ended is None
        assert not held(inside, "note")
        assert ann.sync.peers()


async def test_refusals_of_what_is_not_held_count_for_nothing(tmp_path: Path) -> None:
    async with met(tmp_path) as (inside, ann, peer, link):
        want = peer.said(m.Want)[-1]
        assert isinstance(want, m.Want)
        await link.send(m.Want(1, 0, want.add))
        for number in range(40):
            ids = tuple(Cid(b"\x01\x71\x12\x20" + bytes([number, n]) + bytes(30)) for n in range(256))
            await link.send(m.Refused(ids, "no"))
        await link.send(m.Refused(tuple(map(Cid, held(inside, "device"))), "no"))
        await ann.items.publish(PublishRequest(text="# Still here\n\ntext", audience="public"))
        await until("a push", lambda: link.ended is not None or bool(peer.said(m.Push)))
        assert link.ended is None


async def test_a_comparison_hours_away_and_a_message_out_of_place_end_the_connection(tmp_path: Path) -> None:
    async with met(tmp_path) as (inside, _, _, link):
        await link.send(m.Compare(1, inside.now() + 10 * 3_600_000, 1, 1, bytes(16)))
        await until("the end", lambda: link.ended is not None)
        assert link.ended is not None
        assert link.ended.code is CloseCode.BAD_MESSAGE
