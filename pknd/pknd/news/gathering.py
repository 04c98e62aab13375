"""Looking at whatever comes, soon after it is on disk: is it news, and does it match a standing question?

It is done in the order of arrival and apart from the storing, which it does not hold up. What was not looked
at when the daemon ended is looked at when it starts.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from pkn_protocol.control.errors import ErrorCode
from pkn_protocol.control.news import WatchMatch
from pkn_protocol.records.ids import AuthorId, Cid
from pkn_protocol.records.model import Item
from pkn_protocol.search.filters import split_filters
from pkn_protocol.search.news import Arrival, Reason, reason_for
from pknd import log
from pknd.environment import Environment
from pknd.errors import DomainError
from pknd.items.summaries import Holders, fields_of, summary_of
from pknd.news.questions import Question, Questions
from pknd.people.view import PeopleView
from pknd.search.index import query_languages
from pknd.search.texts import Texts
from pknd.store.arrivals import Came, arrivals_after, forget_arrivals
from pknd.store.news import Found, put_news
from pknd.store.records import Filter, Held, get, get_row
from pknd.store.watches import SavedWatch, saved_watches

MOST_WATCHING = 64
"""Streams of matches at once; each costs a look at whatever comes, and a queue."""
MATCHES_WAITING = 256
"""Matches that wait for whoever reads them; what comes while there is no room is counted, not kept."""
_AT_ONCE = 500
_LOOKED_AT_KEPT = 1_000
"""Arrivals without news are forgotten by so many: a write for each would cost more than to look again."""


@dataclass(slots=True, eq=False)
class Watcher:
    """Somebody who reads matches as they come; `missed` counts those that found the queue full."""

    question: Question
    queue: asyncio.Queue[WatchMatch] = field(default_factory=lambda: asyncio.Queue(MATCHES_WAITING))
    missed: int = 0

    def tell(self, match: WatchMatch) -> None:
        try:
            self.queue.put_nowait(match)
        except asyncio.QueueFull:
            self.missed += 1


_Asked: TypeAlias = dict[int | Watcher, Question]
"""Standing questions: saved ones by their numbers, and those of whoever reads matches now."""


@dataclass(frozen=True, slots=True)
class _Looked:
    """What became of arrivals: up to which, the news among them, and what to tell whom."""

    upto: int
    count: int
    news: tuple[Found, ...]
    told: tuple[tuple[Watcher, WatchMatch], ...]


class Gatherer:
    """`may_know` says whether a question is for the user."""

    def __init__(
        self,
        env: Environment,
        *,
        view: Callable[[], PeopleView],
        holders: Callable[[], Holders],
        default_lang: Callable[[], str],
        may_know: Callable[[sqlite3.Connection, Held], bool],
    ) -> None:
        self._env = env
        self._view = view
        self._holders = holders
        self._default_lang = default_lang
        self._may_know = may_know
        self._texts = Texts(env.store.files)
        self._upto = 0
        self._forgotten = 0
        self._came = asyncio.Event()
        self._done = asyncio.Event()
        self._looking = asyncio.Lock()
        self._asked: tuple[_Asked, frozenset[str], Questions[int | Watcher]] | None = None
        self._watchers: set[Watcher] = set()
        self._followers: set[asyncio.Event] = set()

    async def run(self) -> None:
        """Look at arrivals; runs as long as the daemon."""
        self._env.store.arrivals.watch(self._wake)
        self._wake()
        while True:
            await self._came.wait()
            self._came.clear()
            while await self._look():
                pass
            if not self._came.is_set():
                self._done.set()

    async def caught_up(self, *, seconds: float) -> None:
        """Wait until all that came before was looked at, but not for ever."""
        try:
            async with asyncio.timeout(seconds):
                await self._done.wait()
        except TimeoutError:
            return

    async def add_watcher(self, watcher: Watcher) -> None:
        """Tell somebody of matches from now on: whatever is stored after this returns is looked at for them.

        Raises:
            DomainError: too many are told already.
        """
        # A look that is under way knows nothing of them.
        async with self._looking:
            if len(self._watchers) >= MOST_WATCHING:
                raise DomainError(
                    ErrorCode.TOO_MANY,
                    f"{MOST_WATCHING} are watching already",
                    "end one of them, or save the question: pkn watch WORDS --save NAME",
                )
            self._watchers.add(watcher)

    def remove_watcher(self, watcher: Watcher) -> None:
        self._watchers.discard(watcher)

    def add_follower(self, event: asyncio.Event) -> None:
        """Set an event whenever there is something new."""
        self._followers.add(event)

    def remove_follower(self, event: asyncio.Event) -> None:
        self._followers.discard(event)

    def _wake(self) -> None:
        self._came.set()
        self._done.clear()

    async def _look(self) -> bool:
        """Look at the next arrivals; whether there may be more."""
        async with self._looking:
            return await self._look_on()

    async def _look_on(self) -> bool:
        watchers = tuple(self._watchers)
        looked = await self._env.store.read(lambda db: self._looked(db, watchers))
        if looked.count == 0:
            return False
        if looked.news:
            await self._env.store.write(lambda db: put_news(db, looked.news, upto=looked.upto))
            self._forgotten = looked.upto
        elif looked.upto - self._forgotten >= _LOOKED_AT_KEPT:
            await self._env.store.write(lambda db: forget_arrivals(db, looked.upto))
            self._forgotten = looked.upto
        self._upto = looked.upto
        for watcher, match in looked.told:
            watcher.tell(match)
        if looked.news:
            for event in self._followers:
                event.set()
        return looked.count == _AT_ONCE

    def _looked(self, db: sqlite3.Connection, watchers: tuple[Watcher, ...]) -> _Looked:
        arrivals = arrivals_after(db, self._upto, limit=_AT_ONCE)
        view, holders = self._view(), self._holders()
        trusted, blocked = view.trusted, view.blocked
        questions = self._questions(db, watchers)
        news: list[Found] = []
        told: list[tuple[Watcher, WatchMatch]] = []
        for came in arrivals:
            if not came.shown or came.author in blocked:
                continue
            try:
                # A version that was replaced is not shown, but tells whether the newer one is a change.
                reason = self._reason(db, came, view, trusted)
                matching = self._matching(db, came, view, questions) if questions and came.head else {}
            except (sqlite3.Error, OSError):
                raise
            except Exception as error:
                # Whatever is the matter with one, those behind it are looked at.
                log.failure("news.not_looked_at", error, arrival=came.seq)
                continue
            saved = tuple(key for key in matching if isinstance(key, int))
            if reason is not None or saved:
                news.append(Found(came.seq, came.rowid, reason, saved))
            for key, confirmed in matching.items():
                if isinstance(key, Watcher) and (held := get_row(db, came.rowid)) is not None:
                    told.append((key, _match(db, held, view, holders, confirmed=confirmed)))
        upto = arrivals[-1].seq if arrivals else self._upto
        return _Looked(upto, len(arrivals), tuple(news), tuple(told))

    def _questions(self, db: sqlite3.Connection, watchers: tuple[Watcher, ...]) -> Questions[int | Watcher]:
        """All that are asked now; read anew only where they or the languages of what is held have changed."""
        asked: _Asked = {w.number: _question(w) for w in saved_watches(db)}
        asked.update({watcher: watcher.question for watcher in watchers})
        langs = frozenset(query_languages(db, self._default_lang()) if asked else ())
        if self._asked is None or self._asked[:2] != (asked, langs):
            self._asked = asked, langs, Questions(asked, langs)
        return self._asked[2]

    def _matching(
        self, db: sqlite3.Connection, came: Came, view: PeopleView, questions: Questions[int | Watcher]
    ) -> dict[int | Watcher, bool]:
        held, now = get_row(db, came.rowid), self._env.now()
        if held is None:
            return {}
        return questions.matching(
            db,
            came.seq,
            held,
            # What is kept is shown when its time has come.
            now=lambda key: max(now, came.time) if isinstance(key, int) else now,
            doubted=came.author in view.doubted,
            text_of=self._text_of,
        )

    def _text_of(self, db: sqlite3.Connection, held: Held) -> str | None:
        try:
            return self._texts.of(db, held)
        except OSError as error:
            # One file that cannot be read must not keep everything behind it from being looked at.
            log.failure("news.unreadable", error, record=held.rowid)
            return None

    def _reason(
        self, db: sqlite3.Connection, came: Came, view: PeopleView, trusted: frozenset[AuthorId]
    ) -> Reason | None:
        near = came.author in view.distances
        arrival = Arrival(
            own=came.author == view.me,
            trusted=came.author in trusted,
            near=near,
            comment=came.kind == "comment",
            cutting=near and came.derived and _is_cutting_of_mine(db, came, view.me),
            question=came.kind == "question",
            later=came.later,
            took_part=came.later and _took_part(db, came.item, view.me),
        )

        def may_know() -> bool:
            held = get_row(db, came.rowid)
            return held is not None and self._may_know(db, held)

        return reason_for(arrival, may_know)


def _question(saved: SavedWatch) -> Question:
    words, _ = split_filters(saved.query)
    return Question(words, Filter(saved.tags, saved.author, saved.kind, saved.since), saved.after)


def _is_cutting_of_mine(db: sqlite3.Connection, came: Came, me: AuthorId) -> bool:
    held = get_row(db, came.rowid)
    item = None if held is None else held.record.body
    if not isinstance(item, Item) or item.derived_from is None:
        return False
    # The item is named by its first version, or by the one that was read.
    origin = get(db, item.derived_from)
    return _took_part(db, item.derived_from if origin is None else origin.record.item_id, me)


def _took_part(db: sqlite3.Connection, item: Cid, me: AuthorId) -> bool:
    row = db.execute(
        "SELECT 1 FROM record WHERE item = ? AND author = ? AND kind <> 'retraction' LIMIT 1",
        (item, me),
    ).fetchone()
    return row is not None


def _match(
    db: sqlite3.Connection, held: Held, view: PeopleView, holders: Holders, *, confirmed: bool
) -> WatchMatch:
    return WatchMatch(**fields_of(summary_of(db, held, view, holders)), confirmed=confirmed)
