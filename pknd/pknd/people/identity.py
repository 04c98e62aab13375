"""Who the user is, on this machine: ids, name, recovery words."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from pkn_protocol.control.errors import ErrorCode
from pkn_protocol.control.status import Identity as IdentityShape
from pkn_protocol.records.ids import did_key
from pknd.environment import Environment
from pknd.errors import DomainError
from pknd.people.keys import read_author_seed, remove_author_secret
from pknd.people.view import PeopleView
from pknd.people.words import fingerprint, recovery_words


class Identity:
    def __init__(self, env: Environment, keys_folder: Path, *, view: Callable[[], PeopleView]) -> None:
        self._env = env
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
