"""Filters typed into a query: `tag:`, `author:`, `kind:`, `since:` (SPEC, Search, The query as typed)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pkn_protocol.search.query import BadQuery

_FILTER = re.compile(r'(?<!\S)(tag|author|kind|since):(?:"([^"]*)"|(\S+))(?!\S)')
_QUOTED = re.compile(r'"[^"]*"')


class BadFilter(BadQuery):
    """A filter that says two things at once."""


@dataclass(frozen=True, slots=True)
class TypedFilters:
    """What was typed, not yet looked up: a person's reference, a kind's name, a date or a time back."""

    tags: tuple[str, ...] = ()
    author: str | None = None
    kind: str | None = None
    since: str | None = None


def split_filters(text: str) -> tuple[str, TypedFilters]:
    """A query without its filters, and the filters; what stands in double quotes is no filter.

    Raises:
        BadFilter: two authors, kinds or times, of which an item has only one.
    """
    quoted = [match.span() for match in _QUOTED.finditer(text)]
    found: dict[str, list[str]] = {"tag": [], "author": [], "kind": [], "since": []}
    kept: list[str] = []
    end = 0
    for match in _FILTER.finditer(text):
        if any(start < match.start() < stop for start, stop in quoted):
            continue
        kept.append(text[end : match.start()])
        end = match.end()
        found[match[1]].append(match[2] if match[2] is not None else match[3])
    for name in ("author", "kind", "since"):
        if len(set(found[name])) > 1:
            raise BadFilter(f"an item has only one {name}: leave out all but one {name}:")
    rest = " ".join("".join([*kept, text[end:]]).split())
    one = {name: values[0] if values else None for name, values in found.items() if name != "tag"}
    return rest, TypedFilters(tuple(dict.fromkeys(found["tag"])), one["author"], one["kind"], one["since"])
