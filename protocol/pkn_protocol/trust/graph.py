"""How far people are from the reader, and what each may weigh: pure functions of trust and vouches
(SPEC, Trust).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from pkn_protocol.records.ids import AuthorId

HORIZON = 3
"""The greatest distance: 0 self, 1 trusted, 2 vouched for by a trusted one, 3 by one of those."""
HANDED_ON = 0.5
"""What an author hands on to all whom it vouches for, as a part of its own weight. With a half, everybody
behind an author, however deep, weighs less than that author: 1/2 + 1/4 + ..."""

Vouches = Mapping[AuthorId, Collection[AuthorId]]
"""Who vouches for whom at present (see `vouches.standing_vouches`)."""


def distances(
    me: AuthorId,
    trusted: Collection[AuthorId],
    blocked: Collection[AuthorId],
    vouches: Vouches,
    *,
    horizon: int = HORIZON,
) -> dict[AuthorId, int]:
    """The distance of everybody within the horizon; who is blocked is never in it, nor leads to anybody."""
    shut_out = frozenset(blocked)
    found = {me: 0}
    edge = [me]
    for distance in range(1, horizon + 1):
        reached: list[AuthorId] = []
        for author in edge:
            # One's own vouches are for others to read: whom I trust is said by trust alone.
            people = trusted if author == me else vouches.get(author, ())
            for person in people:
                if person not in found and person not in shut_out:
                    found[person] = distance
                    reached.append(person)
        edge = reached
    return found


def weights(
    me: AuthorId,
    trusted: Collection[AuthorId],
    blocked: Collection[AuthorId],
    vouches: Vouches,
    *,
    horizon: int = HORIZON,
) -> dict[AuthorId, float]:
    """What everybody within the horizon but oneself weighs: 1 who is trusted, less who is vouched for.

    An author hands on half its weight, split evenly among those it vouches for whom the reader has not
    judged; of several ways to a person the best counts. So all who stand behind one voucher weigh together
    less than that voucher, and a vouch never lowers the weight of the person it is for.
    """
    shut_out = {me, *blocked}
    judged = shut_out.union(trusted)
    edge = {author: 1.0 for author in trusted if author not in shut_out}
    best = dict(edge)
    for _ in range(1, horizon):
        reached: dict[AuthorId, float] = {}
        for author, weight in edge.items():
            people = set(vouches.get(author, ())) - judged - {author}
            for person in people:
                handed = weight * HANDED_ON / len(people)
                if handed > max(best.get(person, 0.0), reached.get(person, 0.0)):
                    reached[person] = handed
        best |= reached
        edge = reached
    return best


def shares(
    me: AuthorId,
    trusted: Collection[AuthorId],
    blocked: Collection[AuthorId],
    vouches: Vouches,
    *,
    horizon: int = HORIZON,
) -> dict[AuthorId, float]:
    """Each one's part of what is to be divided: the weights, divided by their sum. They add up to 1."""
    weighed = weights(me, trusted, blocked, vouches, horizon=horizon)
    # In a fixed order, since the last bits of a sum depend on it.
    whole = sum(weighed[author] for author in sorted(weighed))
    return {author: weight / whole for author, weight in weighed.items()}
