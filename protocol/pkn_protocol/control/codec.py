"""The control API's shapes to JSON values and back, strictly.

A shape is a frozen dataclass of `str`, `int`, `float`, `bool`, enums, other shapes, `X | None`,
`tuple[X, ...]` and `Mapping[str, X]`. Absent optional fields take their default; every field is written,
`None` as null, so that a reader never has to ask whether a key is there.
"""

from __future__ import annotations

import types
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from functools import cache
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

Json = str | int | float | bool | None | list["Json"] | dict[str, "Json"]
_Shape = TypeVar("_Shape")


class BadShape(ValueError):
    """A JSON value that is not of the shape asked for; the text names the field and what was expected."""


def to_json(shape: object) -> dict[str, Json]:
    """The JSON object of a shape.

    Raises:
        TypeError: `shape` is not a dataclass, or holds a value that has no JSON form.
    """
    value = _plain(shape)
    if not isinstance(value, dict):
        raise TypeError(f"{type(shape).__name__} is not a shape")
    return value


def from_json(shape: type[_Shape], value: object, *, strict: bool = False) -> _Shape:
    """The shape that a parsed JSON value stands for.

    `strict` refuses unknown keys: the daemon's way with requests, where a mistyped key must not pass in
    silence. Readers of replies leave it off, because keys may be added.

    Raises:
        BadShape: a field is missing, unknown (when strict) or of the wrong type.
    """
    built: _Shape = _build(shape, value, "", strict)
    return built


def _plain(value: object) -> Json:
    if isinstance(value, Enum):
        return _plain(value.value)
    if value is None or isinstance(value, str | int | float):
        return value
    if is_dataclass(value) and not isinstance(value, type):
        return {name: _plain(getattr(value, name)) for name in _names(type(value))}
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        return [_plain(entry) for entry in value]
    raise TypeError(f"{type(value).__name__} has no JSON form")


@cache
def _names(shape: type) -> tuple[str, ...]:
    return tuple(field.name for field in fields(shape))


@cache
def _layout(shape: type) -> dict[str, tuple[Any, bool]]:
    """For each field its type, and whether it must be given."""
    hints = get_type_hints(shape)
    return {
        field.name: (hints[field.name], field.default is MISSING and field.default_factory is MISSING)
        for field in fields(shape)
    }


def _build(shape: Any, value: object, where: str, strict: bool) -> Any:
    if not isinstance(value, dict):
        raise BadShape(f"{where or 'the body'} must be a JSON object")
    layout = _layout(shape)
    if strict:
        for key in value:
            if key not in layout:
                known = ", ".join(layout) or "nothing"
                raise BadShape(f"unknown key {_at(where, str(key))!r}; known are {known}")
    given: dict[str, Any] = {}
    for name, (hint, required) in layout.items():
        if name in value:
            given[name] = _field(hint, value[name], _at(where, name), strict)
        elif required:
            raise BadShape(f"{_at(where, name)} is missing")
    return shape(**given)


def _at(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name


def _field(hint: Any, value: object, where: str, strict: bool) -> Any:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        if value is None and types.NoneType in arguments:
            return None
        inner = [argument for argument in arguments if argument is not types.NoneType]
        if len(inner) != 1:
            raise TypeError(f"{where}: a shape's union has one type beside None")
        return _field(inner[0], value, where, strict)
    if origin is tuple:
        if not isinstance(value, list):
            raise BadShape(f"{where} must be a list")
        return tuple(
            _field(arguments[0], entry, f"{where}[{place}]", strict) for place, entry in enumerate(value)
        )
    if origin is not None and issubclass(origin, Mapping):
        if not isinstance(value, dict):
            raise BadShape(f"{where} must be a JSON object")
        return {
            str(key): _field(arguments[1], entry, _at(where, key), strict) for key, entry in value.items()
        }
    if is_dataclass(hint):
        return _build(hint, value, where, strict)
    return _scalar(hint, value, where)


def _scalar(hint: type, value: object, where: str) -> Any:
    if issubclass(hint, Enum):
        try:
            return hint(value)
        except ValueError:
            known = ", ".join(str(member.value) for member in hint)
            raise BadShape(f"{where} must be one of {known}") from None
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    # JSON's true is not a number, though Python's True is an int.
    if not isinstance(value, hint) or (isinstance(value, bool) and hint is not bool):
        raise BadShape(f"{where} must be {_SPOKEN[hint]}")
    return value


_SPOKEN: dict[type, str] = {
    str: "text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
}
