"""The state of the daemon in one shape."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from importlib.metadata import version

from pkn_protocol.control.status import Status
from pkn_protocol.records.ids import AuthorId, did_key
from pknd.environment import Environment
from pknd.people.identity import Identity
from pknd.people.view import PeopleView
from pknd.store.records import counts


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
    ) -> None:
        self._env = env
        self._identity = identity
        self._view = view
        self._listen = listen
        self._online = online
        self._max_disk = max_disk
        self._pid = pid
        self._since = env.monotonic()

    async def status(self) -> Status:
        me = self._env.keys.author

        def work(db: sqlite3.Connection) -> tuple[int, int, int, int, int]:
            held = counts(db)
            own = _bytes_of(db, me)
            pages, size = (db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "page_size"))
            files = db.execute("SELECT coalesce(sum(size), 0) FROM block WHERE place = 1").fetchone()[0]
            return held.records, held.items, held.authors, own, max(0, pages * size + files - own)

        records, items, authors, own, others = await self._env.store.read(work)
        return Status(
            id=did_key(me),
            name=self._view().names.get(me, ""),
            device=self._env.keys.device.hex(),
            home=str(self._env.home),
            version=version("pknd"),
            uptime_s=self._env.monotonic() - self._since,
            records=records,
            items=items,
            authors=authors,
            peers_online=self._online(),
            listen=self._listen(),
            author_secret_on_disk=await self._identity.secret_on_disk(),
            own_bytes=own,
            held_bytes=others,
            max_disk_bytes=self._max_disk(),
            pid=self._pid,
        )


def _bytes_of(db: sqlite3.Connection, author: AuthorId) -> int:
    """The bytes of an author's records and of the blocks held for them; files in place are not counted."""
    records = db.execute("SELECT coalesce(sum(length(block)), 0) FROM record WHERE author = ?", (author,))
    blocks = db.execute(
        "SELECT coalesce(sum(size), 0) FROM block WHERE place <> 2 AND cid IN (SELECT block_use.cid FROM"
        " block_use JOIN record ON record.rowid = block_use.record WHERE record.author = ?)",
        (author,),
    )
    return int(records.fetchone()[0]) + int(blocks.fetchone()[0])
