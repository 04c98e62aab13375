"""Rateless set reconciliation: symbols of many sets at once, and the differences that they tell.

One side makes the symbols of its sets; the other subtracts those of its own and peels: a symbol that holds
one item alone gives it away, and taking it out of the others leaves new ones of one item (Yang, Gilad,
Alizadeh, SIGCOMM 2024; SPEC, Reconciliation). Sets are independent: what one of them is like costs the others
nothing. All are worked on together, since many small sets are as usual as one large one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from pkn_protocol.number_sets import distinct
from pkn_protocol.sync.siphash import Words, siphash
from pkn_protocol.sync.symbols import MOST_SYMBOLS, Symbols, advance, share

Numbers: TypeAlias = NDArray[np.int64]
MOST_PEELINGS = 512
"""Rounds of peeling after each arrival. Honest symbols need some tens; invented ones could make each round
find a single item. What is left then waits for the next symbols."""
_THERE, _HERE = np.uint8(1), np.uint8(255)
"""Counts of a symbol that holds one item: held there alone, and here alone (-1 modulo 256)."""


class Encoder:
    """Streams of symbols, one a set, each continued where it was. A set's items are distinct."""

    def __init__(self, key: bytes, sets: Sequence[Words]) -> None:
        self.sizes: Numbers = np.array([len(items) for items in sets], np.int64)
        self.made: Numbers = np.zeros(len(sets), np.int64)
        self._items = np.concatenate([np.empty(0, np.uint64), *sets])
        self._checks = siphash(key, self._items)
        self._counts = np.ones(len(self._items), np.uint8)
        self._sets = np.repeat(np.arange(len(sets)), self.sizes)
        self._indices = np.zeros(len(self._items), np.uint64)
        self._states = self._checks.copy()

    def take(self, counts: Numbers) -> Symbols:
        """The next symbols of each set, so many as `counts` says, those of the first set first.

        Raises:
            ValueError: a set would have more than MOST_SYMBOLS.
        """
        ends = self.made + counts
        if len(ends) and ends.max() > MOST_SYMBOLS:
            raise ValueError(f"more than {MOST_SYMBOLS} symbols of a set")
        symbols = Symbols.zeros(int(counts.sum()))
        # Where index 0 of each set would be, if these symbols did not begin later.
        origins = _starts(counts) - self.made
        live = np.flatnonzero(self._indices < ends.astype(np.uint64)[self._sets])
        while len(live):
            sets, indices = self._sets[live], self._indices[live]
            slots = origins[sets] + indices.astype(np.int64)
            _put(symbols, slots, self._items[live], self._checks[live], self._counts[live])
            indices, self._states[live] = advance(indices, self._states[live])
            self._indices[live] = indices
            live = live[indices < ends.astype(np.uint64)[sets]]
        self.made = ends
        return symbols

    def add(
        self,
        sets: Numbers,
        items: Words,
        checks: Words,
        counts: NDArray[np.uint8],
        indices: Words,
        states: Words,
    ) -> None:
        """Items that take part from the index that they are at on."""
        self._sets = np.concatenate([self._sets, sets])
        self._items = np.concatenate([self._items, items])
        self._checks = np.concatenate([self._checks, checks])
        self._counts = np.concatenate([self._counts, counts])
        self._indices = np.concatenate([self._indices, indices])
        self._states = np.concatenate([self._states, states])


