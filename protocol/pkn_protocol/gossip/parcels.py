"""What goes to neighbours, packed into messages of bounded size."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from pkn_protocol.channel.messages import (
    MOST_ANNOUNCED,
    MOST_ANNOUNCED_AUTHORS,
    MOST_FETCHED,
    MOST_HOPS,
    MOST_RECORD_BYTES,
)
from pkn_protocol.gossip.effects import Fresh, Names, SendAnnounce, SendPush
from pkn_protocol.records.ids import AuthorId, Cid, DeviceId, ShortId


def next_hop(hops: int | None) -> int:
    """What a neighbour is told: one more than here; 0 where that is not known."""
    return 0 if hops is None else min(hops + 1, MOST_HOPS)


class Parcels:
    """Records on their way to neighbours, by author."""

    def __init__(self) -> None:
        self.told: dict[AuthorId, set[DeviceId]] = {}
        """Who was chosen to be told of an author's records, so that all of them are told to the same."""
        self._records: dict[tuple[DeviceId, AuthorId], list[Fresh]] = {}
        self._hops: dict[tuple[DeviceId, AuthorId], int] = {}

    def add(self, device: DeviceId, fresh: Fresh, hops: int | None) -> None:
        self._records.setdefault((device, fresh.author), []).append(fresh)
        self._hops[(device, fresh.author)] = next_hop(hops)

    def pushes(self) -> Iterable[SendPush]:
        for (device, author), records in self._records.items():
            hops = self._hops[(device, author)]
            part: list[Cid] = []
            size = 0
            for fresh in records:
                if part and (size + fresh.size > MOST_RECORD_BYTES or len(part) >= MOST_FETCHED):
                    yield SendPush(device, author, tuple(part), hops)
                    part, size = [], 0
                part.append(fresh.id)
                size += fresh.size
            yield SendPush(device, author, tuple(part), hops)


def announcements(
    device: DeviceId, found: Mapping[tuple[AuthorId, int], Sequence[ShortId]]
) -> Iterable[SendAnnounce]:
    """The messages that tell ids, given by author and hops."""
    lists: list[Names] = []
    count = 0
    for (author, hops), shorts in found.items():
        for at in range(0, len(shorts), MOST_ANNOUNCED):
            part = tuple(shorts[at : at + MOST_ANNOUNCED])
            if lists and (count + len(part) > MOST_ANNOUNCED or len(lists) >= MOST_ANNOUNCED_AUTHORS):
                yield SendAnnounce(device, tuple(lists))
                lists, count = [], 0
            lists.append(Names(author, part, hops))
            count += len(part)
    if lists:
        yield SendAnnounce(device, tuple(lists))
