"""Bounds and times of broadcast. Times are in milliseconds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BroadcastLimits:
    """A simulation may take others than a daemon; what goes over the wire is bounded in `messages`."""

    eager_at_first: int = 5
    """Neighbours who get a record whole while no tree is known: in a random graph of this degree all are
    reached in some log N steps (HyParView uses 5 for 10,000 nodes)."""
    lazy: int = 3
    """Neighbours outside the tree that are told an id. Each hears of it as often in the mean; the chance to
    hear nothing when the tree fails is e^-3, and then a comparison brings it."""
    new_for: int = 2000
    """From the first ids that a neighbour was told on: until then the tree may still be growing there."""
    missed_for: int = 10_000
    missed: int = 512
    """Who joins the tree is told what went by in that time, so many records at most."""
    announce_after: int = 30
    """Ids wait that long, and by chance up to as long again: they gather into one message, and of two
    neighbours that got a record at the same time only one tells the other."""
    patience: int = 150
    """An announced record may come in full over the tree meanwhile. Learned from then on, up to
    `most_patience`."""
    most_patience: int = 1500
    graft_again: int = 500
    """After that the next neighbour who announced a record is asked."""
    announcers: int = 4
    """Neighbours that are remembered as holding a record that is lacking."""
    shorter_by: int = 1
    """Hops by which another way must be shorter for the tree to change over to it."""
    history: int = 16_384
    """Records remembered, some 6 MiB; older ones are known to the store."""
    history_for: int = 120_000
    arriving_for: int = 30_000
    """A record that came in full but has not been stored by then may come again."""
    missing_each: int = 4096
    """Announced records that are waited for on one neighbour's word: more are left to the next comparison."""
    queued_each: int = 4096
    """Ids that wait to be told to one neighbour: for more a comparison is cheaper."""
    trees: int = 512
    """Authors with a tree of their own, remembered for each neighbour; one that is forgotten is in the shared
    tree again, and costs a duplicate or a repair."""
    undelivered: int = 256
    """Records announced and, when asked for, not given: then a neighbour's announcements are not heeded."""
    ignored_for: int = 60_000