class Decoder:
    """The differences between own sets and those that symbols come from.

    `totals` says how many items each set has there.
    """

    def __init__(self, key: bytes, own: Sequence[Words], totals: Sequence[int]) -> None:
        self._key = key
        self._own = Encoder(key, own)
        self._surplus: Numbers = np.array(totals, np.int64) - self._own.sizes
        self._rest = Symbols.zeros(0)
        self._waiting: Numbers = np.empty(0, np.int64)
        self._known: set[tuple[int, int]] = set()
        self._found: list[tuple[Numbers, Words, NDArray[np.uint8]]] = []

    @property
    def lengths(self) -> Numbers:
        """How many symbols of each set have come."""
        return self._own.made

    def add(self, symbols: Symbols, counts: Numbers) -> None:
        """Take the next symbols of each set, so many as `counts` says, and find what they tell.

        Raises:
            ValueError: a set would have more than MOST_SYMBOLS.
        """
        before = self.lengths
        own = self._own.take(counts)
        after = self.lengths
        old = _places(before, _starts(after))
        new = _places(counts, _starts(after) + before)
        rest = Symbols.zeros(int(after.sum()))
        for ours, kept in ((rest.items, self._rest.items), (rest.checks, self._rest.checks)):
            ours[old] = kept
        rest.counts[old] = self._rest.counts
        rest.items[new] = symbols.items ^ own.items
        rest.checks[new] = symbols.checks ^ own.checks
        rest.counts[new] = symbols.counts - own.counts
        self._rest = rest
        self._waiting = np.concatenate([old[self._waiting], new])
        self._peel()

    def complete(self) -> NDArray[np.bool_]:
        """Of which sets all differences are known: no symbol holds anything any more."""
        held = (self._rest.items != 0) | (self._rest.checks != 0) | (self._rest.counts != 0)
        left = np.bincount(self._slot_sets()[held], minlength=len(self.lengths))
        done: NDArray[np.bool_] = (left == 0) & (self.lengths > 0)
        return done

    def differences(self) -> tuple[list[Words], list[Words]]:
        """By set, what is held there alone, and what is held here alone, so far."""
        sets = np.concatenate([np.empty(0, np.int64), *(part[0] for part in self._found)])
        items = np.concatenate([np.empty(0, np.uint64), *(part[1] for part in self._found)])
        sides = np.concatenate([np.empty(0, np.uint8), *(part[2] for part in self._found)])
        order = np.argsort(sets, kind="stable")
        there = sides[order] == _THERE
        return (
            _by_set(sets[order][there], items[order][there], len(self.lengths)),
            _by_set(sets[order][~there], items[order][~there], len(self.lengths)),
        )

    def estimates(self) -> NDArray[np.float64]:
        """How many differences each set has, about: from how far the symbols' counts stray.

        Given the surplus of one side, the count of symbol i has the mean s x surplus and the variance
        s (1 - s) x differences, s being the share of items that it holds. Of a set that has no second symbol
        only the surplus is known, which is the least that it may be.
        """
        sets = self._slot_sets()
        index = (np.arange(len(sets)) - _starts(self.lengths)[sets]).astype(np.float64)
        of = share(index)
        stray = self._rest.counts.astype(np.float64) - of * self._surplus[sets]
        stray = (stray + 128) % 256 - 128
        later = index > 0
        weight = stray[later] ** 2 / (of * (1 - of))[later]
        spread = np.bincount(sets[later], weights=weight, minlength=len(self.lengths))
        mean = spread / np.maximum(self.lengths - 1, 1)
        left: NDArray[np.float64] = np.maximum(mean, np.abs(self._surplus))
        left[self.complete()] = 0.0
        for found, _, _ in self._found:
            left += np.bincount(found, minlength=len(left))
        return left

    def _slot_sets(self) -> Numbers:
        return np.repeat(np.arange(len(self.lengths)), self.lengths)

    def _peel(self) -> None:
        sets, rest = self._slot_sets(), self._rest
        for _ in range(MOST_PEELINGS):
            counts = rest.counts[self._waiting]
            single = self._waiting[(counts == _THERE) | (counts == _HERE)]
            checks = siphash(self._key, rest.items[single])
            single = single[checks == rest.checks[single]]
            self._waiting = np.empty(0, np.int64)
            if not len(single):
                return
            fresh = self._unknown(sets[single], rest.items[single])
            self._waiting = self._take_out(single[fresh], sets[single[fresh]])

    def _unknown(self, sets: Numbers, items: Words) -> list[int]:
        """The places of items that were not found before, each once."""
        # Found once more after it was taken out, the symbols were invented; they shall not go round for ever.
        fresh = []
        for place, item in enumerate(zip(sets.tolist(), items.tolist(), strict=True)):
            if item not in self._known:
                self._known.add(item)
                fresh.append(place)
        return fresh

    def _take_out(self, single: Numbers, sets: Numbers) -> Numbers:
        """Take the items of symbols that hold one each out of all others; the places of those."""
        rest, starts = self._rest, _starts(self.lengths)
        items, checks, sides = rest.items[single], rest.checks[single], rest.counts[single]
        self._found.append((sets, items, sides))
        self._surplus -= np.bincount(sets[sides == _THERE], minlength=len(starts))
        self._surplus += np.bincount(sets[sides == _HERE], minlength=len(starts))
        indices, states = np.zeros(len(items), np.uint64), checks.copy()
        ends = self.lengths.astype(np.uint64)[sets]
        live = np.arange(len(items))
        touched = []
        while len(live):
            slots = starts[sets[live]] + indices[live].astype(np.int64)
            _put(rest, slots, items[live], checks[live], -sides[live])
            touched.append(slots)
            indices[live], states[live] = advance(indices[live], states[live])
            live = live[indices[live] < ends[live]]
        # Later symbols hold them too, and must be freed of them in the same way.
        self._own.add(sets, items, checks, sides, indices, states)
        return distinct(np.concatenate([np.empty(0, np.int64), *touched]))


def _put(symbols: Symbols, slots: Numbers, items: Words, checks: Words, counts: NDArray[np.uint8]) -> None:
    np.bitwise_xor.at(symbols.items, slots, items)
    np.bitwise_xor.at(symbols.checks, slots, checks)
    np.add.at(symbols.counts, slots, counts)


def _starts(lengths: Numbers) -> Numbers:
    """Where each part begins when parts of these lengths lie one after the other."""
    starts: Numbers = np.cumsum(lengths) - lengths
    return starts


def _places(lengths: Numbers, starts: Numbers) -> Numbers:
    """The places of parts of these lengths, each beginning where `starts` says, one part after the other."""
    places: Numbers = np.arange(int(lengths.sum())) + np.repeat(starts - _starts(lengths), lengths)
    return places


def _by_set(sets: Numbers, items: Words, count: int) -> list[Words]:
    ends = np.searchsorted(sets, np.arange(count + 1))
    return [items[ends[number] : ends[number + 1]] for number in range(count)]
