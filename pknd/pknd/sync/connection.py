"""The daemon's part of one connection's synchronisation: what is to be sent, and work that waits for it."""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine

from pkn_protocol.channel import messages as m
from pkn_protocol.records.ids import Cid
from pkn_protocol.sync.effects import Close, Send
from pkn_protocol.sync.facts import ConnectionId
from pknd.sync.link import PeerLink
from pknd.sync.reading import PassedOn

MOST_WAITING = 1024
"""Messages for a peer that reads slowly; beyond them pushes are left out, which a comparison makes up for."""


class PeerConnection:
    """Made when a connection is first heard of. `run` sends as long as the connection lives."""

    def __init__(self, conn: ConnectionId, link: PeerLink) -> None:
        self.conn = conn
        self.link = link
        self.in_step = asyncio.Event()
        self.started = asyncio.Event()
        self.records_in = 0
        self.records_out = 0
        self.room = asyncio.Event()
        """Set when something may have made room for further messages of the peer."""
        self._out: deque[Send | Close] = deque()
        self._filled = asyncio.Event()
        self._numbers = itertools.count(1)
        self._answers: dict[int, tuple[asyncio.Queue[m.Records], PassedOn]] = {}
        self._tasks: asyncio.TaskGroup | None = None

    def put(self, effect: Send | Close) -> bool:
        """Have it sent in its turn. False: it may be left out, and was."""
        if isinstance(effect, Send) and effect.droppable and len(self._out) >= MOST_WAITING:
            return False
        self._out.append(effect)
        self._filled.set()
        return True

    async def run(self, begin: Callable[[], None]) -> None:
        """`begin` is called when work can be taken on. Raises LinkClosed."""
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            begin()
            self.started.set()
            try:
                await self._send_out()
            finally:
                self._tasks = None

    def spawn(self, work: Coroutine[None, None, None]) -> None:
        """Work that ends with the connection."""
        if self._tasks is None:
            work.close()
        else:
            self._tasks.create_task(work)

    async def records(self, begin: Callable[[int], None], passed_on: PassedOn) -> AsyncIterator[m.Records]:
        """The replies to a request of the peer; `begin` is called with the request's number."""
        number = next(self._numbers)
        replies: asyncio.Queue[m.Records] = asyncio.Queue()
        self._answers[number] = replies, passed_on
        try:
            begin(number)
            more = True
            while more:
                records = await replies.get()
                more = records.more
                yield records
        finally:
            del self._answers[number]

    def reply(self, number: int, records: m.Records) -> None:
        answer = self._answers.get(number)
        if answer is not None:
            answer[0].put_nowait(records)

    def passed_on(self, number: int) -> PassedOn:
        answer = self._answers.get(number)
        return _nothing if answer is None else answer[1]

    async def _send_out(self) -> None:
        while True:
            await self._filled.wait()
            self._filled.clear()
            while self._out:
                effect = self._out.popleft()
                if isinstance(effect, Close):
                    await self.link.close(effect.code, effect.reason)
                else:
                    await self.link.send(effect.message)


def _nothing(cid: Cid) -> tuple[bytes, bytes] | None:
    return None
