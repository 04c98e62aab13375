"""Shapes to JSON and back."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pkn_protocol.control import errors, items, people, query, status, stream, summaries, work
from pkn_protocol.control.codec import BadShape, from_json, to_json

MODULES = (errors, items, people, query, status, summaries, work)
SHAPES = sorted(
    {
        value
        for module in MODULES
        for value in vars(module).values()
        if isinstance(value, type) and dataclasses.is_dataclass(value)
    },
    key=lambda shape: shape.__name__,
)


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True, slots=True)
class Inner:
    size: int


@dataclass(frozen=True, slots=True)
class Outer:
    name: str
    colour: Colour
    inner: Inner | None
    many: tuple[Inner, ...] = ()
    weights: Mapping[str, float] | None = None
    on: bool = False


WHOLE = {
    "name": "n",
    "colour": "red",
    "inner": {"size": 1},
    "many": [{"size": 2}],
    "weights": {"a": 0.5},
    "on": True,
}


def test_every_field_is_written_and_read_back() -> None:
    shape = Outer("n", Colour.RED, Inner(1), (Inner(2),), {"a": 0.5}, True)
    assert to_json(shape) == WHOLE
    assert from_json(Outer, WHOLE, strict=True) == shape


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"name": None}, "name must be text"),
        ({"name": 1}, "name must be text"),
        ({"on": 1}, "on must be true or false"),
        ({"inner": {"size": True}}, "inner.size must be a whole number"),
        ({"inner": {"size": 1.5}}, "inner.size must be a whole number"),
        ({"inner": {}}, "inner.size is missing"),
        ({"inner": []}, "inner must be a JSON object"),
        ({"many": {}}, "many must be a list"),
        ({"many": [{"size": 1}, 2]}, r"many\[1\] must be a JSON object"),
        ({"weights": {"a": "x"}}, "weights.a must be a number"),
        ({"weights": []}, "weights must be a JSON object"),
        ({"colour": "green"}, "colour must be one of red, blue"),
        ({"inner": {"size": 1, "sise": 1}}, "unknown key 'inner.sise'"),
    ],
)
def test_a_wrong_field_is_named(changed: dict[str, Any], named: str) -> None:
    with pytest.raises(BadShape, match=named):
        from_json(Outer, WHOLE | changed, strict=True)


def test_readers_of_replies_skip_keys_that_they_do_not_know() -> None:
    assert from_json(Inner, {"size": 1, "new": []}) == Inner(1)


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_survives_json(shape: type) -> None:
    @given(st.builds(shape))
    def survives(value: object) -> None:
        text = json.dumps(to_json(value))
        assert to_json(from_json(shape, json.loads(text), strict=True)) == json.loads(text)

    survives()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(list(WHOLE)), inner),
    max_leaves=10,
)


@given(json_values)
def test_any_json_is_a_shape_or_a_bad_shape(value: object) -> None:
    try:
        from_json(Outer, value)
    except BadShape as error:
        assert str(error)


def test_every_error_code_has_a_status_and_unknown_ones_are_the_clients() -> None:
    assert set(errors.HTTP_STATUS) == set(errors.ErrorCode)
    assert errors.http_status("file-vanished") == 400


def test_every_event_says_under_which_key_its_shape_is() -> None:
    assert set(stream.STREAM_KEY) == set(stream.StreamEvent) - {stream.StreamEvent.WATCHING}
