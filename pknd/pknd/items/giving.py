"""Blocks for peers: who may have one, and reading it without keeping anything else waiting."""

from __future__ import annotations

import asyncio
import sqlite3
from collections import OrderedDict
from collections.abc import Callable

from pkn_protocol.channel import messages as m
from pkn_protocol.records.ids import Cid
from pknd import log
from pknd.background import background_threads
from pknd.environment import Environment
from pknd.store.blocks import get_block, scopes_using
from pknd.store.originals import OriginalChanged, cids_of_lost_originals
from pknd.sync.link import PeerLink

_READ_AT_ONCE = 3
"""Reading and checking (of own files also sealing) takes a processor for milliseconds a block."""
_MOST_CACHED = 8
"""Blocks of up to 1 MiB read last: one that is asked for in parts, or by several at a time, is read once."""

_MOST_SCOPES = 8


class BlockGiver:
    """`may_see` says whether a peer may have what belongs to a scope."""

    def __init__(self, env: Environment, may_see: Callable[[PeerLink, bytes], bool]) -> None:
        self._env = env
        self._may_see = may_see
        self._threads = background_threads(_READ_AT_ONCE, "pkn-give")
        self._cache: OrderedDict[Cid, bytes] = OrderedDict()
        self._scopes: list[bytes] = []
        """Of blocks given last."""

    async def which(self, link: PeerLink, have: m.Have) -> m.Holds:
        """Which blocks the peer can have; what it may not see is like what is not here."""

        def work(db: sqlite3.Connection) -> list[set[bytes]]:
            lost = cids_of_lost_originals(db, have.cids) | self._env.store.files.spoiled
            return [set() if cid in lost else scopes_using(db, cid) for cid in have.cids]

        scopes = await self._env.store.read(work)
        return m.Holds(bytes(self._is_open(link, found) for found in scopes))

    async def give(self, link: PeerLink, cid: Cid) -> bytes | None:
        """A block for who may see a record that needs it; for others it is as if it were not here: it is not
        even read, so that neither time nor work tell of it."""
        files = self._env.store.files
        # Most blocks belong where the last ones did: then one visit to a thread does for all.
        open_scopes = frozenset(scope for scope in self._scopes if self._may_see(link, scope))

        def work(db: sqlite3.Connection) -> tuple[set[bytes], bytes | None]:
            scopes = scopes_using(db, cid)
            if scopes.isdisjoint(open_scopes):
                return scopes, None
            return scopes, self._cache.get(cid) or get_block(db, files, cid)

        loop = asyncio.get_running_loop()
        try:
            scopes, block = await loop.run_in_executor(self._threads, self._env.store.read_now, work)
            if block is None and scopes.isdisjoint(open_scopes) and self._is_open(link, scopes):
                self._scopes = [*scopes, *(one for one in self._scopes if one not in scopes)][:_MOST_SCOPES]
                open_scopes = frozenset(scopes)
                _, block = await loop.run_in_executor(self._threads, self._env.store.read_now, work)
        except OriginalChanged as error:
            log.event("block.original_changed", path=str(error.path))
            return None
        if block is None:
            return None
        self._cache[cid] = block
        self._cache.move_to_end(cid)
        if len(self._cache) > _MOST_CACHED:
            self._cache.popitem(last=False)
        return block

    async def close(self) -> None:
        """End the threads; before the store is closed."""
        await asyncio.to_thread(self._threads.shutdown, cancel_futures=True)

    def _is_open(self, link: PeerLink, scopes: set[bytes]) -> bool:
        return any(self._may_see(link, scope) for scope in scopes)
