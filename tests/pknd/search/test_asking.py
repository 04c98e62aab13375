"""What is read of the answers of a peer that sends more than it was asked for."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from pkn_protocol.channel import messages as m
from pkn_protocol.records.codec import sign_record
from pkn_protocol.records.model import Item, Record
from pknd.channel.link import Link
from pknd.environment import Environment
from pknd.search.asking import ask_peer
from tests.pknd.channel.party import TIME, Party

LIMIT = 10


class Talker:
    """Answers a query in ever more parts, each with 200 hits, and notes which of these are fetched."""

    def __init__(self) -> None:
        self.party = Party("talker")
        self.party.answer = self._answer
        self.fetched: list[int] = []
        self.parts = 0
        self._records = {record.id: record for record in map(self._record, range(3 * m.MOST_HITS))}

    def _record(self, number: int) -> Record:
        key, item = self.party.device_key, Item(f"Keel {number}")
        return sign_record(author=self.party.author, key=key, time=TIME + number, kind="note", body=item)

    async def _answer(self, link: Link, message: m.Message) -> AsyncIterator[m.Message]:
        if isinstance(message, m.Fetch):
            self.fetched.append(len(message.ids))
            found = [self._records[cid].block for cid in message.ids]
            yield m.Records((self.party.device_record, *found))
            return
        ids = list(self._records)
        for part in range(3):
            self.parts += 1
            ours = ids[part * m.MOST_HITS :][: m.MOST_HITS]
            yield m.Answers(tuple(m.AnswerHit(cid, 1, "p" * 100, (), False) for cid in ours), 1, more=True)


def ask(*, most_bytes: int) -> m.Ask:
    return m.Ask(
        query_id=bytes(16),
        text="keel",
        terms=(m.QueryTerm("keel", (1,), 1),),
        phrases=(),
        excluded=(),
        documents=1,
        mean_length=1,
        limit=LIMIT,
        nodes=0,
        most_bytes=most_bytes,
        hops=0,
        timeout_ms=5000,
    )


@pytest.mark.parametrize(("most_bytes", "each"), [(65536, LIMIT), (64 + 5 * 164, 5), (0, 0)])
async def test_two_parts_are_read_and_of_each_what_was_asked_for(
    env: Environment, most_bytes: int, each: int
) -> None:
    asker, talker = Party("asker"), Talker()
    await asker.start()
    await talker.party.start()
    try:
        link = await asker.dial(talker.party)
        read = [part async for part in ask_peer(env, link, ask(most_bytes=most_bytes), timeout_s=5.0)]
    finally:
        await asker.network.stop()
        await talker.party.network.stop()
    assert [(len(found), more) for found, more in read] == [(each, True), (each, False)]
    assert talker.fetched == [each, each] * bool(each)
