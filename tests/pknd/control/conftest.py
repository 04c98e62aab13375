"""A real server on a real Unix socket; services that do only what a test asks of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import aiohttp
import pytest

from pkn_protocol.control.items import FetchSummary, Published, PublishRequest
from pkn_protocol.control.news import News, Seen, Watch, WatchMatch, WatchRequest
from pkn_protocol.control.people import ConnectRequest, Peer, Person, Trust
from pkn_protocol.control.query import QueryRequest, QueryResult
from pkn_protocol.control.status import LogLevel, Status
from pkn_protocol.control.summaries import ItemList, ListFilter
from pkn_protocol.control.work import ImportRequest, ImportSummary, Progress
from pknd import log
from pknd.config_file import ConfigFile
from pknd.control.server import serving
from pknd.control.services import PayloadContent, QueryUpdate, Services
from pknd.errors import DomainError
from pknd.home import Home, open_home


@dataclass
class Script:
    """What the services answer, and what they were asked."""

    asked: list[Any] = field(default_factory=list)
    raises: Exception | None = None
    raises_after: int = 0
    steps: int = 3
    held: asyncio.Event | None = None
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    finished: asyncio.Event = field(default_factory=asyncio.Event)
    stopped: asyncio.Event = field(default_factory=asyncio.Event)
    content: tuple[bytes, ...] = (b"abc", b"de")
    content_size: int = 5
    media_type: str = "text/plain"

    async def pause(self) -> None:
        """Where a test holds the work up, until it lets go or the work is cancelled."""
        self.begun.set()
        try:
            if self.held is not None:
                await self.held.wait()
            self.finished.set()
        finally:
            self.ended.set()

    def fail_at(self, step: int) -> None:
        if self.raises is not None and step >= self.raises_after:
            raise self.raises


class ScriptedServices:
    """Those methods of the services that the tests call, in one object."""

    def __init__(self, script: Script) -> None:
        self._script = script

    async def status(self) -> Status:
        return Status(
            id="did:key:z6Mk",
            name="Ada",
            device="00" * 32,
            home="/home",
            version="1",
            uptime_s=1.5,
            records=1,
            items=2,
            authors=3,
            peers_online=0,
            listen=("127.0.0.1:1",),
            author_secret_on_disk=True,
            own_bytes=1,
            held_bytes=2,
            max_disk_bytes=3,
            pid=4,
        )

    def stop(self) -> None:
        self._script.stopped.set()

    async def publish(self, request: PublishRequest) -> Published:
        self._script.asked.append(request)
        self._script.fail_at(0)
        await self._script.pause()
        return Published("bafy", "note", request.title or "", 1, 2, "trusted", "bafy")

    async def listed(self, wanted: ListFilter) -> ItemList:
        self._script.asked.append(wanted)
        return ItemList(())

    async def payload(
        self, ref: str, *, timeout_s: float, first: int = 0, last: int | None = None
    ) -> PayloadContent:
        self._script.asked.append((ref, timeout_s))
        size = self._script.content_size
        return PayloadContent(
            self._script.media_type, size, "naïve\r\n.txt", self._chunks(), first, last or size
        )

    async def fetch(self, ref: str, *, timeout_s: float) -> AsyncGenerator[Progress | FetchSummary, None]:
        self._script.asked.append((ref, timeout_s))
        yield Progress(1, 5, "notes")
        yield FetchSummary(True, 5, 5)

    async def _chunks(self) -> AsyncGenerator[bytes, None]:
        for step, chunk in enumerate(self._script.content):
            self._script.fail_at(step)
            yield chunk

    async def import_paths(self, request: ImportRequest) -> AsyncGenerator[Progress | ImportSummary, None]:
        self._script.asked.append(request)
        for step in range(self._script.steps):
            self._script.fail_at(step)
            yield Progress(step, self._script.steps, "a\udcff.md")
            # As services do: a task group across the yields.
            async with asyncio.TaskGroup() as group:
                group.create_task(self._script.pause())
        yield ImportSummary(self._script.steps, 0, (), {"trusted": self._script.steps})

    async def query(self, request: QueryRequest) -> AsyncGenerator[QueryUpdate, None]:
        self._script.asked.append(request)
        self._script.fail_at(0)
        yield QueryUpdate(QueryResult(request.query, False, 1, 1, 0, 0.5, ()), final=False)
        await self._script.pause()
        yield QueryUpdate(QueryResult(request.query, True, 1, 1, 1, 2.5, ()), final=True)

    async def news(self, *, limit: int, bundled: bool) -> News:
        self._script.asked.append(("news", limit, bundled))
        return News((), 0, 0, 0)

    async def follow(self, *, limit: int, bundled: bool) -> AsyncGenerator[News, None]:
        self._script.asked.append(("follow", limit, bundled))
        try:
            yield News((), 0, 0, 0)
            await self._script.pause()
            yield News((), 0, 0, 9)
        finally:
            self._script.ended.set()

    async def seen(self, upto: int) -> Seen:
        self._script.asked.append(upto)
        return Seen(0, 1)

    async def watch(self, request: WatchRequest) -> AsyncGenerator[WatchMatch | int | None, None]:
        self._script.asked.append(request)
        self._script.fail_at(0)
        yield None
        yield 3

    async def save(self, name: str, request: WatchRequest) -> Watch:
        self._script.asked.append((name, request))
        return Watch(name, request.query, (), None, None, None, None, 1, 0)

    async def remove(self, name: str) -> Watch:
        self._script.asked.append(name)
        raise DomainError("no-such-watch", f"there is no saved question {name}", "pkn watch list")

    async def connect(self, request: ConnectRequest) -> Peer:
        await self._script.pause()
        raise DomainError("unreachable", "nobody there", "try later")

    async def trust(self, ref: str, *, petname: str | None) -> Person:
        self._script.asked.append((ref, petname))
        return Person("did:key:z6Mk", "Bea", petname, Trust.TRUSTED, 1, "a b c", 0, 1, False, None, False)


@dataclass(frozen=True)
class Server:
    home: Home
    script: Script
    client: aiohttp.ClientSession

    async def call(self, method: str, path: str, **more: Any) -> tuple[int, Any]:
        async with self.client.request(method, f"http://pkn{path}", **more) as answer:
            return answer.status, await answer.json(content_type="application/json")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return open_home(tmp_path / "home")


@pytest.fixture
def script() -> Script:
    return Script()


@pytest.fixture
def services(script: Script, home: Home) -> Services:
    every = cast(Any, ScriptedServices(script))
    return Services(
        status=every,
        identity=cast(Any, SimpleNamespace()),
        items=every,
        work=every,
        query=every,
        discovering=every,
        news=every,
        people=every,
        peers=every,
        config=ConfigFile(home.config, {}),
        log=log.LogHistory(),
        lifecycle=every,
    )


@pytest.fixture
async def server(home: Home, script: Script, services: Services) -> AsyncIterator[Server]:
    log.configure(LogLevel.INFO)
    async with (
        serving(home, services) as path,
        aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(path))) as client,
    ):
        yield Server(home, script, client)
