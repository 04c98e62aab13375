"""News and standing questions as the control API has them (SPEC, Search, News)."""

from __future__ import annotations

import asyncio
import sqlite3
from collections import Counter
from collections.abc import AsyncGenerator, Callable

from pkn_protocol.control.errors import ErrorCode
from pkn_protocol.control.news import (
    MOST_WATCHES,
    WATCH_NAME_CHARS,
    News,
    NewsLine,
    NewsReason,
    Seen,
    Watch,
    Watches,
    WatchMatch,
    WatchRequest,
)
from pkn_protocol.records import model
from pkn_protocol.records.ids import did_key
from pkn_protocol.search.news import BUNDLE_ABOVE, Reason, lines_of
from pknd.environment import Environment
from pknd.errors import DomainError
from pknd.items.detail import comment_of
from pknd.items.summaries import Holders, summary_of
from pknd.news.gathering import Gatherer, Watcher
from pknd.news.questions import Question, read_question
from pknd.people.view import PeopleView
from pknd.search.index import query_languages
from pknd.store.arrivals import last_arrival
from pknd.store.news import Unseen, count_unseen, last_look, mark_seen, unseen
from pknd.store.records import get_row, versions
from pknd.store.watches import SavedWatch, find_watch, remove_watch, save_watch, saved_watches

_PATIENCE_SECONDS = 2.0
"""So long news wait for what came just now to be looked at."""
_GATHER_SECONDS = 0.5
"""What comes together is told together: a first meeting brings its records in batches."""


class NewsService:
    def __init__(
        self,
        env: Environment,
        gatherer: Gatherer,
        *,
        view: Callable[[], PeopleView],
        holders: Callable[[], Holders],
        default_lang: Callable[[], str],
    ) -> None:
        self._env = env
        self._gatherer = gatherer
        self._view = view
        self._holders = holders
        self._default_lang = default_lang

    async def news(self, *, limit: int, bundled: bool) -> News:
        """What is news now; it stays so until it is marked as seen."""
        await self._gatherer.caught_up(seconds=_PATIENCE_SECONDS)
        return await self._told(limit, bundled, after=0)

    async def follow(self, *, limit: int, bundled: bool) -> AsyncGenerator[News, None]:
        """What is news now, even if that is nothing, and then whatever becomes news."""
        something = asyncio.Event()
        self._gatherer.add_follower(something)
        try:
            news = await self.news(limit=limit, bundled=bundled)
            yield news
            after = news.upto
            while True:
                if not news.left:
                    await something.wait()
                    something.clear()
                    await asyncio.sleep(_GATHER_SECONDS)
                news = await self._told(limit, bundled, after=after)
                if news.lines:
                    after = news.upto
                    yield news
        finally:
            self._gatherer.remove_follower(something)

    async def seen(self, upto: int) -> Seen:
        """News up to this number were looked at."""
        now = self._env.now()

        def work(db: sqlite3.Connection) -> Seen:
            mark_seen(db, upto=upto, now=now)
            return Seen(count_unseen(db, now=now), now)

        return await self._env.store.write(work)

    async def watches(self) -> Watches:
        """The saved questions."""
        view, now = self._view(), self._env.now()

        def work(db: sqlite3.Connection) -> Watches:
            new = _new_matches(db, now)
            return Watches(tuple(_watch(one, view, new[one.name]) for one in saved_watches(db)))

        return await self._env.store.read(work)

    async def save(self, name: str, request: WatchRequest) -> Watch:
        """Keep a question, and look for it in whatever comes from now on.

        Raises:
            DomainError: it cannot be read, the name is taken or none, or there are too many.
        """
        view, now, clean = self._view(), self._env.now(), _checked_name(name)

        def work(db: sqlite3.Connection) -> Watch:
            _, wanted = read_question(db, view, request, langs=self._langs(db), now=now)
            if find_watch(db, clean) is not None:
                raise DomainError(
                    ErrorCode.CONFLICT,
                    f"there is a saved question {clean} already",
                    f"choose another name, or take that one away: pkn watch remove {clean}",
                )
            if len(saved_watches(db)) >= MOST_WATCHES:
                raise DomainError(
                    ErrorCode.TOO_MANY,
                    f"{MOST_WATCHES} questions are saved, and there can be no more",
                    "pkn watch list shows them, and pkn watch remove NAME makes room",
                )
            save_watch(
                db,
                SavedWatch(
                    clean, request.query, wanted.tags, wanted.author, wanted.kind, wanted.since, made=now
                ),
            )
            saved = find_watch(db, clean)
            if saved is None:
                raise RuntimeError("a question was saved and is not there")
            return _watch(saved, view, 0)

        return await self._env.store.write(work)

    async def remove(self, name: str) -> Watch:
        """Forget a saved question.

        Raises:
            DomainError: there is none of that name.
        """
        view, now = self._view(), self._env.now()

        def work(db: sqlite3.Connection) -> Watch:
            found = find_watch(db, _one_line(name))
            if found is None:
                raise DomainError(
                    ErrorCode.NO_SUCH_WATCH, f"there is no saved question {name}", "pkn watch list shows them"
                )
            new = _new_matches(db, now)[found.name]
            remove_watch(db, found.name)
            return _watch(found, view, new)

        return await self._env.store.write(work)

    async def watch(self, request: WatchRequest) -> AsyncGenerator[WatchMatch | int | None, None]:
        """None once all that is stored from then on is looked at; then each match, and in place of those that
        nobody read in time their number.

        Raises:
            DomainError: the question cannot be read, or too many are watching.
        """
        view, now = self._view(), self._env.now()

        def read(db: sqlite3.Connection) -> Question:
            words, wanted = read_question(db, view, request, langs=self._langs(db), now=now)
            return Question(words, wanted, last_arrival(db))

        watcher = Watcher(await self._env.store.read(read))
        await self._gatherer.add_watcher(watcher)
        try:
            yield None
            while True:
                yield await watcher.queue.get()
                if watcher.missed and watcher.queue.empty():
                    missed, watcher.missed = watcher.missed, 0
                    yield missed
        finally:
            self._gatherer.remove_watcher(watcher)

    def _langs(self, db: sqlite3.Connection) -> set[str]:
        return query_languages(db, self._default_lang())

    async def _told(self, limit: int, bundled: bool, *, after: int) -> News:
        view, holders, now = self._view(), self._holders(), self._env.now()

        def work(db: sqlite3.Connection) -> News:
            found = unseen(db, now=now, after=after)
            told = lines_of(
                [one.piece for one in found], limit=limit, bundle_above=BUNDLE_ABOVE if bundled else None
            )
            by_seq = {one.piece.seq: one for one in found}
            lines = [_line(db, by_seq[t.newest.seq], t.count, view, holders) for t in told.lines]
            return News(tuple(lines), len(found), told.left, told.upto, last_look(db))

        return await self._env.store.read(work)


