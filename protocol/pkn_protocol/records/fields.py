"""Reading the fields of a decoded map: each taken once, typed, bounded; the rest stays as unknown."""

from __future__ import annotations

from collections.abc import Mapping

from pkn_protocol.records.cbor import Link, Value
from pkn_protocol.records.ids import Cid, is_record_cid


class RecordError(ValueError):
    """A block that is no valid record; `code` is stable, the text says what was wrong."""

    code = "bad-record"


class BadField(RecordError):
    """A field is missing, of a wrong type, or beyond its limit."""

    code = "bad-field"


class TooNew(RecordError):
    """A record of a later format version."""

    code = "too-new"


class BadSignature(RecordError):
    """The signature is not a strict Ed25519 signature of the record by the key in `by`."""

    code = "bad-signature"


class Fields:
    """The fields of one map; every `take` removes the field, `rest` is what nobody took."""

    def __init__(self, value: Value) -> None:
        # Asked of the exact type first: of an abstract one it takes ten times as long.
        if type(value) is not dict and not isinstance(value, Mapping):
            raise BadField("not a map")
        self._fields = dict(value)

    @property
    def rest(self) -> dict[str, Value]:
        return self._fields

    def take(self, name: str) -> Value | None:
        return self._fields.pop(name, None)

    def optional_text(self, name: str, most: int, *, least: int = 1) -> str | None:
        value = self._fields.pop(name, None)
        return None if value is None else checked_text(value, name, most, least)

    def text(self, name: str, most: int, *, least: int = 1) -> str:
        return checked_text(self._fields.pop(name, None), name, most, least)

    def optional_bytes(self, name: str, least: int, most: int) -> bytes | None:
        value = self._fields.pop(name, None)
        return None if value is None else checked_bytes(value, name, least, most)

    def bytes(self, name: str, least: int, most: int | None = None) -> bytes:
        return checked_bytes(self._fields.pop(name, None), name, least, least if most is None else most)

    def optional_integer(self, name: str, least: int, most: int) -> int | None:
        value = self._fields.pop(name, None)
        return None if value is None else checked_integer(value, name, least, most)

    def integer(self, name: str, least: int, most: int) -> int:
        return checked_integer(self._fields.pop(name, None), name, least, most)

    def flag(self, name: str) -> bool:
        value = self._fields.pop(name, None)
        if not isinstance(value, bool):
            raise BadField(f"{name}: true or false is expected")
        return value

    def optional_record(self, name: str) -> Cid | None:
        value = self._fields.pop(name, None)
        return None if value is None else checked_record(value, name)

    def record(self, name: str) -> Cid:
        return checked_record(self._fields.pop(name, None), name)

    def records(self, name: str, most: int) -> tuple[Cid, ...]:
        """Distinct links; an absent field is none, an empty list has another encoding and is refused."""
        if name not in self._fields:
            return ()
        return tuple(checked_record(part, name) for part in self._distinct(name, most))

    def texts(self, name: str, most: int, most_bytes: int) -> tuple[str, ...]:
        if name not in self._fields:
            return ()
        return tuple(checked_text(part, name, most_bytes, 1) for part in self._distinct(name, most))

    def _distinct(self, name: str, most: int) -> list[Value]:
        value = self._fields.pop(name, None)
        if value is None:
            return []
        parts = checked_list(value, name, 1, most)
        if len(set(map(_hashable, parts))) != len(parts):
            raise BadField(f"{name}: the same value twice")
        return parts


def _hashable(value: Value) -> object:
    if isinstance(value, str | bytes | Link):
        return value
    raise BadField("a list of texts or links is expected")


def checked_text(value: Value | None, name: str, most: int, least: int) -> str:
    if not isinstance(value, str):
        raise BadField(f"{name}: text is expected")
    length = len(value) if value.isascii() else len(value.encode("utf-8"))
    if not least <= length <= most:
        raise BadField(f"{name}: {length} bytes of text; {least} to {most} are allowed")
    return value


def checked_bytes(value: Value | None, name: str, least: int, most: int) -> bytes:
    if not isinstance(value, bytes):
        raise BadField(f"{name}: bytes are expected")
    if not least <= len(value) <= most:
        raise BadField(f"{name}: {len(value)} bytes; {least} to {most} are allowed")
    return value


def checked_integer(value: Value | None, name: str, least: int, most: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise BadField(f"{name}: a whole number is expected")
    if not least <= value <= most:
        raise BadField(f"{name}: {value}; {least} to {most} are allowed")
    return value


def checked_list(value: Value | None, name: str, least: int, most: int) -> list[Value]:
    if not isinstance(value, list):
        raise BadField(f"{name}: a list is expected")
    if not least <= len(value) <= most:
        raise BadField(f"{name}: {len(value)} entries; {least} to {most} are allowed")
    return value


def checked_link(value: Value | None, name: str) -> Cid:
    if not isinstance(value, Link):
        raise BadField(f"{name}: a link is expected")
    return value.cid


def checked_record(value: Value | None, name: str) -> Cid:
    cid = checked_link(value, name)
    if not is_record_cid(cid):
        raise BadField(f"{name}: the id of a record is expected")
    return cid
