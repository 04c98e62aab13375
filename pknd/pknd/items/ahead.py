"""Reading blocks of a content for somebody who takes one after the other."""

from __future__ import annotations

import asyncio
import contextlib

from pkn_protocol.records.ids import Cid
from pknd.store.blocks import get_block
from pknd.store.originals import OriginalChanged
from pknd.store.store import Store


class ReadAhead:
    """Reads in threads, the next block while this one is taken."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._cid: Cid | None = None
        self._reading: asyncio.Future[bytes | None] | None = None

    def begin(self, cid: Cid) -> None:
        """That block will be wanted next."""
        self._cid = cid
        self._reading = asyncio.ensure_future(self._read(cid))
        self._reading.add_done_callback(_heard)

    async def block(self, cid: Cid) -> bytes | None:
        """None: it is not here. Raises OriginalChanged."""
        reading, begun = self._reading, self._cid
        self._reading = self._cid = None
        if reading is not None and begun == cid:
            with contextlib.suppress(OriginalChanged):
                if (block := await reading) is not None:
                    return block
        # What was not here when it was looked for ahead may have come since.
        return await self._read(cid)

    def close(self) -> None:
        if self._reading is not None:
            self._reading.cancel()

    async def _read(self, cid: Cid) -> bytes | None:
        return await asyncio.to_thread(self._store.read_now, lambda db: get_block(db, self._store.files, cid))


def _heard(reading: asyncio.Future[bytes | None]) -> None:
    if not reading.cancelled():
        reading.exception()  # whoever needs the block is told; there may be nobody
