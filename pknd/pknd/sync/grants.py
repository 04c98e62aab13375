"""Grants of circles over a connection: the own ones for members, and those that a member's device gave."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Sequence

from pkn_protocol.control.people import Trust
from pkn_protocol.control.status import LogLevel
from pkn_protocol.records.cbor import BadEncoding
from pkn_protocol.records.circles import CannotOpen, EpochKey, open_grant
from pkn_protocol.records.codec import RecordError, decode_record, verify_record
from pkn_protocol.records.ids import AuthorId, DeviceId
from pkn_protocol.records.model import Grant, Record
from pknd import log
from pknd.environment import Environment
from pknd.people.circles import TRUSTED, granted_devices
from pknd.people.service import People
from pknd.store.circles import add_epoch, epochs
from pknd.store.ingest import ingest
from pknd.store.records import of_kind
from pknd.sync.link import PeerLink


class GrantKeeper:
    def __init__(self, env: Environment, people: People) -> None:
        self._env = env
        self._people = people

    async def grants_for(self, link: PeerLink) -> Sequence[bytes]:
        """The grants of the own trusted circle, for members alone; renewed for a device that is new."""
        view, author = self._people.view, link.peer.author
        if view.trust(author) is not Trust.TRUSTED:
            return ()
        known = await self._env.store.read(lambda db: _own_grants(db, view.me))
        if known and not await asyncio.to_thread(self._admits, link.peer.device, known):
            await self._people.admit_members()
            known = await self._env.store.read(lambda db: _own_grants(db, view.me))
        return [record.block for record in known]

    async def take(self, blocks: Sequence[bytes], link: PeerLink) -> bool:
        """Open what the peer's author granted to this device; whether a key was new."""

        def opened() -> list[tuple[Record, list[EpochKey]]]:
            found = []
            for block in blocks:
                record = decode_record(block)
                if record.author == link.peer.author and isinstance(record.body, Grant):
                    verify_record(record)
                    found.append((record, open_grant(record, self._env.keys.device_key)))
            return found

        try:
            grants = await asyncio.to_thread(opened)
        except (RecordError, BadEncoding, CannotOpen) as error:
            log.event("sync.bad_grant", LogLevel.WARNING, device=link.peer.device.hex(), error=str(error))
            return False
        now = self._env.now()

        def work(db: sqlite3.Connection) -> bool:
            new = False
            for record, keys in grants:
                if not keys:
                    continue
                ingest(db, record, now=now)
                for number, key in enumerate(keys):
                    new |= add_epoch(db, key, record.author, TRUSTED, now=now, current=number == 0)
            return new

        return await self._env.store.write(work)

    def _admits(self, device: DeviceId, grants: Sequence[Record]) -> bool:
        """Whether the current grants were made for this device too; a box says that to its holder alone."""
        tag = grants[0].body.tag if isinstance(grants[0].body, Grant) else b""
        return device in self._env.store.read_now(lambda db: granted_devices(db, tag))


def _own_grants(db: sqlite3.Connection, me: AuthorId) -> list[Record]:
    """The latest grants of the current epoch of the trusted circle."""
    own = (epoch for epoch in epochs(db) if epoch.author == me and epoch.circle == TRUSTED)
    current = {epoch.key.tag for epoch in own if epoch.current}
    replaced = {old for (old,) in db.execute("SELECT old FROM replaced")}
    return [
        held.record
        for held in of_kind(db, "grant", me)
        if isinstance(held.record.body, Grant)
        and held.record.body.tag in current
        and held.record.id not in replaced
    ]
