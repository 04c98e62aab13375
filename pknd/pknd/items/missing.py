"""Which blocks of a payload are missing here, as far as its manifests have come."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Collection, Sequence

from pkn_protocol.records.ids import Cid
from pkn_protocol.records.model import Payload
from pkn_protocol.records.walk import PayloadWalk, WantedBlock, check_length
from pknd.environment import Environment
from pknd.items.arrivals import Arrival
from pknd.items.content import missing_block
from pknd.store.blocks import (
    HeldBlock,
    count_used,
    get_block,
    held_blocks,
    set_complete,
    use_blocks,
)
from pknd.store.errors import NothingStays
from pknd.store.originals import cids_of_lost_originals, lost_original

WINDOW = 256
"""Blocks that are looked for at a time: one question of `have`."""
_MOST_LOOKS = 5
"""Times that what had come is found gone again before a fetch is ended: the disk spoils what it is given."""
_ANEW_S = 0.125
"""Before looking again for the whole; doubled each time."""


class MissingBlocks:
    """`window` are the next ones that are neither here nor have come, in the order in which they are read.

    Methods raise BadManifest where the author's tree is invalid, DomainError where the disk does not keep
    what came.
    """

    def __init__(self, env: Environment, record: int, payload: Payload) -> None:
        self.window: dict[Cid, WantedBlock] = {}
        self.has_looked = False
        """Whether the window means anything yet."""
        self._env = env
        self._record = record
        self._payload = payload
        self._walk: PayloadWalk
        self._focus = 0
        self._missing: set[Cid] = set()
        self._moved = True
        self._looks = 0
        self._had: set[Cid] = set()
        """Manifests that came."""

    def begin(self) -> None:
        """Before anything is looked for; or anew."""
        self._walk = PayloadWalk(self._payload)
        self._missing.clear()
        self._moved = True

    @property
    def is_empty(self) -> bool:
        """Whether every block was here when it was looked for."""
        return self._walk.wanted is None

    def __contains__(self, cid: Cid) -> bool:
        return cid in self._missing

    def read_at(self, stored: int) -> bool:
        """What follows this stored byte comes first; whether that is new."""
        moved = stored != self._focus
        self._focus = stored
        self._moved = self._moved or moved
        return moved

    async def look(self, coming: Collection[Cid]) -> bool:
        """Pass over what is here, until the window holds only what is missing and not among those that are
        `coming`; whether it may have changed."""
        if not self._moved:
            return False
        self._moved = False
        while True:
            ahead = self._walk.ahead(WINDOW, begin=self._focus)
            unseen = [one for one in ahead if one.cid not in self._missing and one.cid not in coming]
            if not unseen:
                break
            await self._pass_over(unseen)
        self.window = {one.cid: one for one in ahead if one.cid not in coming}
        self.has_looked = True
        return True

    def kept(self, arrivals: Sequence[Arrival]) -> None:
        """These are on disk; go below the manifests among them."""
        sizes = {arrival.cid: arrival for arrival in arrivals}
        for one in self._walk.ahead(WINDOW, begin=self._focus):
            arrival = sizes.get(one.cid)
            if arrival is None:
                continue
            check_length(one, arrival.size)
            if one.level == 0:
                self._walk.pass_over(one)
                continue
            self._had.add(one.cid)
            if isinstance(arrival.block, bytes):
                self._walk.receive(arrival.block, one)
        self._missing -= sizes.keys()
        self._moved = True

    async def note_complete(self) -> bool:
        """Note that all is here, if it is: retention may have taken something away meanwhile, or the disk
        spoils what it gets. Else begin to look anew, ever later.

        Raises:
            NothingStays: something was not here too often.
        """
        files, record, payload = self._env.store.files, self._record, self._payload

        def look(db: sqlite3.Connection) -> int | None:
            if missing_block(db, files, payload) is not None or lost_original(db, record) is not None:
                return None
            return count_used(db, record)

        count = await self._env.store.read(look)

        def work(db: sqlite3.Connection) -> bool:
            if count is None or count_used(db, record) != count:
                return False
            set_complete(db, record)
            return True

        if await self._env.store.write(work):
            return True
        self._look_anew()
        await asyncio.sleep(_ANEW_S * 2**self._looks)
        self.begin()
        return False

    def _look_anew(self) -> None:
        self._looks += 1
        if self._looks > _MOST_LOOKS:
            raise NothingStays(self._env.store.path)

    async def _pass_over(self, unseen: Sequence[WantedBlock]) -> None:
        files, record = self._env.store.files, self._record

        def work(db: sqlite3.Connection) -> tuple[dict[Cid, HeldBlock], dict[Cid, bytes]]:
            # What the disk has spoiled, or lay in an own file that was changed, is as if it were not here.
            cids = {one.cid for one in unseen}
            held = held_blocks(db, cids - files.spoiled - cids_of_lost_originals(db, cids), record=record)
            manifests = {}
            for one in unseen:
                if one.level and one.cid in held and (block := get_block(db, files, one.cid)) is not None:
                    manifests[one.cid] = block
            return held, manifests

        held, manifests = await self._env.store.read(work)
        for one in unseen:
            if one.level and one.cid in manifests:
                self._walk.chunks_below(manifests[one.cid], one)
            elif one.level == 0 and one.cid in held:
                # Somebody else's item may have brought it, to another place.
                check_length(one, held[one.cid].size)
                self._walk.pass_over(one)
            else:
                if one.cid in self._had:
                    self._look_anew()
                self._missing.add(one.cid)
        if unused := [cid for cid, block in held.items() if not block.is_used]:
            await self._env.store.write(lambda db: use_blocks(db, unused, record=record))
