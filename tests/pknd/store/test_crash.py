"""kill -9 at random moments of writing: every acknowledged record and block is there afterwards."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pkn_protocol.records.codec import verify_record
from pkn_protocol.records.ids import Cid, raw_cid
from pkn_protocol.records.model import Item
from pkn_protocol.sync.sums import record_period, sum_of
from pknd.store.blocks import get_block
from pknd.store.database import was_closed_in_order
from pknd.store.records import get
from pknd.store.store import Store
from pknd.store.sums import Row, sums_at
from tests.pknd.store.people import Person

REPOSITORY = Path(__file__).resolve().parents[3]
# Publishes for ever, each time in a few concurrent writes, and prints an id once it is acknowledged.
WRITER = """
import asyncio, os, sys
from pathlib import Path
from pkn_protocol.records.ids import raw_cid
from pkn_protocol.records.model import Payload
from pknd.store.blocks import IN_ROW_BYTES, put_block
from pknd.store.ingest import ingest
from pknd.store.store import Store
from tests.pknd.store.people import NOW, Person

async def main():
    start, person = int(sys.argv[2]), Person("Anna")
    store = Store.open(Path(sys.argv[1]))
    await store.write(person.join)

    async def publish(number):
        text = str(number).encode() * (1 if number % 3 else IN_ROW_BYTES)
        payload = Payload("text/plain", len(text), raw_cid(text))
        note = person.note(f"Note {number}", time=NOW + number, payload=payload)

        def work(db):
            put_block(db, store.files, payload.cid, text, record=ingest(db, note, now=NOW).rowid)

        await store.write(work)
        os.write(1, note.id.hex().encode() + b"\\n")

    number = start
    while True:
        await asyncio.gather(*(publish(number + n) for n in range(7)))
        number += 7

asyncio.run(main())
"""


def acknowledged_before_kill(home: Path, *, start: int, seconds: float) -> list[Cid]:
    arguments = [sys.executable, "-c", WRITER, str(home), str(start)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, cwd=REPOSITORY) as writer:
        assert writer.stdout is not None
        first = writer.stdout.readline()
        time.sleep(seconds)  # the moment of the blow is what is varied here
        writer.send_signal(signal.SIGKILL)
        rest = writer.stdout.read()
    # The last line may have been cut by the blow.
    lines = (first + rest).split(b"\n")[:-1]
    return [Cid(bytes.fromhex(line.decode())) for line in lines]


async def check(home: Path, expected: list[Cid], person: Person) -> None:
    store = Store.open(home)
    for cid in expected:
        held = await store.read(lambda db, cid=cid: get(db, cid))  # type: ignore[misc]
        assert held is not None, "an acknowledged record is missing"
        verify_record(held.record)
        body = held.record.body
        assert isinstance(body, Item) and body.payload is not None
        root = body.payload.cid
        block = await store.read(lambda db, root=root: get_block(db, store.files, root))  # type: ignore[misc]
        assert block is not None and raw_cid(block) == root
    rows = await store.read(lambda db: [Cid(c) for (c,) in db.execute("SELECT id FROM record")])
    records = [(await store.read(lambda db, cid=cid: get(db, cid))) for cid in rows]  # type: ignore[misc]
    periods: dict[int, list[Cid]] = {}
    for held in records:
        assert held is not None
        periods.setdefault(record_period(held.record), []).append(held.record.id)
    sums = await store.read(lambda db: sums_at(db, person.author, [b""], at=2**47, floor=None))
    assert sums == {Row(b"", person.author, period): sum_of(ids) for period, ids in periods.items()}
    await store.close()
    assert was_closed_in_order(store.path)


async def blows(home: Path, person: Person, rounds: int) -> None:
    rng = random.Random(rounds)
    expected: list[Cid] = []
    for number in range(rounds):
        expected += acknowledged_before_kill(home, start=number * 1_000_000, seconds=rng.uniform(0, 0.4))
        await check(home, expected, person)
    assert len(expected) > rounds


async def test_after_kill_9_every_acknowledged_record_is_there(tmp_path: Path, anna: Person) -> None:
    await blows(tmp_path, anna, 3)


@pytest.mark.long
@pytest.mark.timeout(600)
async def test_after_50_kills_every_acknowledged_record_is_there(tmp_path: Path, anna: Person) -> None:
    await blows(tmp_path, anna, 50)
