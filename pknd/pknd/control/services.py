"""What the control API asks of the rest of the daemon.

All references come as the user typed them; services resolve them. A service refuses with `DomainError`; any
other exception is a fault, logged and answered with 500. Iterators are closed (`aclose`) when the client goes
away, and must end their work then.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Protocol

from pkn_protocol.control.discovering import Experts, Related, WhoRequest
from pkn_protocol.control.items import (
    EditRequest,
    FetchSummary,
    History,
    ItemDetail,
    Published,
    PublishRequest,
    Retracted,
    Tags,
)
from pkn_protocol.control.news import News, Seen, Watch, Watches, WatchMatch, WatchRequest
from pkn_protocol.control.people import ConnectRequest, Peer, Peers, People, Person
from pkn_protocol.control.query import QueryRequest, QueryResult
from pkn_protocol.control.status import Identity, LogEntry, Setting, Settings, Status
from pkn_protocol.control.summaries import ItemList, ListFilter
from pkn_protocol.control.work import ImportRequest, ImportSummary, Progress, VerifyRequest, VerifySummary


@dataclass(frozen=True, slots=True)
class PayloadContent:
    """An item's content of `size` bytes: `chunks` gives exactly those from `first` on, before `last` (None:
    the end), each chunk verified; `name` a file name."""

    media_type: str
    size: int
    name: str | None
    chunks: AsyncGenerator[bytes, None]
    first: int = 0
    last: int | None = None


@dataclass(frozen=True, slots=True)
class QueryUpdate:
    """The result so far; `final` on the last one, and only there."""

    result: QueryResult
    final: bool


class StatusService(Protocol):
    async def status(self) -> Status: ...


class IdentityService(Protocol):
    async def identity(self) -> Identity: ...

    async def recovery_words(self) -> str:
        """The 24 words of the author's secret; DomainError CONFLICT when it is no longer here."""

    async def remove_author_secret(self) -> None:
        """Take the author's secret off this machine; DomainError CONFLICT when it is gone already."""


class ItemsService(Protocol):
    async def publish(self, request: PublishRequest) -> Published: ...

    async def edit(self, ref: str, request: EditRequest) -> Published: ...

    async def retract(self, ref: str) -> Retracted: ...

    async def listed(self, wanted: ListFilter) -> ItemList: ...

    async def show(self, ref: str, *, fetch: bool, timeout_s: float) -> ItemDetail:
        """One item with its text, which is fetched from peers within `timeout_s` if need be and allowed."""

    async def payload(
        self, ref: str, *, timeout_s: float, first: int = 0, last: int | None = None
    ) -> PayloadContent:
        """The item's content, or those bytes of it; `timeout_s` bounds the wait for the first one."""

    def fetch(self, ref: str, *, timeout_s: float) -> AsyncGenerator[Progress | FetchSummary, None]:
        """Bring an item's content here, within `timeout_s`; yields progress and, last, what came of it."""

    async def history(self, ref: str) -> History: ...

    async def tags(self, *, author: str | None, limit: int) -> Tags: ...


class WorkService(Protocol):
    """Long works; each yields progress and, last, its summary."""

    def import_paths(self, request: ImportRequest) -> AsyncGenerator[Progress | ImportSummary, None]: ...

    def verify(self, request: VerifyRequest) -> AsyncGenerator[Progress | VerifySummary, None]: ...


class QueryService(Protocol):
    def query(self, request: QueryRequest) -> AsyncGenerator[QueryUpdate, None]:
        """Results from the disk at once, better ones as peers answer, the last within the deadline."""


class DiscoveringService(Protocol):
    async def who(self, request: WhoRequest) -> Experts:
        """People by what they published on something; nobody is asked."""

    async def related(self, ref: str, *, limit: int) -> Related:
        """What is like an item; nobody is asked."""


class NewsService(Protocol):
    async def news(self, *, limit: int, bundled: bool) -> News: ...

    def follow(self, *, limit: int, bundled: bool) -> AsyncGenerator[News, None]:
        """The news there are, even if there are none, and then whatever becomes news."""

    async def seen(self, upto: int) -> Seen: ...

    def watch(self, request: WatchRequest) -> AsyncGenerator[WatchMatch | int | None, None]:
        """None once it watches; then each match, or how many were missed because nobody read."""

    async def watches(self) -> Watches: ...

    async def save(self, name: str, request: WatchRequest) -> Watch: ...

    async def remove(self, name: str) -> Watch: ...


class PeopleService(Protocol):
    async def people(self) -> People: ...

    async def person(self, ref: str) -> Person: ...

    async def trust(self, ref: str, *, petname: str | None) -> Person: ...

    async def untrust(self, ref: str) -> Person: ...

    async def block(self, ref: str) -> Person: ...

    async def unblock(self, ref: str) -> Person: ...

    async def vouch(self, ref: str, *, withdraw: bool) -> Person: ...


class PeersService(Protocol):
    async def peers(self) -> Peers: ...

    async def peer(self, ref: str) -> Peer: ...

    async def connect(self, request: ConnectRequest) -> Peer:
        """Dial until connected; cancelled when the client goes away."""


class ConfigService(Protocol):
    async def settings(self) -> Settings: ...

    async def setting(self, key: str) -> Setting: ...

    async def set(self, key: str, value: str) -> Setting: ...

    async def unset(self, key: str) -> Setting: ...


class LogService(Protocol):
    def entries(self, *, lines: int, follow: bool) -> AsyncGenerator[LogEntry, None]:
        """The newest `lines` events of this run, oldest first; then, with `follow`, each new one."""


class Lifecycle(Protocol):
    def stop(self) -> None:
        """Ask the daemon to end; returns at once."""


@dataclass(frozen=True, slots=True)
class Services:
    """Everything the routes call."""

    status: StatusService
    identity: IdentityService
    items: ItemsService
    work: WorkService
    query: QueryService
    discovering: DiscoveringService
    news: NewsService
    people: PeopleService
    peers: PeersService
    config: ConfigService
    log: LogService
    lifecycle: Lifecycle
