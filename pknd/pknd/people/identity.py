"""Who the user is, on this machine: ids, name, recovery words."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from pkn_protocol.control.errors import ErrorCode
from pkn_protocol.control.status import Identity as IdentityShape
from pkn_protocol.records.ids import did_key
from pkn_protocol.records.model import Profile
from pknd.environment import Environment
from pknd.errors import DomainError
from pknd.items.publisher import Publisher
from pknd.people.keys import read_author_seed, remove_author_secret
from pknd.people.view import PeopleView
from pknd.people.words import fingerprint, recovery_words
from pknd.store.records import current


class Identity:
    def __init__(
        self, env: Environment, keys_folder: Path, publisher: Publisher, *, view: Callable[[], PeopleView]
    ) -> None:
        self._env = env
        self._publisher = publisher
        self._folder = keys_folder
        self._view = view

    async def identity(self) -> IdentityShape:
        author = self._env.keys.author
        return IdentityShape(
            id=did_key(author),
            device=self._env.keys.device.hex(),
            name=self._view().names.get(author, ""),
            fingerprint=fingerprint(author),
            author_secret_on_disk=await self.secret_on_disk(),
        )

    async def secret_on_disk(self) -> bool:
        return await asyncio.to_thread(read_author_seed, self._folder) is not None

    async def rename(self, name: str) -> None:
        """Let others see another name from now on; nothing is written if it is that already."""
        me = self._env.keys.author
        held = await self._env.store.read(lambda db: current(db, me, "profile"))
        known = held.record.body if held is not None else None
        description = known.description if isinstance(known, Profile) else ""
        if isinstance(known, Profile) and known.name == name:
            return
        replaces = () if held is None else (held.record.id,)
        await self._publisher.write_record("profile", Profile(name, description), replaces=replaces)

    async def recovery_words(self) -> str:
        seed = await asyncio.to_thread(read_author_seed, self._folder)
        if seed is None:
            raise _removed()
        return recovery_words(seed)

    async def remove_author_secret(self) -> None:
        if not await self.secret_on_disk():
            raise _removed()
        await asyncio.to_thread(remove_author_secret, self._folder)


def _removed() -> DomainError:
    return DomainError(
        ErrorCode.CONFLICT,
        "the author's secret is no longer on this machine",
        "the 24 words that you noted down are the only copy",
    )
