"""Standing questions: what was asked, read as a query is, and which of them an item matches."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Hashable, Mapping
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from pkn_protocol.control.errors import ErrorCode
from pkn_protocol.control.news import WatchRequest
from pkn_protocol.control.query import QueryRequest
from pkn_protocol.records.model import Item
from pkn_protocol.search.documents import terms_of, without_sketch
from pkn_protocol.search.filters import split_filters
from pkn_protocol.search.query import BadQuery, EmptyQuery, Query, parse_query
from pkn_protocol.search.standing import StandingQueries
from pknd.errors import DomainError
from pknd.people.view import PeopleView
from pknd.search.admission import admits
from pknd.search.filtering import wanted_by
from pknd.search.local import phrase_verdict
from pknd.search.texts import TextOf
from pknd.store.records import Filter, Held

K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Question:
    """`words` without filters, `wanted` the filters; `after`: the last arrival that it does not look at."""

    words: str
    wanted: Filter
    after: int


def read_question(
    db: sqlite3.Connection, view: PeopleView, request: WatchRequest, *, langs: Collection[str], now: int
) -> tuple[str, Filter]:
    """The words and the filters of a request; `now` in ms.

    Raises:
        DomainError: it cannot be read, or asks for everything.
    """
    asked = QueryRequest(request.query, request.tags, request.author, request.kind, request.since)
    try:
        words, typed = split_filters(request.query)
        wanted = wanted_by(db, view, asked, typed, now)
        if words or wanted == Filter(now=now):
            parse_query(words, langs)
    except EmptyQuery as error:
        message = "only words to leave out: type at least one to look for" if words else str(error)
        raise DomainError(ErrorCode.BAD_QUERY, message, "as in: pkn watch boundary layer -review") from error
    except BadQuery as error:
        raise DomainError(ErrorCode.BAD_QUERY, str(error), "as in: pkn watch boundary layer") from error
    return words, wanted


class Questions(Generic[K]):
    """Questions ready to be compared with items; `langs` are the languages of what is held."""

    def __init__(self, questions: Mapping[K, Question], langs: Collection[str]) -> None:
        self._questions = dict(questions)
        # Read before; a later program may have saved what this one cannot read.
        read = {key: _parsed(one.words, langs) for key, one in self._questions.items()}
        self._queries = {key: query for key, query in read.items() if not isinstance(query, BadQuery)}
        self._standing = StandingQueries(self._queries)

    def __bool__(self) -> bool:
        return bool(self._queries)

    def matching(
        self,
        db: sqlite3.Connection,
        seq: int,
        held: Held,
        *,
        now: Callable[[K], int],
        doubted: bool,
        text_of: TextOf,
    ) -> dict[K, bool]:
        """The questions that an arrival matches, and whether all their phrases were seen in its text; `now`
        says as of which instant each looks."""
        record = held.record
        item = record.body
        if not isinstance(item, Item):
            return {}
        found: dict[K, bool] = {}
        text: str | None = None
        read = False
        for key in self._standing.matching(
            terms_of(without_sketch(record) if doubted else record), item.lang or ""
        ):
            question, query = self._questions[key], self._queries[key]
            if seq <= question.after or not admits(replace(question.wanted, now=now(key)), record):
                continue
            if query is None or not (query.phrases or query.excluded_phrases):
                found[key] = True
                continue
            if not read:
                text, read = text_of(db, held), True
            verdict = phrase_verdict(item, text, query)
            if verdict is not False:
                found[key] = verdict is True
        return found


def _parsed(words: str, langs: Collection[str]) -> Query | BadQuery | None:
    try:
        return parse_query(words, langs) if words else None
    except BadQuery as error:
        return error
