"""A reader with a real store whose arrivals are looked at, and people who write to it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from pkn_protocol.control.news import News
from pkn_protocol.records.codec import sign_record
from pkn_protocol.records.ids import AuthorId
from pkn_protocol.records.model import Body, Item, Record
from pkn_protocol.text.analysis import analyse
from pkn_protocol.text.sketch import make_sketch
from pknd.environment import Environment
from pknd.items.summaries import Holders
from pknd.news.gathering import Gatherer
from pknd.news.service import NewsService
from pknd.people.founding import founding_records
from pknd.people.keys import open_keys
from pknd.people.view import PeopleView, read_view
from pknd.search.discovering import Discovering
from pknd.store.batch import Arrival, ingest_many
from pknd.store.people import forget_opinion, set_opinion
from pknd.store.store import Store
from pknd.store.versions import set_near
from tests.pknd.store.conftest import anna, bruno, chiara
from tests.pknd.store.people import NOW, Person

__all__ = ["anna", "bruno", "chiara"]


class Reader:
    """Somebody's store with the services of news, and what they think of people."""

    def __init__(self, env: Environment) -> None:
        self.env = env
        self.now = NOW
        self.view = PeopleView(env.keys.author, {}, {}, {env.keys.author: 0}, {}, {}, {})
        self._running: asyncio.Task[None] | None = None
        self.restart()

    def restart(self) -> None:
        """As after a crash: whatever was not on disk is forgotten."""
        if self._running is not None:
            self._running.cancel()

        def holders() -> Holders:
            return Holders("", {})

        discovering = Discovering(
            self.env, view=lambda: self.view, holders=holders, default_lang=lambda: "en"
        )
        self.gatherer = Gatherer(
            self.env,
            view=lambda: self.view,
            holders=holders,
            default_lang=lambda: "en",
            may_know=discovering.may_know,
        )
        self.news = NewsService(
            self.env,
            self.gatherer,
            view=lambda: self.view,
            holders=holders,
            default_lang=lambda: "en",
        )
        self._running = None

    def look(self) -> None:
        """Let arrivals be looked at from now on."""
        self._running = asyncio.get_running_loop().create_task(self.gatherer.run())

    async def stop(self) -> None:
        if self._running is not None:
            self._running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._running

    async def takes(self, *records: Record) -> None:
        await self.env.store.write(
            lambda db: ingest_many(db, [Arrival(record) for record in records], now=self.now)
        )

    async def knows(self, *people: Person) -> None:
        await self.takes(*(person.device_record() for person in people))

    async def trusts(self, *people: Person, trust: str = "trusted") -> None:
        """Think so of people, and of nobody else."""

        def work(db: sqlite3.Connection) -> None:
            for author in list(self.view.opinions):
                forget_opinion(db, author)
            for person in people:
                set_opinion(db, person.author, trust, person.name, self.now)
            self.view = read_view(db, self.env.keys.author, max_disk=2**30)
            set_near(db, self.view.near)

        await self.env.store.write(work)

    def record(self, kind: str, body: Body, **fields: Any) -> Record:
        """A record of the reader's own."""
        keys = self.env.keys
        return sign_record(
            author=AuthorId(keys.author), key=keys.device_key, time=self.now, kind=kind, body=body, **fields
        )

    def item(self, title: str, *, kind: str = "note", **fields: Any) -> Record:
        sketch = make_sketch(analyse(title, "en"))
        return self.record(kind, Item(title, lang="en", sketch=sketch), **fields)

    async def told(self, *, limit: int = 100, bundled: bool = False) -> list[tuple[str, str]]:
        return told(await self.news.news(limit=limit, bundled=bundled))


def told(news: News) -> list[tuple[str, str]]:
    return [(line.reason.value, line.item.title) for line in news.lines]


def titles(found: Sequence[tuple[str, str]]) -> list[str]:
    return [title for _, title in found]


@pytest.fixture
async def reader(tmp_path: Path) -> AsyncIterator[Reader]:
    store = Store.open(tmp_path / "home")
    keys, _ = open_keys(tmp_path / "home" / "keys", random_bytes=os.urandom)
    env = Environment(tmp_path / "home", store, keys, lambda: found.now, lambda: 0.0, os.urandom)
    await store.write(lambda db: founding_records(db, Environment(**_at(env)), "Reader"))
    found = Reader(env)
    try:
        yield found
    finally:
        await found.stop()
        await store.close()


def _at(env: Environment) -> dict[str, Any]:
    fields = {name: getattr(env, name) for name in env.__slots__}
    return {**fields, "now": lambda: NOW}
