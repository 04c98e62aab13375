"""The state of the daemon in one shape."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version

from pkn_protocol.control.status import Fetching, Status
from pkn_protocol.records.ids import did_key
from pkn_protocol.sync.facts import Progress
from pknd.environment import Environment
from pknd.people.identity import Identity
from pknd.people.view import PeopleView
from pknd.store.news import count_unseen
from pknd.store.records import counts
from pknd.store.retention import usage


def fetching_of(progress: Progress) -> Fetching | None:
    """None while nothing is lacking."""
    return Fetching(progress.come, progress.known) if progress.known else None


class StatusReport:
    def __init__(
        self,
        env: Environment,
        identity: Identity,
        *,
        view: Callable[[], PeopleView],
        listen: Callable[[], tuple[str, ...]],
        online: Callable[[], int],
        max_disk: Callable[[], int],
        pid: int,
        progress: Callable[[], Progress],
    ) -> None:
        self._env = env
        self._identity = identity
        self._view = view
        self._listen = listen
        self._online = online
        self._max_disk = max_disk
        self._pid = pid
        self._progress = progress
        self._since = env.monotonic()

    async def status(self) -> Status:
        me, now = self._env.keys.author, self._env.now()
        held, used, news = await self._env.store.read(
            lambda db: (counts(db), usage(db, me), count_unseen(db, now=now))
        )
        return Status(
            id=did_key(me),
            name=self._view().names.get(me, ""),
            device=self._env.keys.device.hex(),
            home=str(self._env.home),
            version=version("pknd"),
            uptime_s=self._env.monotonic() - self._since,
            records=held.records,
            items=held.items,
            authors=held.authors,
            peers_online=self._online(),
            listen=self._listen(),
            author_secret_on_disk=await self._identity.secret_on_disk(),
            own_bytes=used.own,
            held_bytes=used.others,
            max_disk_bytes=self._max_disk(),
            pid=self._pid,
            fetching=fetching_of(self._progress()),
            news=news,
        )
