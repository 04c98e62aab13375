"""How far people are from the reader, and what each may weigh: pure functions of trust and vouches
(SPEC, Trust).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from pkn_protocol.records.ids import AuthorId

HORIZON = 3
"""The greatest distance: 0 self, 1 trusted, 2 vouched for by a trusted one, 3 by one of those."""

Vouches = Mapping[AuthorId, Collection[AuthorId]]


def distances(
    me: AuthorId,
    trusted: Collection[AuthorId],
    blocked: Collection[AuthorId],
    vouches: Vouches,
    *,
    horizon: int = HORIZON,
) -> dict[AuthorId, int]:
    """The distance of everybody within the horizon; who is blocked is never in it, nor leads to anybody."""
    found = {me: 0}
    edge = [me]
    for distance in range(1, horizon + 1):
        reached: list[AuthorId] = []
        for author in edge:
            # One's own vouches are for others to read: whom I trust is said by trust alone.
            people = trusted if author == me else vouches.get(author, ())
            for person in people:
                if person not in found and person not in blocked:
                    found[person] = distance
                    reached.append(person)
        edge = sorted(reached)
    return found


def shares(
    me: AuthorId,
    trusted: Collection[AuthorId],
    blocked: Collection[AuthorId],
    vouches: Vouches,
    *,
    horizon: int = HORIZON,
) -> dict[AuthorId, float]:
    """Each one's share of the whole, the trusted ones having 1 each before it is divided by their sum.

    What an author hands on to those it vouches for is together its own share at most, split evenly; of
    several ways to a person the best counts. So a crowd behind one voucher weighs no more than that one.
    The shares of all add up to 1 at most.
    """
    far = distances(me, trusted, blocked, vouches, horizon=horizon)
    weight = {author: 1.0 for author, distance in far.items() if distance == 1}
    for distance in range(1, horizon):
        for author in [a for a, d in far.items() if d == distance]:
            next_ones = [p for p in vouches.get(author, ()) if far.get(p) == distance + 1]
            for person in next_ones:
                weight[person] = max(weight.get(person, 0.0), weight[author] / len(next_ones))
    whole = sum(weight.values())
    return {author: value / whole for author, value in weight.items()} if whole else {}
