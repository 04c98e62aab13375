"""Sketches are believed until a text shows otherwise: of each text that comes the sketch is made anew."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable

from pkn_protocol.control.status import LogLevel
from pkn_protocol.records.ids import did_key
from pkn_protocol.records.model import Item
from pkn_protocol.records.payload import BadManifest
from pkn_protocol.search.believed import counted_sketch
from pkn_protocol.text.sketch import BadSketch, agrees_with_text, decode_sketch
from pknd import log
from pknd.capture.captured import ANALYSED_TEXT_BYTES
from pknd.environment import Environment
from pknd.items.content import read_text
from pknd.store.doubted import is_doubted
from pknd.store.records import Held, get_row
from pknd.store.sketches import doubt

MOST_WAITING = 1024
"""Texts that wait to be checked; one that comes while so many wait is believed."""


class SketchCheck:
    """`found_out` is awaited when an author's sketches have turned out to say nothing."""

    def __init__(self, env: Environment, *, found_out: Callable[[], Awaitable[None]]) -> None:
        self._env = env
        self._found_out = found_out
        self._waiting: asyncio.Queue[int] = asyncio.Queue(MOST_WAITING)

    def content_came(self, rowid: int) -> None:
        """All of a record's content is here now."""
        if not self._waiting.full():
            self._waiting.put_nowait(rowid)

    async def run(self) -> None:
        """Check one after the other, as long as the daemon runs."""
        while True:
            await self.check(await self._waiting.get())

    async def check(self, rowid: int) -> bool:
        """Whether a record's sketch may go on counting; if not, none of its author's does from now on."""
        held = await self._env.store.read(lambda db: self._to_be_checked(db, rowid))
        if held is None:
            return True
        if await asyncio.to_thread(self._agrees, held):
            return True
        record = held.record
        if await self._env.store.write(lambda db: doubt(db, record.author, record.id)):
            log.event("sketch.false", LogLevel.WARNING, author=did_key(record.author), item=record.id.hex())
            await self._found_out()
        return False

    def _to_be_checked(self, db: sqlite3.Connection, rowid: int) -> Held | None:
        held = get_row(db, rowid)
        if held is None or held.record.author == self._env.keys.author:
            return None
        item = held.record.body
        sketch = counted_sketch(item) if isinstance(item, Item) else None
        if sketch is None or is_doubted(db, held.record.author):
            return None
        try:
            decode_sketch(sketch)
        except BadSketch:
            # It counts as none, as one by another analyser does.
            return None
        return held

    def _agrees(self, held: Held) -> bool:
        item = held.record.body
        if not isinstance(item, Item) or item.sketch is None or item.lang is None:
            return True
        files = self._env.store.files
        try:
            text = self._env.store.read_now(lambda db: read_text(db, files, held, most=ANALYSED_TEXT_BYTES))
        except BadManifest:
            return True
        # None: retracted meanwhile.
        return text is None or agrees_with_text(item.sketch, item.title, text, item.lang, item.url)
