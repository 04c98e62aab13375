"""How long what others wrote is kept, and room for more: now and then, and before large fetches."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from collections.abc import Callable
from functools import partial

from pkn_protocol.control.errors import ErrorCode
from pkn_protocol.control.status import LogLevel
from pkn_protocol.records.ids import AuthorId
from pkn_protocol.trust.quotas import STRANGERS_SHARE
from pknd import log
from pknd.environment import Environment
from pknd.errors import DomainError
from pknd.people.view import PeopleView
from pknd.sizes import rounded_size
from pknd.store.removal import remove_expired
from pknd.store.retention import (
    BEYOND_HORIZON,
    Usage,
    drop_payloads,
    forget_author,
    give_pages_back,
    halve_records,
    strangers,
    usage,
)

STRANGER_UNSEEN_MS = 30 * 24 * 3_600_000
SPARE_BYTES = 4 * 1024 * 1024
"""Left free on the volume: SQLite's log and other programs need some."""
_BATCH = 500
"""Records or items that one transaction takes out: publishing does not wait for more."""
_MOST_BATCHES = 1000
_FULL_SHARE = 0.9
"""From this share of the ceiling on nothing is fetched unasked."""
_PAGES_AT_ONCE = 4096


class Retention:
    """`online`: authors with a connection now; `max_disk`: bytes for others and indexes together."""

    def __init__(
        self,
        env: Environment,
        *,
        view: Callable[[], PeopleView],
        online: Callable[[], frozenset[AuthorId]],
        max_disk: Callable[[], int],
    ) -> None:
        self._env = env
        self._view = view
        self._online = online
        self._max_disk = max_disk

    async def maintain(self) -> None:
        """Delete what has expired, strangers not seen for a month, and what exceeds the ceilings.

        A failure is logged; the next call tries again.
        """
        try:
            await self._maintain()
        except Exception as error:
            log.event("store.retention_failed", LogLevel.WARNING, error=str(error))

    async def _maintain(self) -> None:
        expired = await self._in_batches(
            lambda db: remove_expired(db, now=self._env.now(), limit=_BATCH).records
        )
        gone = await self._forget_strangers()
        freed = await self._make_room(0)
        if expired or gone or freed:
            await self._env.store.write(lambda db: give_pages_back(db, _PAGES_AT_ONCE))
            log.event("store.made_room", expired=expired, strangers=gone, bytes=freed)

    async def has_room(self) -> bool:
        """Whether there is room to fetch what nobody has asked for yet."""
        held = (await self._usage()).others
        return held < self._max_disk() * _FULL_SHARE and await self._free() > SPARE_BYTES

    async def make_room(self, size: int) -> None:
        """Make room for so many bytes that the user wants to have.

        Raises:
            DomainError: they would not fit, however much were deleted.
        """
        ceiling = self._max_disk()
        if size > ceiling:
            raise DomainError(
                ErrorCode.NO_ROOM,
                f"it has {rounded_size(size)}; max_disk keeps {rounded_size(ceiling)} for what others wrote",
                "raise it: pkn config set max_disk SIZE",
            )
        free = await self._free()
        if size + SPARE_BYTES > free:
            raise DomainError(
                ErrorCode.NO_ROOM,
                f"it has {rounded_size(size)}; {self._volume_has(free)}",
                "free some space there",
            )
        await self._make_room(size)

    def check_own(self, size: int) -> None:
        """Before own content is written; blocking, for a thread of the caller.

        Raises:
            DomainError: the volume has no room for so many bytes.
        """
        free = shutil.disk_usage(self._env.home).free
        if size + SPARE_BYTES > free:
            raise DomainError(
                ErrorCode.NO_ROOM,
                f"this needs {rounded_size(size)}; {self._volume_has(free)}",
                "free some space there; nothing was stored of it",
            )

    async def _forget_strangers(self) -> int:
        spared = self._view().near | self._online()
        ceiling = self._max_disk() // STRANGERS_SHARE
        found = await self._env.store.read(lambda db: strangers(db, self._view().near | self._view().blocked))
        held = sum(stranger.bytes for stranger in found)
        oldest = self._env.now() - STRANGER_UNSEEN_MS
        gone = 0
        for stranger in found:
            if stranger.author in spared or (stranger.seen >= oldest and held <= ceiling):
                continue
            await self._env.store.write(partial(forget_author, author=stranger.author))
            held -= stranger.bytes
            gone += 1
        return gone

    async def _make_room(self, size: int) -> int:
        """Delete until `size` bytes more would fit; how many bytes went."""
        before = (await self._usage()).others
        surplus = before + size - self._max_disk()
        if surplus <= 0:
            return 0
        me, distances = self._env.keys.author, self._view().distances
        for _ in range(_MOST_BATCHES):
            freed = await self._env.store.write(
                partial(drop_payloads, me=me, distances=distances, surplus=surplus, limit=_BATCH)
            )
            surplus -= freed
            if surplus <= 0 or freed == 0:
                break
        if surplus > 0:
            await self._halve_farthest(size)
        after = (await self._usage()).others
        log.event("store.ceiling_reached", LogLevel.WARNING, held=before, ceiling=self._max_disk())
        return before - after

    async def _halve_farthest(self, size: int) -> None:
        """Contents were not enough: of the farthest the older half of the records goes."""
        view = self._view()
        by_distance: dict[int, list[AuthorId]] = {}
        held = await self._env.store.read(
            lambda db: [AuthorId(a) for (a,) in db.execute("SELECT DISTINCT author FROM record")]
        )
        for author in held:
            if author != view.me:
                by_distance.setdefault(view.distances.get(author, BEYOND_HORIZON), []).append(author)
        for distance in sorted(by_distance, reverse=True):
            for author in by_distance[distance]:
                await self._env.store.write(partial(halve_records, author=author))
            if (await self._usage()).others + size <= self._max_disk():
                return

    async def _in_batches(self, work: Callable[[sqlite3.Connection], int]) -> int:
        done = 0
        for _ in range(_MOST_BATCHES):
            step = await self._env.store.write(work)
            done += step
            if step == 0:
                break
        return done

    def _volume_has(self, free: int) -> str:
        return f"the volume of {self._env.home} has {rounded_size(free)} left"

    async def _usage(self) -> Usage:
        return await self._env.store.read(lambda db: usage(db, self._env.keys.author))

    async def _free(self) -> int:
        return (await asyncio.to_thread(shutil.disk_usage, self._env.home)).free
