"""Whole daemons inside the test's event loop, for what needs another clock or a look into the store."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

from pknd.config_file import ConfigFile
from pknd.daemon import Daemon
from pknd.environment import Environment
from pknd.home import open_home
from pknd.people.keys import open_keys
from pknd.store.store import Store

T = TypeVar("T")

DEADLINE_SECONDS = 40.0


class Inside:
    """A daemon whose clock is the machine's plus `offset` milliseconds."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.folder = folder / name.lower()
        self.offset = 0
        self.daemon: Daemon
        self.env: Environment
        self.config: ConfigFile

    def now(self) -> int:
        return int(time.time() * 1000) + self.offset

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Daemon]:
        home = open_home(self.folder)
        settings = {"name": self.name, "listen": "127.0.0.1:0", "mdns": "false"}
        self.config = config = ConfigFile(home.config, settings)
        keys, _ = open_keys(home.keys, random_bytes=os.urandom)
        store = Store.open(home.folder)
        self.env = Environment(home.folder, store, keys, self.now, time.monotonic, os.urandom)
        stop = asyncio.Event()
        self.daemon = Daemon(self.env, config, home, stop)
        task = asyncio.create_task(self.daemon.run())
        try:
            await until("the daemon to answer", lambda: home.socket.exists() or task.done())
            if task.done():
                task.result()
            yield self.daemon
        finally:
            stop.set()
            try:
                await task
            finally:
                await store.close()


async def until(what: str, happened: Callable[[], bool]) -> None:
    """Let the loop turn until it is so, or fail at the deadline."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not happened():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {DEADLINE_SECONDS:.0f} s in vain for {what}")
        await asyncio.sleep(0.005)


async def until_so(what: str, asked: Callable[[], Awaitable[T]], expected: T) -> None:
    """Ask until the answer is the expected one, or fail at the deadline and say what it was."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while (answer := await asked()) != expected:
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {DEADLINE_SECONDS:.0f} s in vain for {what}: {answer!r}")
        await asyncio.sleep(0.005)
