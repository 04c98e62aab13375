"""A peer that keeps to the protocol of the channel and to nothing else: it answers as a test tells it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

from pkn_protocol.channel import messages as m
from pkn_protocol.records.codec import sign_record
from pkn_protocol.records.ids import Cid, raw_cid
from pkn_protocol.records.model import Body, Item, Payload, Record
from pkn_protocol.sync.wants import PairKey
from pkn_protocol.text.analysis import analyse
from pkn_protocol.text.sketch import make_sketch
from pknd.channel.link import Link
from tests.pknd.channel.party import Party, key_of


class Liar:
    """`records` are what it answers queries with and gives when they are fetched, whatever was asked. `of`:
    another device of this one's author."""

    def __init__(self, name: str, *, of: Liar | None = None) -> None:
        self.party: Party = Party(name, author_key=None if of is None else key_of(f"{of.party.name} author"))
        self.party.answer = self._answer
        self.records: list[Record] = []
        self.asked: list[m.Ask] = []

    def sign(self, kind: str, body: Body, *, time: int, **more: Any) -> Record:
        party = self.party
        return sign_record(author=party.author, key=party.device_key, time=time, kind=kind, body=body, **more)

    def note(self, title: str, *, time: int, words: str | None = None, **more: Any) -> Record:
        """A public note; its sketch is of `words`, where they are given."""
        item = {name: more.pop(name) for name in ("tags", "payload", "excerpt") if name in more}
        sketch = make_sketch(analyse(title if words is None else f"{title}\n{words}", "en"))
        return self.sign("note", Item(title, lang="en", sketch=sketch, **item), time=time, **more)

    def hash_for(self, link: Link) -> bytes:
        """What the peer's author is called on this connection."""
        return PairKey.of(self.party.device_key, link.peer.device).hash(self.party.author)

    def text(self, text: str) -> Payload:
        """The payload of a text, which can be fetched from here."""
        block = text.encode()
        self.party.blocks[raw_cid(block)] = block
        return Payload("text/plain", len(block), raw_cid(block))

    async def push(self, link: Link, records: Sequence[Record]) -> None:
        """Once the other side has said what it wants; before, it drops what it is sent."""
        await self.party.until(lambda: link in self.party.heard.wanting)
        await link.send(m.Push(self.hash_for(link), tuple(record.block for record in records)))

    async def _answer(self, link: Link, message: m.Message) -> AsyncIterator[m.Message]:
        match message:
            case m.Ask():
                self.asked.append(message)
                hits = tuple(m.AnswerHit(record.id, 10**6, "", (), True) for record in self.records)
                yield m.Answers(hits, asked=1)
            case m.Fetch():
                have: dict[Cid, bytes] = {record.id: record.block for record in self.records}
                blocks = [have[cid] for cid in message.ids if cid in have]
                yield m.Records((self.party.device_record, *blocks))
            case _:
                yield m.Unsupported(type(message).__name__.lower())
