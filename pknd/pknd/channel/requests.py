"""Requests both ways over one connection: ours that wait for replies, the peer's that are worked on."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable

from pkn_protocol.channel import messages as m
from pkn_protocol.channel.errors import ChannelError, CloseCode
from pkn_protocol.control.status import LogLevel
from pknd import log
from pknd.channel.limits import Limits
from pknd.channel.mailbox import Mailbox
from pknd.sync.link import LinkClosed

Put = Callable[[m.Envelope], Awaitable[None]]
PutFirst = Callable[[m.Envelope], bool]


class OwnRequests:
    """Requests that this side made. At most `outstanding` wait for an answer; the next waits to be sent."""

    def __init__(self, put: Put, put_first: PutFirst, limits: Limits) -> None:
        self._put = put
        self._put_first = put_first
        self._limits = limits
        self._places = asyncio.Semaphore(limits.outstanding)
        self._waiting: dict[int, Mailbox[m.Message]] = {}
        self._number = 0
        self._ended: LinkClosed | None = None

    async def stream(self, message: m.Message, timeout_s: float) -> AsyncGenerator[m.Message, None]:
        """The replies to a request; each may take `timeout_s`. Left early, the request is cancelled.

        Raises:
            LinkClosed, TimeoutError.
        """
        async with asyncio.timeout(timeout_s):
            await self._places.acquire()
        self._number += 1
        number = self._number
        replies: Mailbox[m.Message] = Mailbox(self._limits.replies_waiting)
        finished = False
        try:
            if self._ended is not None:
                raise self._ended
            self._waiting[number] = replies
            async with asyncio.timeout(timeout_s):
                await self._put(m.Envelope(message, request=number))
            while not finished:
                async with asyncio.timeout(timeout_s):
                    reply = await replies.get()
                finished = not getattr(reply, "more", False)
                yield reply
        finally:
            if self._waiting.pop(number, None) is not None and not finished and self._ended is None:
                self._put_first(m.Envelope(m.Cancel(number)))
            self._places.release()

    async def ping(self, timeout_s: float) -> None:
        """Until a ping was answered. It needs no place among the requests, and overtakes what waits.

        Raises:
            LinkClosed, TimeoutError.
        """
        self._number += 1
        number = self._number
        replies: Mailbox[m.Message] = Mailbox(1)
        self._waiting[number] = replies
        try:
            if self._ended is not None:
                raise self._ended
            async with asyncio.timeout(timeout_s):
                self._put_first(m.Envelope(m.Ping(), request=number))
                await replies.get()
        finally:
            self._waiting.pop(number, None)

    async def on_reply(self, number: int, message: m.Message) -> bool:
        """Hand a reply to whoever asked; False where nobody waits for it (any more)."""
        replies = self._waiting.get(number)
        if replies is None:
            return False
        try:
            async with asyncio.timeout(self._limits.reply_stall_seconds):
                await replies.put(message)
        except TimeoutError:
            # The others who wait on this connection must not wait for one who does not read.
            del self._waiting[number]
            replies.end(LinkClosed("the replies were not read in time"))
            self._put_first(m.Envelope(m.Cancel(number)))
        return True

    def end(self, error: LinkClosed) -> None:
        """The connection is gone: everybody who waits learns it."""
        self._ended = error
        for replies in self._waiting.values():
            replies.end(error)


class PeerRequests:
    """Requests that the peer made: a few are worked on at a time, others wait, too many are a fault."""

    def __init__(
        self, put: Put, answer: Callable[[m.Message], AsyncIterator[m.Message]], limits: Limits
    ) -> None:
        self._put = put
        self._answer = answer
        self._limits = limits
        self._slots = asyncio.Semaphore(limits.answered_at_once)
        self._tasks: dict[int, asyncio.Task[None]] = {}

    def begin(self, tasks: asyncio.TaskGroup, number: int, message: m.Message) -> None:
        """Raises ChannelError: too many at a time, or a number that is in use."""
        if number in self._tasks:
            raise ChannelError(CloseCode.BAD_MESSAGE, f"request {number} is being answered already")
        if len(self._tasks) >= self._limits.outstanding:
            raise ChannelError(CloseCode.OVER_BUDGET, "too many requests at a time")
        task = tasks.create_task(self._work(number, message))
        self._tasks[number] = task
        task.add_done_callback(lambda done: self._forget(number, done))

    def cancel(self, number: int) -> None:
        """The peer waits no longer. Its place is free at once, as the peer counts it."""
        task = self._tasks.pop(number, None)
        if task is not None:
            task.cancel()

    def _forget(self, number: int, task: asyncio.Task[None]) -> None:
        if self._tasks.get(number) is task:
            del self._tasks[number]

    async def _work(self, number: int, message: m.Message) -> None:
        answered = False
        async with self._slots:
            try:
                async with _closing(self._answer(message)) as replies:
                    async for reply in replies:
                        await self._put(m.Envelope(reply, reply=number))
                        answered = True
            except ChannelError:
                raise
            except LinkClosed as error:
                # Of this connection, or of another that the answer would have come from.
                log.event("channel.answer_lost", LogLevel.DEBUG, reason=str(error))
            except Exception as error:
                log.failure("channel.answer_failed", error, request=type(message).__name__)
            if not answered:
                # So that the peer need not wait until its patience ends.
                unsupported = m.Unsupported(type(message).__name__.lower())
                await self._put(m.Envelope(unsupported, reply=number))


@contextlib.asynccontextmanager
async def _closing(replies: AsyncIterator[m.Message]) -> AsyncIterator[AsyncIterator[m.Message]]:
    """So that a generator which is left early ends now and not when it is collected."""
    try:
        yield replies
    finally:
        if isinstance(replies, AsyncGenerator):
            await replies.aclose()
