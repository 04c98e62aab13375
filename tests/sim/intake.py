"""A batch of records on its way into a store: what becomes of each."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from pkn_protocol.records.ids import AuthorId, Cid
from pkn_protocol.records.model import Record
from pkn_protocol.sync.facts import Stored
from tests.sim.library import Library
from tests.sim.store import Status, Store


@dataclass(slots=True)
class Taken:
    """`retractions` and `unknown`: blocks of what forbids a record, and of records by unknown devices."""

    added: list[Record] = field(default_factory=list)
    known: list[Cid] = field(default_factory=list)
    refused: dict[str, list[Cid]] = field(default_factory=dict)
    retractions: list[bytes] = field(default_factory=list)
    unknown: list[bytes] = field(default_factory=list)

    def told(self, library: Library, store: Store) -> Stored:
        """What the machines are told; of what was added, what quotas have left."""
        held = [record for record in self.added if store.get(record.author, record.id) is not None]
        return Stored(
            added=tuple(library.facts(record) for record in held),
            known=tuple(self.known),
            refused={reason: tuple(ids) for reason, ids in self.refused.items()},
            retractions=tuple(self.retractions),
            unknown=tuple(self.unknown),
        )


def take_in(store: Store, records: Iterable[Record], wanted: Collection[AuthorId], now: int) -> Taken:
    """Devices first, then what else is standing, then by time; `now` by the node's clock, ms."""
    taken = Taken()
    for record in sorted(records, key=lambda r: (r.kind != "device", not r.is_standing, r.time)):
        if record.author not in wanted:
            taken.refused.setdefault("not wanted", []).append(record.id)
            continue
        outcome = store.ingest(record, now)
        if outcome.status is Status.ADDED:
            taken.added.append(record)
        elif outcome.status is Status.KNOWN:
            taken.known.append(record.id)
        elif outcome.status is Status.REFUSED:
            taken.refused.setdefault(outcome.reason, []).append(record.id)
        elif outcome.status is Status.RETRACTED and outcome.by is not None:
            taken.retractions.append(outcome.by.block)
        elif outcome.status is Status.UNKNOWN_DEVICE:
            taken.unknown.append(record.block)
    return taken
