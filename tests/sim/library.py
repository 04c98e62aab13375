"""All records that were written in a run: real and signed, shared by the nodes that hold them."""

from __future__ import annotations

from pkn_protocol.records.ids import AuthorId, Cid, ShortId, short_id
from pkn_protocol.records.model import Record
from pkn_protocol.sync.facts import PUBLIC_SCOPE, RecordFacts


class Library:
    """`records` by block; `by_id`; `named` by author and short id, which nobody here makes collide;
    `devices`: the block of each author's device record."""

    def __init__(self) -> None:
        self.records: dict[bytes, Record] = {}
        self.by_id: dict[Cid, Record] = {}
        self.named: dict[tuple[AuthorId, ShortId], Cid] = {}
        self.devices: dict[AuthorId, bytes] = {}
        self._facts: dict[Cid, RecordFacts] = {}

    def add(self, record: Record) -> None:
        self.records[record.block] = self.by_id[record.id] = record
        self.named[(record.author, short_id(record.id))] = record.id
        if record.kind == "device":
            self.devices[record.author] = record.block

    def facts(self, record: Record) -> RecordFacts:
        found = self._facts.get(record.id)
        if found is None:
            found = self._facts[record.id] = RecordFacts(
                id=record.id,
                author=record.author,
                scope=PUBLIC_SCOPE,
                time=record.time,
                standing=record.is_standing,
                block=record.block,
            )
        return found
