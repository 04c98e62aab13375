"""An item's content for who reads it here: from its first chunk on, while the rest still comes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection

from pkn_protocol.control.errors import ErrorCode
from pkn_protocol.control.items import FetchSummary
from pkn_protocol.control.work import Progress
from pkn_protocol.records.ids import AuthorId, Cid
from pkn_protocol.records.model import Item, Payload
from pkn_protocol.records.payload import BLOCK_BYTES, SEALED_CHUNK_BYTES, BadManifest
from pkn_protocol.records.walk import PayloadWalk, check_length
from pknd.control.services import PayloadContent
from pknd.environment import Environment
from pknd.errors import DomainError
from pknd.items.ahead import ReadAhead
from pknd.items.content import opened
from pknd.items.fetching import Fetcher, Fetching
from pknd.items.readopting import readopt
from pknd.items.references import find_item
from pknd.store.originals import OriginalChanged, lost_original
from pknd.store.records import Held
from pknd.store.spoiled import let_go_of_spoiled

_PUT_BACK = "put the file back, or import it as it is now"
_TELL_EVERY_S = 0.1
"""Between two lines of progress."""


class Contents:
    """Contents as the control API has them. `online`: whose devices are connected."""

    def __init__(
        self, env: Environment, fetcher: Fetcher, *, online: Callable[[], Collection[AuthorId]]
    ) -> None:
        self._env = env
        self._fetcher = fetcher
        self._online = online

    async def bring(self, held: Held, timeout_s: float) -> bool:
        """Have a content here within so many seconds; whether it is. The fetch goes on when the time is up.

        Raises:
            DomainError: as `fetch`.
        """
        # Who only wants to see what is here does not wait until a film was read.
        await self._look_at_original(held, reads_again=False)
        await self._let_go_of_spoiled(held)
        return await self._fetcher.fetch(held, timeout_s)

    async def payload(
        self, ref: str, *, timeout_s: float, first: int = 0, last: int | None = None
    ) -> PayloadContent:
        """The bytes from `first` on, before `last` (None: the end); the first chunk is here on return."""
        held, item, payload = await self._item(ref)
        first = min(first, payload.size)
        last = payload.size if last is None else min(last, payload.size)
        lost = await self._look_at_original(held)
        chunks = self._chunks(held, payload, first, max(first, last), lost)
        try:
            async with asyncio.timeout(timeout_s):
                begin = await anext(chunks, b"")
        except TimeoutError:
            await chunks.aclose()
            raise _unreachable(lost) from None
        return PayloadContent(
            payload.type, payload.size, item.name, _with(begin, chunks), first, max(first, last)
        )

    async def fetch(self, ref: str, *, timeout_s: float) -> AsyncGenerator[Progress | FetchSummary, None]:
        """Have a content fetched without reading it; ends when it is here, or not to be had, or the time is
        up; then the fetch goes on."""
        held, item, payload = await self._item(ref)
        await self._look_at_original(held)
        await self._let_go_of_spoiled(held)
        deadline = self._env.monotonic() + timeout_s
        async with self._fetcher.following(held) as fetching:
            if fetching is None:
                yield FetchSummary(True, payload.size, payload.size)
                return
            download = fetching.download
            while not fetching.is_over and (left := deadline - self._env.monotonic()) > 0:
                count = download.changes.count
                yield Progress(download.done, download.total, item.title)
                await asyncio.wait((fetching.task,), timeout=min(_TELL_EVERY_S, left))
                if not fetching.is_over:
                    await _at_most(fetching.changed(count), deadline - self._env.monotonic())
            if fetching.is_over:
                complete = fetching.result()
            else:
                fetching.goes_on, complete = True, False
            yield FetchSummary(complete, payload.size, payload.size if complete else download.done)

    async def _look_at_original(self, held: Held, *, reads_again: bool = True) -> OriginalChanged | None:
        """What has become of the own file that a content is read from. Of one that was changed others may
        hold a copy: what comes from them takes its place, and until then the file may come back.

        Raises:
            DomainError: it was changed, and nobody is there to ask.
        """
        lost = await self._env.store.read(lambda db: lost_original(db, held.rowid))
        if lost is not None and reads_again:
            await readopt(self._env.store, (held.rowid,))
            lost = await self._env.store.read(lambda db: lost_original(db, held.rowid))
        if lost is not None and not self._online():
            raise _unreachable(lost)
        return lost

    async def _let_go_of_spoiled(self, held: Held) -> bool:
        """What was found lost or spoiled of a content is to come from others; whether there was something."""
        files = self._env.store.files
        if not files.spoiled:
            return False
        return bool(await self._env.store.write(lambda db: let_go_of_spoiled(db, files, record=held.rowid)))

    async def _item(self, ref: str) -> tuple[Held, Item, Payload]:
        held = await self._env.store.read(lambda db: find_item(db, ref))
        item = held.record.body
        if not isinstance(item, Item) or item.payload is None:
            raise DomainError(ErrorCode.NO_PAYLOAD, "this item has no content beyond its summary")
        return held, item, item.payload

    async def _chunks(
        self, held: Held, payload: Payload, first: int, last: int, lost: OriginalChanged | None
    ) -> AsyncGenerator[bytes, None]:
        """The plaintext, chunk by chunk; waits for those that are on their way."""
        files = self._env.store.files
        step = BLOCK_BYTES if payload.key is None else SEALED_CHUNK_BYTES
        begin, end = first // step, max(first // step + 1, -(-last // step))
        ahead = ReadAhead(self._env.store)
        author_lacks = False
        let_go = set[Cid]()
        try:
            walk = PayloadWalk(payload, first=begin * BLOCK_BYTES, last=end * BLOCK_BYTES)
            while walk.wanted is not None:
                async with self._fetcher.following(held) as fetching:
                    async for number, block in self._blocks(walk, ahead, fetching):
                        text = block
                        if payload.key is not None:
                            text = await asyncio.to_thread(opened, payload, number, block)
                        yield text[max(0, first - number * step) : last - number * step]
                    if walk.wanted is not None and fetching is not None and fetching.is_over:
                        fetching.result()
                        author_lacks = fetching.download.author_lacks and held.record.author in self._online()
                if walk.wanted is not None:
                    # Once each: a disk may spoil whatever is written to it.
                    if walk.wanted.cid in let_go or not await self._let_go_of_spoiled(held):
                        spoiled = walk.wanted.cid in files.spoiled
                        raise _unreachable(lost, spoiled=spoiled, author_lacks=author_lacks)
                    let_go.add(walk.wanted.cid)
        except OriginalChanged as error:
            raise DomainError("original-changed", str(error), _PUT_BACK) from error
        except BadManifest as error:
            raise DomainError(
                ErrorCode.UNREACHABLE, "its author has described the content wrongly"
            ) from error
        finally:
            ahead.close()

    async def _blocks(
        self, walk: PayloadWalk, ahead: ReadAhead, fetching: Fetching | None
    ) -> AsyncGenerator[tuple[int, bytes], None]:
        """The chunks of a walk with their numbers, up to one that is not here and does not come."""
        while (wanted := walk.wanted) is not None:
            over = fetching is None or fetching.is_over
            count = 0 if fetching is None else fetching.download.changes.count
            try:
                block = await ahead.block(wanted.cid)
            except OriginalChanged:
                if fetching is None:
                    raise
                block = None
            if block is None:
                if fetching is None or over:
                    return
                fetching.download.read_at(wanted.offset)
                await fetching.changed(count)
                continue
            check_length(wanted, len(block))
            if wanted.level:
                walk.chunks_below(block)
                continue
            walk.pass_over()
            if (following := walk.wanted) is not None and following.level == 0:
                ahead.begin(following.cid)
            yield wanted.offset // BLOCK_BYTES, block


def _unreachable(
    lost: OriginalChanged | None, *, spoiled: bool = False, author_lacks: bool = False
) -> DomainError:
    if spoiled:
        problem = "this disk has spoiled a part of the content, and nobody who is online now holds it"
        return DomainError(ErrorCode.UNREACHABLE, problem, "try again when somebody who has it is connected")
    if lost is not None:
        problem = f"{lost}, and nobody who is online now holds it as it was"
        return DomainError("original-changed", problem, _PUT_BACK)
    if author_lacks:
        return DomainError(
            ErrorCode.UNREACHABLE,
            "its author is online, but no longer has the content as it was; nor has anybody else online",
            "ask its author to put the file back, or to publish it anew",
        )
    return DomainError(
        ErrorCode.UNREACHABLE,
        "nobody who is online now holds the content",
        "try again when its author is connected (`pkn peers`)",
    )


async def _with(begin: bytes, chunks: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    try:
        yield begin
        async for chunk in chunks:
            yield chunk
    finally:
        await chunks.aclose()


async def _at_most(change: Awaitable[None], seconds: float) -> None:
    try:
        async with asyncio.timeout(max(0.0, seconds)):
            await change
    except TimeoutError:
        return
