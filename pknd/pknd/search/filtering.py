"""The filters of a query, from options and from words such as `tag:physics`: all must hold."""

from __future__ import annotations

import sqlite3
from datetime import datetime
from unicodedata import category

from pkn_protocol.control.errors import ErrorCode
from pkn_protocol.control.kinds import Kind
from pkn_protocol.control.moments import moment_of
from pkn_protocol.control.query import QueryRequest
from pkn_protocol.search.filters import TypedFilters
from pknd.capture.tags import clean_tags
from pknd.errors import DomainError
from pknd.people.references import find_person
from pknd.people.view import PeopleView
from pknd.store.records import Filter


def wanted_by(
    db: sqlite3.Connection, view: PeopleView, request: QueryRequest, typed: TypedFilters, now: int
) -> Filter:
    """What a request and its words ask for; `now` in ms.

    Raises:
        DomainError: somebody or something that is not known, or two that exclude each other.
    """
    for typed_text in (request.author, typed.author, *request.tags, *typed.tags):
        if typed_text is not None and not _can_be_stored(typed_text):
            raise DomainError(
                ErrorCode.BAD_QUERY,
                f"{typed_text[:80]!r} cannot be anybody's name or a tag",
                "leave that filter out; as in: pkn query layer tag:physics",
            )
    authors = {find_person(db, view, one) for one in (request.author, typed.author) if one is not None}
    kinds = {str(one) for one in (request.kind, typed.kind) if one is not None}
    times = [one for one in (request.since, _moment(typed.since, now)) if one is not None]
    if len(authors) > 1 or len(kinds) > 1:
        raise DomainError(
            ErrorCode.BAD_QUERY, "an item has only one author and one kind", "leave out all but one"
        )
    if kinds - set(Kind):
        raise DomainError(
            ErrorCode.BAD_QUERY, f"there is no kind {min(kinds)!r}", f"kinds are {', '.join(Kind)}"
        )
    return Filter(
        clean_tags((*request.tags, *typed.tags)),
        next(iter(authors), None),
        next(iter(kinds), None),
        max(times, default=None),
        None,
        now,
    )


def _can_be_stored(text: str) -> bool:
    """Whether a filter's value is text: no control characters, no halves of a surrogate pair."""
    return all(category(char) not in ("Cc", "Cs") for char in text)


def _moment(text: str | None, now: int) -> int | None:
    if text is None:
        return None
    try:
        return moment_of(text, datetime.fromtimestamp(now / 1000).astimezone())
    except ValueError as error:
        raise DomainError(ErrorCode.BAD_QUERY, f"since: {error}") from error
