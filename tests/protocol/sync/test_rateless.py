"""The code for set differences: exactly as specified, finds all, and cannot be spoilt without its key."""

from __future__ import annotations

import random
from collections.abc import Iterator
from math import isqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pkn_protocol.sync.pace import next_symbols
from pkn_protocol.sync.rateless import MOST_PEELINGS, Decoder, Encoder
from pkn_protocol.sync.siphash import Words, siphash
from pkn_protocol.sync.symbols import MOST_SYMBOLS, SYMBOL_BYTES, Symbols, advance

KEY = bytes(range(16))
MASK = 2**64 - 1
items = st.integers(0, MASK)
sets = st.frozensets(items, max_size=60)


def words(values: frozenset[int] | set[int] | list[int]) -> Words:
    return np.array(sorted(values), np.uint64)


def next_index(index: int, state: int) -> tuple[int, int]:
    """The specification, word for word and in whole numbers of any size."""
    state = (state * 6364136223846793005 + 1442695040888963407) & MASK
    drawn = (state >> 40) + 1
    following = index + 1
    while (following + 1) * (following + 2) * drawn <= (index + 1) * (index + 2) * 2**24:
        following += 1
    return following, state


def slow_symbols(key: bytes, values: frozenset[int], count: int) -> bytes:
    found = [[0, 0, 0] for _ in range(count)]
    for value in values:
        check = int(siphash(key, words({value}))[0])
        index, state = 0, check
        while index < count:
            found[index][0] ^= value
            found[index][1] ^= check
            found[index][2] += 1
            index, state = next_index(index, state)
    return b"".join(
        value.to_bytes(8, "little") + check.to_bytes(8, "little") + bytes((number % 256,))
        for value, check, number in found
    )


def test_siphash_is_the_published_function() -> None:
    # From the authors' table of vectors: the key 00..0f, the message 00..07.
    message = np.frombuffer(bytes(range(8)), "<u8").astype(np.uint64)
    assert siphash(KEY, message).astype("<u8").tobytes().hex() == "6224939a79f5f593"
    assert len(siphash(KEY, words(set(range(20_000))))) == 20_000
    with pytest.raises(ValueError, match="key"):
        siphash(b"short", message)


@given(st.integers(0, MOST_SYMBOLS - 1), items)
def test_the_next_index_is_that_of_the_rule_in_whole_numbers(index: int, state: int) -> None:
    indices, states = advance(np.array([index], np.uint64), np.array([state], np.uint64))
    state = (state * 6364136223846793005 + 1442695040888963407) & MASK
    drawn = (state >> 40) + 1
    passed = (index + 1) * (index + 2) * 2**24 // drawn
    root = isqrt(passed)
    following = root - 1 + (root * (root + 1) <= passed)
    assert states[0] == state
    assert indices[0] == following if following < MOST_SYMBOLS else indices[0] >= MOST_SYMBOLS


@settings(max_examples=40, deadline=None)
@given(sets, st.binary(min_size=16, max_size=16), st.integers(1, 50))
def test_symbols_are_those_of_the_specification_word_for_word(
    values: frozenset[int], key: bytes, count: int
) -> None:
    made = Encoder(key, [words(values)]).take(np.array([count])).to_bytes()
    assert made == slow_symbols(key, values, count)
    assert len(made) == count * SYMBOL_BYTES
    assert Symbols.from_bytes(made).to_bytes() == made


