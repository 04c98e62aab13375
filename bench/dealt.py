"""A collection dealt to several people: each holds a share, and an asker asks them with the query machine."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.payloads import text_payload
from pkn_protocol.records.codec import countersign_device, sign_record
from pkn_protocol.records.ids import AuthorId, Cid, DeviceId
from pkn_protocol.records.model import Device, Item, Record
from pkn_protocol.records.signing import Ed25519Key
from pkn_protocol.search.documents import text_score
from pkn_protocol.search.fanout import AskPeer, Effect, FanOut
from pkn_protocol.search.patience import Candidate
from pkn_protocol.search.query import Query, parse_query
from pkn_protocol.search.scoring import Statistics
from pkn_protocol.text.analysis import analyse
from pkn_protocol.text.sketch import make_sketch
from pknd.search.local import search, statistics_of
from pknd.store.database import open_database
from pknd.store.ingest import Status, ingest
from pknd.store.records import Filter

NOW = 1_790_000_000_000
TOP = 10


class Person:
    """An author with one device, who signs summaries of texts."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.key = Ed25519Key.from_seed(hashlib.sha256(f"{name} author".encode()).digest())
        self.device_key = Ed25519Key.from_seed(hashlib.sha256(f"{name} device".encode()).digest())
        self.author = AuthorId(self.key.public)
        self.device = DeviceId(self.device_key.public)

    def device_record(self) -> Record:
        body = Device(self.device, self.name, countersign_device(self.author, self.device_key, NOW))
        return sign_record(author=self.author, key=self.key, time=NOW, kind="device", body=body)

    def summary(self, text: str, number: int) -> Record:
        """A note with the sketch of a text, which has its title in the first line.

        `number` tells equal texts apart: it is how many milliseconds ago the note was written.
        """
        title = text.partition("\n")[0][:200] or "Untitled"
        body = Item(title, lang="en", sketch=make_sketch(analyse(text, "en")), payload=text_payload(text))
        return sign_record(author=self.author, key=self.device_key, time=NOW - number, kind="note", body=body)


@dataclass(frozen=True, slots=True)
class Share:
    """What one person holds: `records` are all that was ever dealt, by id."""

    person: Person
    db: sqlite3.Connection
    records: Mapping[Cid, Record]

    def statistics(self, query: Query) -> Statistics:
        return statistics_of(self.db, query)

    def scores(self, query: Query, statistics: Statistics) -> dict[Cid, float]:
        """The best of the share as the asker's figures, roughly told, say; scored as the asker does: from the
        signed record, with the figures themselves."""
        told = statistics.as_told()
        hits = search(self.db, query, told, Filter(now=NOW), limit=TOP, text_of=lambda _db, _held: None)
        scores = {}
        for hit in hits:
            score = text_score(self.records[hit.held.record.id], query, statistics)
            if score is not None:
                scores[hit.held.record.id] = score
        return scores


@contextmanager
def dealt(
    shares: Sequence[Mapping[str, str]], folder: Path, *, exchanged: bool
) -> Iterator[tuple[list[Share], dict[Cid, str]]]:
    """A real database each for the people who hold `shares` (name to text), and the names by id.

    `exchanged`: the first person also holds everybody's summaries.
    """
    folder.mkdir()
    people = [Person(f"Person {number}") for number in range(len(shares))]
    signed = [
        {name: one.summary(text, number) for number, (name, text) in enumerate(part.items())}
        for one, part in zip(people, shares, strict=True)
    ]
    records = {record.id: record for part in signed for record in part.values()}
    names = {record.id: name for part in signed for name, record in part.items()}
    with ExitStack() as stack:
        made = []
        for number, one in enumerate(people):
            db = stack.enter_context(closing(open_database(folder / f"{number}.db")))
            held = range(len(people)) if exchanged and number == 0 else (number,)
            db.execute("BEGIN")
            for other in held:
                for record in (people[other].device_record(), *signed[other].values()):
                    if ingest(db, record, now=NOW).status not in (Status.ADDED, Status.KNOWN):
                        raise RuntimeError("a summary was refused")
            db.execute("COMMIT")
            made.append(Share(one, db, records))
        yield made, names


def ask(shares: Sequence[Share], text: str) -> tuple[list[Cid], int]:
    """The top ten that the first of the people finds, with her own statistics, and how many she asked."""
    asker, others = shares[0], {share.person.device: share for share in shares[1:]}
    query = parse_query(text, {"en"})
    statistics = asker.statistics(query)
    fan = FanOut(TOP, asker.scores(query, statistics))
    waiting: list[Effect] = fan.start(
        [Candidate(device, o.person.author, 1, 0.0, True, 1.0) for device, o in others.items()], 0.0
    )
    while waiting:
        effect = waiting.pop(0)
        if isinstance(effect, AskPeer):
            found = others[effect.device].scores(query, statistics)
            waiting += fan.answered(effect.device, found, 0.0)
    return fan.top(), fan.asked
