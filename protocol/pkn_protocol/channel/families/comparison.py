"""Messages of a comparison (SPEC, Reconciliation)."""

from __future__ import annotations

from collections.abc import Mapping

from pkn_protocol.channel import messages as m
from pkn_protocol.channel.families.table import (
    COUNT,
    HASH_BYTES,
    KIB,
    LARGEST_MESSAGE,
    Row,
    Stage,
    Table,
    flag,
    listed,
    scope,
)
from pkn_protocol.records.cbor import Value
from pkn_protocol.records.fields import BadField, Fields, checked_bytes, checked_integer, checked_list
from pkn_protocol.records.limits import TIME_MOST

_PERIOD_MOST = 2**32
_GROUP_MOST = 2**20
_UNIT_BYTES: Mapping[m.Form, int] = {
    m.Form.CODE: 17,
    m.Form.SHORT: 8,
    m.Form.WHOLE: 32,
    m.Form.PRINT: 16,
}


def _form(value: Value | None) -> m.Form:
    return m.Form(checked_integer(value, "form", 0, max(m.Form)))


def _data(form: m.Form, value: Value | None) -> bytes:
    """Whole units of the form."""
    data = checked_bytes(value, "data", 0, m.MOST_DATA_BYTES)
    if len(data) % _UNIT_BYTES[form]:
        raise BadField(f"data: {len(data)} bytes are no multiple of {_UNIT_BYTES[form]}")
    return data


def _hash(value: Value) -> bytes:
    return checked_bytes(value, "author", HASH_BYTES, HASH_BYTES)


def _number(fields: Fields) -> int:
    return fields.integer("n", 1, COUNT)


def _period(value: Value) -> int:
    return checked_integer(value, "period", 0, _PERIOD_MOST)


def _rows(fields: Fields) -> m.Rows:
    form = _form(fields.take("form"))
    return m.Rows(
        _number(fields),
        fields.integer("total", 0, COUNT),
        form,
        _data(form, fields.take("data")),
        flag(fields, "more"),
    )


def _group(value: Value) -> m.Group:
    parts = checked_list(value, "groups", 6, 6)
    form = _form(parts[4])
    return m.Group(
        scope(parts[0]),
        _hash(parts[1]),
        tuple(map(_period, checked_list(parts[2], "periods", 1, m.MOST_PERIODS))),
        checked_integer(parts[3], "total", 0, COUNT),
        form,
        _data(form, parts[5]),
    )


def _ask(value: Value) -> m.IdsAsk:
    group, form, count = checked_list(value, "asks", 3, 3)
    return m.IdsAsk(
        checked_integer(group, "group", 0, _GROUP_MOST),
        _form(form),
        checked_integer(count, "count", 0, COUNT),
    )


def _part(value: Value) -> m.Part:
    group, number, data = checked_list(value, "parts", 3, 3)
    form = _form(number)
    return m.Part(checked_integer(group, "group", 0, _GROUP_MOST), form, _data(form, data))


def _row_ids(value: Value) -> m.RowIds:
    parts = checked_list(value, "rows", 5, 5)
    form = _form(parts[3])
    return m.RowIds(scope(parts[0]), _hash(parts[1]), _period(parts[2]), form, _data(form, parts[4]))


def _without_empty(fields: dict[str, Value]) -> dict[str, Value]:
    """Lists and flags may be absent when they are empty or false."""
    return {name: value for name, value in fields.items() if value is not False and value != []}


def _write_parts(parts: tuple[m.Part, ...]) -> Value:
    return [[part.group, int(part.form), part.data] for part in parts]


COMPARISON: Table = (
    (
        "compare",
        Row(
            m.Compare,
            KIB,
            Stage.OPEN,
            lambda f: m.Compare(
                _number(f),
                f.integer("at", 0, TIME_MOST),
                f.integer("mine", 0, COUNT),
                f.integer("yours", 0, COUNT),
                f.bytes("root", m.ROOT_BYTES),
            ),
            lambda x: {"n": x.number, "at": x.at, "mine": x.mine, "yours": x.yours, "root": x.root},
        ),
    ),
    ("same", Row(m.Same, KIB, Stage.OPEN, lambda f: m.Same(_number(f)), lambda x: {"n": x.number})),
    ("stale", Row(m.Stale, KIB, Stage.OPEN, lambda f: m.Stale(_number(f)), lambda x: {"n": x.number})),
    (
        "rows",
        Row(
            m.Rows,
            LARGEST_MESSAGE,
            Stage.OPEN,
            _rows,
            lambda x: _without_empty(
                {
                    "n": x.number,
                    "total": x.total,
                    "form": int(x.form),
                    "data": x.data,
                    "more": x.more,
                }
            ),
        ),
    ),
    (
        "more_rows",
        Row(
            m.MoreRows,
            KIB,
            Stage.OPEN,
            lambda f: m.MoreRows(_number(f), f.integer("count", 0, COUNT)),
            lambda x: {"n": x.number, "count": x.count},
        ),
    ),
    (
        "groups",
        Row(
            m.Groups,
            LARGEST_MESSAGE,
            Stage.OPEN,
            lambda f: m.Groups(
                _number(f),
                f.bytes("rows", 0, m.MOST_DATA_BYTES),
                tuple(map(_group, listed(f, "groups", m.MOST_PARTS))),
                flag(f, "more"),
            ),
            lambda x: _without_empty(
                {
                    "n": x.number,
                    "rows": x.rows,
                    "groups": [
                        [g.scope, g.author, list(g.periods), g.total, int(g.form), g.data] for g in x.groups
                    ],
                    "more": x.more,
                }
            ),
        ),
    ),
    (
        "more_ids",
        Row(
            m.MoreIds,
            LARGEST_MESSAGE,
            Stage.OPEN,
            lambda f: m.MoreIds(
                _number(f), tuple(map(_ask, listed(f, "asks", m.MOST_PARTS))), flag(f, "more")
            ),
            lambda x: _without_empty(
                {
                    "n": x.number,
                    "asks": [[ask.group, int(ask.form), ask.count] for ask in x.asks],
                    "more": x.more,
                }
            ),
        ),
    ),
    (
        "parts",
        Row(
            m.Parts,
            LARGEST_MESSAGE,
            Stage.OPEN,
            lambda f: m.Parts(
                _number(f), tuple(map(_part, listed(f, "parts", m.MOST_PARTS))), flag(f, "more")
            ),
            lambda x: _without_empty({"n": x.number, "parts": _write_parts(x.parts), "more": x.more}),
        ),
    ),
    (
        "lacks",
        Row(
            m.Lacks,
            LARGEST_MESSAGE,
            Stage.OPEN,
            lambda f: m.Lacks(
                _number(f),
                tuple(map(_part, listed(f, "groups", m.MOST_PARTS))),
                tuple(map(_row_ids, listed(f, "rows", m.MOST_PARTS))),
                flag(f, "more"),
            ),
            lambda x: _without_empty(
                {
                    "n": x.number,
                    "groups": _write_parts(x.groups),
                    "rows": [[r.scope, r.author, r.period, int(r.form), r.data] for r in x.rows],
                    "more": x.more,
                }
            ),
        ),
    ),
)
