"""Checking what is held: every signature and every block, from the disk up."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncGenerator

from pkn_protocol.control.work import BadThing, Progress, VerifyRequest, VerifySummary
from pkn_protocol.records.codec import BadEncoding, RecordError, decode_record, verify_record
from pkn_protocol.records.ids import Cid, cid_text, matches
from pkn_protocol.records.model import Item
from pkn_protocol.records.payload import BadManifest
from pkn_protocol.records.walk import PayloadWalk
from pknd.environment import Environment
from pknd.items.readopting import readopt
from pknd.items.references import find_item
from pknd.store.blocks import blocks_used, get_block, is_complete
from pknd.store.originals import OriginalChanged, lost_original

BATCH = 200
_RESTORE = "restore it from a backup or a peer"
SPOILED = "a part of its content is lost or spoiled"
_FETCH = "pkn get fetches it from others who have it; a backup may have it as well"
_PUT_BACK = "put it back, or import it as it is now; pkn get looks for a copy at others'"


class Verifier:
    def __init__(self, env: Environment) -> None:
        self._env = env

    async def run(self, request: VerifyRequest) -> AsyncGenerator[Progress | VerifySummary, None]:
        """Check one item's versions, or everything; bad things are listed, nothing is changed. An own file
        that was touched, or put back, and has the bytes that it had, counts as it is now."""
        rows = await self._env.store.read(lambda db: _rows(db, request.item))
        payloads, gone = 0, 0
        bad: list[BadThing] = []
        for start in range(0, len(rows), BATCH):
            part = rows[start : start + BATCH]
            await readopt(self._env.store, part)
            checked, missing, wrong = await asyncio.to_thread(self._check, part)
            payloads += checked
            gone += missing
            bad += wrong
            yield Progress(start + len(part), len(rows), "records")
        yield VerifySummary(len(rows), payloads, tuple(bad), gone)

    def _check(self, rows: list[int]) -> tuple[int, int, list[BadThing]]:
        """(payloads checked, contents of earlier versions that are gone, what is bad)"""

        def work(db: sqlite3.Connection) -> tuple[int, int, list[BadThing]]:
            payloads, gone = 0, 0
            bad: list[BadThing] = []
            for row in rows:
                found = db.execute("SELECT id, block, head FROM record WHERE rowid = ?", (row,)).fetchone()
                if found is None:
                    continue
                cid, lost = Cid(found[0]), lost_original(db, row)
                problem, title, checked = self._check_record(db, row, cid, found[1])
                payloads += checked
                if problem is None and lost is not None:
                    if not found[2]:
                        gone += 1
                        continue
                    problem = str(lost)
                if problem is not None:
                    hint = _PUT_BACK if lost is not None else _FETCH if problem == SPOILED else _RESTORE
                    bad.append(BadThing(cid_text(cid), title, problem, hint))
            return payloads, gone, bad

        return self._env.store.read_now(work)

    def _check_record(
        self, db: sqlite3.Connection, row: int, cid: Cid, block: bytes
    ) -> tuple[str | None, str, int]:
        """(problem, title, payloads checked)"""
        if not matches(cid, block):
            return "the record does not have the digest that its id says", "", 0
        try:
            record = decode_record(block)
            verify_record(record)
        except (RecordError, BadEncoding) as error:
            return str(error), "", 0
        item = record.body
        if not isinstance(item, Item) or item.payload is None:
            return None, "", 0
        files = self._env.store.files
        if not is_complete(db, row):
            spoiled = any(get_block(db, files, cid) is None for cid in blocks_used(db, row))
            return SPOILED if spoiled else None, item.title, 0
        try:
            walk = PayloadWalk(item.payload)
            while (wanted := walk.wanted) is not None:
                held = get_block(db, files, wanted.cid)
                if held is None:
                    return SPOILED, item.title, 1
                walk.receive(held)
        except (OriginalChanged, BadManifest, ValueError) as error:
            return str(error), item.title, 1
        return None, item.title, 1


def _rows(db: sqlite3.Connection, ref: str | None) -> list[int]:
    if ref is None:
        return [row for (row,) in db.execute("SELECT rowid FROM record ORDER BY rowid")]
    held = find_item(db, ref)
    rows = db.execute("SELECT rowid FROM record WHERE item = ? ORDER BY rowid", (held.record.item_id,))
    return [row for (row,) in rows]
