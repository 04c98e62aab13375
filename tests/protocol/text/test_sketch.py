"""Sketches: what goes in comes out, in one encoding, and nothing else is accepted."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pkn_protocol.text import sketch_making
from pkn_protocol.text.analysis import ANALYSER, analyse
from pkn_protocol.text.sketch import (
    CLASS_FREQUENCY,
    FIRST_STEMS,
    LEAST_COUNT,
    MOST_BYTES,
    MOST_STEMS,
    BadSketch,
    Sketch,
    agrees_with_text,
    decode_sketch,
    length_code,
    length_of_code,
    longest_of_code,
    make_sketch,
)
from pkn_protocol.text.sketches import FEWEST_TOGETHER, decode_sketches
from tests.protocol.text.reference import reference_sketch

STEMS = st.lists(
    st.integers(0, 2**24 - 1) | st.integers(0, 40) | st.integers(2**24 - 40, 2**24 - 1), max_size=300
)


@given(STEMS)
def test_a_sketch_has_the_bits_that_the_specification_says(stems: list[int]) -> None:
    assert make_sketch(stems) == reference_sketch(len(stems), Counter(stems))


@given(STEMS)
def test_what_went_in_comes_out(stems: list[int]) -> None:
    sketch = decode_sketch(make_sketch(stems))
    counts = Counter(stems)
    assert sketch.analyser == ANALYSER
    assert sketch.classes.keys() == counts.keys()
    for stem, kind in sketch.classes.items():
        assert LEAST_COUNT[kind] <= counts[stem]
        assert kind == 3 or counts[stem] < LEAST_COUNT[kind + 1]
    assert sketch.length <= len(stems) <= max(sketch.length, sketch.length * 17 // 16)


@given(STEMS, st.randoms(use_true_random=False))
def test_the_order_of_few_stems_does_not_matter(stems: list[int], random: object) -> None:
    assert make_sketch(sorted(stems)) == make_sketch(stems)


@given(STEMS.filter(bool), st.data())
def test_every_encoding_that_is_accepted_is_the_only_one(stems: list[int], data: st.DataObject) -> None:
    blob = bytearray(make_sketch(stems))
    for _ in range(data.draw(st.integers(1, 3))):
        blob[data.draw(st.integers(0, len(blob) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    blob = blob[: data.draw(st.sampled_from((len(blob), len(blob) - 1)))]
    try:
        sketch = decode_sketch(bytes(blob))
    except BadSketch:
        return
    assert _encoded_again(sketch) == blob


@given(st.binary(max_size=120) | st.binary(max_size=120).map(lambda rest: bytes((1, 9, 0, 5)) + rest))
def test_any_bytes_are_a_sketch_or_are_refused(blob: bytes) -> None:
    try:
        sketch = decode_sketch(blob)
    except BadSketch as error:
        assert str(error)
    else:
        assert _encoded_again(sketch) == blob


def _encoded_again(sketch: Sketch) -> bytes:
    return reference_sketch(sketch.length, {stem: LEAST_COUNT[kind] for stem, kind in sketch.classes.items()})


def test_the_size_is_below_three_bytes_a_stem() -> None:
    stems = [number * 2654435761 % 2**24 for number in range(MOST_STEMS)]
    assert 2.0 * 1024 < len(make_sketch(stems)) < 2.4 * 1024
    assert len(make_sketch(stems[:60])) < 2.9 * 60


def test_no_sketch_is_longer_than_the_limit() -> None:
    # As many unary bits as the gaps can have.
    stems = [*range(MOST_STEMS - 1), 2**24 - 1]
    assert len(make_sketch(stems)) <= MOST_BYTES
    with pytest.raises(BadSketch, match="at most"):
        decode_sketch(make_sketch(stems) + bytes(MOST_BYTES))


def test_a_long_text_keeps_its_first_stems_and_the_most_frequent_ones() -> None:
    title = list(range(FIRST_STEMS))
    once = list(range(1_000, 6_000))
    often = list(range(100_000, 100_900)) * 3
    sketch = decode_sketch(make_sketch(title + once + often))
    kept_once = MOST_STEMS - FIRST_STEMS - 900
    assert set(sketch.classes) == {*title, *often, *once[:kept_once]}
    assert sketch.length == length_of_code(length_code(len(title + once + often)))


def test_classes_count_as_frequencies_that_they_can_stand_for() -> None:
    for kind, frequency in enumerate(CLASS_FREQUENCY):
        assert frequency >= LEAST_COUNT[kind]
        assert kind == 3 or frequency < LEAST_COUNT[kind + 1]


@given(st.integers(0, 2**40))
def test_lengths_are_exact_for_short_texts_and_within_a_sixteenth_for_long_ones(length: int) -> None:
    code = length_code(length)
    assert 0 <= code <= 255
    assert length_of_code(code) <= length <= longest_of_code(code)
    if length <= 32:
        assert length_of_code(code) == length


def test_a_sketch_is_checked_against_its_text() -> None:
    title, text = "Sourdough", "Flour, water and salt.\nThe dough rises overnight."
    blob = make_sketch(analyse(title + "\n" + text, "en"))
    assert agrees_with_text(blob, title, text, "en-GB")
    assert not agrees_with_text(blob, title, text + " Gold!", "en")
    assert not agrees_with_text(blob, title, text, "de")
    assert not agrees_with_text(b"", title, text, "en")


def one_by_one(blobs: list[bytes]) -> list[Sketch | str]:
    found: list[Sketch | str] = []
    for blob in blobs:
        try:
            found.append(decode_sketch(blob))
        except BadSketch as error:
            found.append(str(error))
    return found


def together(blobs: list[bytes]) -> list[Sketch | str]:
    decoded = decode_sketches(blobs)
    classes: list[dict[int, int]] = [{} for _ in blobs]
    entries = decoded.entries
    columns = (entries.owners.tolist(), entries.stems.tolist(), entries.classes.tolist())
    for owner, stem, kind in zip(*columns, strict=True):
        assert stem not in classes[owner]
        classes[owner][stem] = kind
    return [
        str(length) if isinstance(length, BadSketch) else Sketch(ANALYSER, length, held)
        for length, held in zip(decoded.lengths, classes, strict=True)
        if not (isinstance(length, BadSketch) and held)
    ]


@given(st.lists(STEMS, min_size=FEWEST_TOGETHER, max_size=2 * FEWEST_TOGETHER), st.data())
def test_many_sketches_decoded_together_are_as_one_by_one(many: list[list[int]], data: st.DataObject) -> None:
    blobs = [bytearray(make_sketch(stems)) for stems in many]
    for blob in blobs[::3]:
        # A bit that is another, bytes that are lacking or too many: what it is refused for is the same too.
        match data.draw(st.integers(0, 3)):
            case 0:
                blob[data.draw(st.integers(0, len(blob) - 1))] ^= 1 << data.draw(st.integers(0, 7))
            case 1:
                del blob[data.draw(st.integers(0, len(blob) - 1)) :]
            case 2:
                blob += data.draw(st.binary(min_size=1, max_size=12))
            case _:
                blob[4:] = b"\xff" * (len(blob) - 4)
    given_blobs = [bytes(blob) for blob in blobs]
    found = together(given_blobs)
    assert found == one_by_one(given_blobs)
    assert [list(one.classes) for one in found if isinstance(one, Sketch)] == [
        list(one.classes) for one in one_by_one(given_blobs) if isinstance(one, Sketch)
    ]


def test_the_longest_sketches_and_empty_ones_among_many_are_read_too() -> None:
    many = (
        [make_sketch(list(range(0, 16 * MOST_STEMS, 16)))] * 2
        + [make_sketch([])]
        + [make_sketch([5, 5, 9])] * 60
    )
    assert together(many * 40) == one_by_one(many * 40)
    assert together([]) == []


@given(st.lists(STEMS, max_size=2 * sketch_making.FEWEST_TOGETHER))
def test_sketches_made_together_are_those_made_alone(texts: list[list[int]]) -> None:
    made = sketch_making.make_sketches(texts)
    assert [blob for _, blob in made] == [make_sketch(stems) for stems in texts]
    assert [sketch for sketch, _ in made] == [decode_sketch(blob) for _, blob in made]
    assert all(list(sketch.classes) == sorted(sketch.classes) for sketch, _ in made)


def test_texts_of_any_size_are_made_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sketch_making, "MOST_TOGETHER", 5000)
    stray = [[2**24 - 1], [0], [], list(range(0, 2**24, 2**24 // 40)), [2**24 - 1, *range(600)]]
    texts = [[*range(at, at + count)] for at, count in ((7, 3000), (0, 1024), (50, 1025), (9, 1))] + stray
    texts += [[5] * repeated for repeated in range(8)]
    assert [blob for _, blob in sketch_making.make_sketches(texts)] == [make_sketch(one) for one in texts]