def _new_matches(db: sqlite3.Connection, now: int) -> Counter[str]:
    return Counter(name for one in unseen(db, now=now) for name in one.piece.watches)


def _line(db: sqlite3.Connection, one: Unseen, count: int, view: PeopleView, holders: Holders) -> NewsLine:
    held = get_row(db, one.rowid)
    comment = None
    if held is not None and isinstance(held.record.body, model.Comment):
        comment = comment_of(held.record, held.record.body, view)
        held = next((v for v in versions(db, held.record.item_id) if v.head and v.shown), None)
    if held is None:
        raise LookupError("news of a record that is not here")
    return NewsLine(
        NewsReason(one.piece.reason.value),
        summary_of(db, held, view, holders),
        count,
        one.changed,
        one.piece.watches if count == 1 or one.piece.reason is not Reason.MATCH else one.piece.watches[:1],
        comment,
    )


def _watch(saved: SavedWatch, view: PeopleView, new: int) -> Watch:
    return Watch(
        name=saved.name,
        query=saved.query,
        tags=saved.tags,
        author=None if saved.author is None else did_key(saved.author),
        author_name=None if saved.author is None else view.name(saved.author)[0],
        kind=saved.kind,
        since=saved.since,
        made=saved.made,
        new=new,
    )


def _one_line(name: str) -> str:
    return " ".join(name.split())


def _checked_name(name: str) -> str:
    clean = _one_line(name)
    if not clean or not clean.isprintable() or len(clean) > WATCH_NAME_CHARS or clean.startswith("-"):
        raise DomainError(
            ErrorCode.BAD_REQUEST,
            f"the name of a saved question is one line of 1 to {WATCH_NAME_CHARS} characters that "
            "begins with no hyphen",
            "choose a short name, as in: pkn watch boundary layer --save layers",
        )
    return clean