@given(st.lists(sets, min_size=1, max_size=5), st.lists(st.integers(0, 9), min_size=1, max_size=4))
def test_a_stream_is_the_same_however_it_is_cut(found: list[frozenset[int]], cuts: list[int]) -> None:
    several = Encoder(KEY, [words(values) for values in found])
    streams = [b""] * len(found)
    for number, cut in enumerate(cuts):
        counts = np.array([cut + place * (number % 2) for place in range(len(found))])
        data = several.take(counts).to_bytes()
        for place, end in enumerate(np.cumsum(counts) * SYMBOL_BYTES):
            streams[place] += data[end - counts[place] * SYMBOL_BYTES : end]
    for values, stream in zip(found, streams, strict=True):
        alone = Encoder(KEY, [words(values)]).take(np.array([len(stream) // SYMBOL_BYTES]))
        assert alone.to_bytes() == stream


def stream(here: list[Words], there: list[Words], key: bytes, step: int = 1) -> Iterator[Decoder]:
    """A decoder after each arrival, all sets getting more until all are complete."""
    encoder = Encoder(key, there)
    decoder = Decoder(key, here, [len(found) for found in there])
    while len(here) and not decoder.complete().all():
        counts = np.where(decoder.complete(), 0, step)
        decoder.add(encoder.take(counts), counts)
        yield decoder


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(sets, sets), min_size=1, max_size=5), st.integers(1, 30))
def test_every_difference_of_every_set_is_found(
    pairs: list[tuple[frozenset[int], frozenset[int]]], step: int
) -> None:
    here, there = ([words(side) for side in sides] for sides in zip(*pairs, strict=True))
    *_, decoder = stream(here, there, KEY, step)
    found_there, found_here = decoder.differences()
    for number, (one, other) in enumerate(pairs):
        assert set(found_there[number].tolist()) == other - one
        assert set(found_here[number].tolist()) == one - other
        # Never more symbols than a few for each difference.
        assert decoder.lengths[number] <= 4 * len(one ^ other) + 2 * step + 20


@pytest.mark.parametrize(("here", "there"), [(0, 400), (400, 0), (200, 200), (3000, 3000)])
def test_the_number_of_differences_can_be_told_from_few_symbols(here: int, there: int) -> None:
    chance = np.random.default_rng(here + there)
    rough: list[float] = []
    good: list[float] = []
    for _ in range(30):
        both, ours, theirs = (chance.integers(0, MASK, size, dtype=np.uint64) for size in (2000, here, there))
        encoder = Encoder(KEY, [np.concatenate([both, theirs])])
        decoder = Decoder(KEY, [np.concatenate([both, ours])], [2000 + there])
        for counts, estimates in ((np.array([16]), rough), (np.array([112]), good)):
            decoder.add(encoder.take(counts), counts)
            estimates.append(float(decoder.estimates()[0]) / (here + there))
    assert 0.7 < np.median(rough) < 1.3
    assert 0.85 < np.median(good) < 1.15
    assert 0.6 < min(good) < max(good) < 1.5


def symbols_needed(here: Words, there: Words, key: bytes) -> int:
    *_, decoder = stream([here], [there], key, 4)
    return int(decoder.lengths[0])


def ground(key: bytes, count: int, beyond: int, chance: np.random.Generator) -> Words:
    """Items that take part in symbol 0 and then in none before `beyond`, under a key that is known."""
    found: list[int] = []
    while len(found) < count:
        tried = chance.integers(0, MASK, 200_000, dtype=np.uint64)
        indices, _ = advance(np.zeros(len(tried), np.uint64), siphash(key, tried))
        found += tried[indices >= beyond].tolist()
    return np.array(found[:count], np.uint64)


def test_items_that_were_ground_have_no_effect_under_another_key() -> None:
    chance = np.random.default_rng(11)
    common, ours, theirs = (chance.integers(0, MASK, size, dtype=np.uint64) for size in (500, 50, 50))
    evil = ground(KEY, 10, 500, chance)
    spoilt = np.concatenate([common, theirs, evil])
    here = np.concatenate([common, ours])
    known = symbols_needed(here, spoilt, KEY)
    unknown = [symbols_needed(here, spoilt, chance.bytes(16)) for _ in range(9)]
    # The attack works on who lets the key be known, or there would be nothing to prevent.
    assert known > 500
    assert sorted(unknown)[4] < 1.6 * 110
    assert max(unknown) < 250


@settings(max_examples=40, deadline=None)
@given(sets, st.integers(0, 2**32), st.integers(1, 64))
def test_invented_symbols_end_and_find_only_what_their_checks_say(
    own: frozenset[int], seed: int, count: int
) -> None:
    chance = random.Random(seed)
    decoder = Decoder(KEY, [words(own)], [chance.randrange(100)])
    for _ in range(4):
        decoder.add(Symbols.from_bytes(chance.randbytes(count * SYMBOL_BYTES)), np.array([count]))
    assert not decoder.complete()[0]
    assert decoder.estimates()[0] >= 0
    there, here = decoder.differences()
    assert len(there[0]) + len(here[0]) <= 1


def test_symbols_made_to_go_round_for_ever_do_not() -> None:
    # Each symbol holds, so it says, one true item, which does not take part in it.
    values = np.arange(1, 400, dtype=np.uint64)
    checks = siphash(KEY, values)
    symbols = Symbols(values, checks, np.full(len(values), 1, np.uint8))
    decoder = Decoder(KEY, [np.empty(0, np.uint64)], [1])
    decoder.add(symbols, np.array([len(values)]))
    assert not decoder.complete()[0]
    assert len(decoder.differences()[0][0]) <= len(values) * MOST_PEELINGS


def test_no_set_has_symbols_without_end() -> None:
    encoder = Encoder(KEY, [words({1, 2, 3})])
    encoder.take(np.array([MOST_SYMBOLS]))
    with pytest.raises(ValueError, match="symbols"):
        encoder.take(np.array([1]))


@given(st.integers(1, MOST_SYMBOLS), st.floats(0, 2e6), st.integers(0, 2**20), st.integers(0, 100))
def test_what_is_asked_for_never_costs_more_than_the_list(
    made: int, differences: float, total: int, asks: int
) -> None:
    count = next_symbols(made, differences, total, asks)
    assert count >= 0
    if count:
        assert count * SYMBOL_BYTES < total * 8
        assert made + count <= MOST_SYMBOLS
