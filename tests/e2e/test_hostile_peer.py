"""A peer that authenticates like any other and then sends what it should not, to a whole daemon: it is told
why it is cut off, what was good before is kept, and others are served all the while."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from pkn_protocol.channel import messages as m
from pkn_protocol.channel.errors import CloseCode
from pkn_protocol.records.cbor import Link as CborLink
from pkn_protocol.records.cbor import Value, encode
from pkn_protocol.records.codec import SIGNATURE_DOMAIN, sign_record
from pkn_protocol.records.ids import Cid, cid_text, dag_cbor_cid, raw_cid
from pkn_protocol.records.limits import RECORD_BYTES
from pkn_protocol.records.model import Item, Payload, Record
from pkn_protocol.records.payload import BLOCK_BYTES, FAN_OUT, Entry, build_tree
from pkn_protocol.records.signing import Ed25519Key
from pkn_protocol.sync.wants import PairKey
from pknd.channel.link import Link
from tests.e2e.harness import PKN
from tests.e2e.inside import Inside, until
from tests.pknd.channel.party import LOOPBACK, Party
from tests.vectors.generate import AUTHOR, DEVICE, ME, TIME, invalid_records

DAY_MS = 86_400_000
HUGE_LIST = b"\x9b" + (2**40).to_bytes(8, "big")
"""The head of a list of 2^40 things, of which none follows."""


@pytest.fixture(autouse=True)
def nothing_unforeseen_is_logged(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    caplog.set_level(logging.DEBUG, "pkn")
    yield
    wrong = [
        record.getMessage()
        for record in caplog.records
        if record.levelno >= logging.ERROR or record.exc_info or record.msg == "traceback"
    ]
    assert wrong == []


@asynccontextmanager
async def listening(party: Party) -> AsyncIterator[Party]:
    try:
        yield await party.start()
    finally:
        await party.network.stop()


@asynccontextmanager
async def meeting(folder: Path) -> AsyncIterator[tuple[Inside, Party, Party]]:
    """A daemon, somebody hostile (with the keys of the vectors), and a witness who stays connected."""
    daemon = Inside("Ann", folder)
    mallory = Party("mallory", device_key=DEVICE, author_key=AUTHOR)
    async with daemon.running(), listening(mallory), listening(Party("witness")) as witness:
        await introduced(witness, daemon)
        yield daemon, mallory, witness


async def introduced(party: Party, daemon: Inside) -> Link:
    """Connected to the daemon, which has said what it wants."""
    link = await party.network.dial(LOOPBACK, daemon.daemon.network.port, expected=daemon.env.keys.device)
    await party.until(lambda: link in party.heard.wanting)
    return link


def holding(party: Party, after: Link | None = None) -> None:
    """Have a party say, when it is asked, that it has the blocks it gives; not before a link is over."""

    async def answer(link: Link, message: m.Message) -> AsyncIterator[m.Message]:
        if isinstance(message, m.Have):
            if after is not None:
                await after.wait_over()
            yield m.Holds(bytes(cid in party.blocks for cid in message.cids))
        else:
            yield m.Unsupported(type(message).__name__.lower())

    party.answer = answer


async def push(party: Party, link: Link, daemon: Inside, *blocks: bytes) -> None:
    key = PairKey.of(party.device_key, daemon.env.keys.device)
    await link.send(m.Push(key.hash(party.author), blocks))


def note(title: str, *, key: Ed25519Key = DEVICE, time: int = TIME, payload: Payload | None = None) -> Record:
    body = Item(title=title, payload=payload)
    return sign_record(author=ME, key=key, time=time, kind="note", body=body)


def oversized() -> bytes:
    """A record that would be valid, were it not too long."""
    signed_by: dict[str, Value] = {"v": 1, "author": AUTHOR.public, "by": DEVICE.public}
    fields: dict[str, Value] = {
        **signed_by,
        "time": TIME,
        "kind": "note",
        "title": "t",
        "padding": bytes(RECORD_BYTES),
    }
    return encode({**fields, "sig": DEVICE.sign(SIGNATURE_DOMAIN + encode(fields))})


def known(daemon: Inside) -> set[bytes]:
    """The ids of all records that the daemon holds."""
    rows = daemon.env.store.read_now(lambda db: db.execute("SELECT id FROM record").fetchall())
    return {cid for (cid,) in rows}


async def told(link: Link) -> CloseCode:
    """Why the daemon ended the connection."""
    async with asyncio.timeout(10):
        await link.wait_over()
    assert link.ended is not None
    assert link.ended.by_peer
    return link.ended.code


def reason(link: Link) -> str:
    return "" if link.ended is None else link.ended.reason


async def is_served(witness: Party, daemon: Inside, record: Record) -> bool:
    link = witness.network.links[daemon.env.keys.device]
    reply = await link.request(m.Fetch((record.id,)), timeout_s=5)
    return isinstance(reply, m.Records) and record.block in reply.blocks


async def test_records_that_are_not_valid_end_the_connection_and_harm_nobody_else(tmp_path: Path) -> None:
    bad = [(name, block) for name, block, error in invalid_records() if block and error != "too-new"]
    names = " ".join(name for name, _ in bad)
    for what in ("s + L", "mixed-order", "small order", "flipped bit", "cut off", "deep", "shortest"):
        assert what in names
    bad += [
        ("a list of 2^40 things", b"\xa1\x61v" + HUGE_LIST),
        ("10,000 lists in each other", b"\x81" * 10_000 + b"\x00"),
    ]
    async with meeting(tmp_path) as (daemon, _, witness):
        for number, (name, block) in enumerate(bad):
            # Another device each time: one that did this is not spoken with for a while.
            async with listening(Party(f"mallory {number}", author_key=AUTHOR)) as device:
                link = await introduced(device, daemon)
                good = note(f"Good {number}", key=device.device_key)
                await push(device, link, daemon, good.block, block)
                assert await told(link) is CloseCode.BAD_RECORD, name
                assert "not valid" in reason(link), name
                assert await is_served(witness, daemon, good), name
        assert witness.heard.ended == []


@pytest.mark.parametrize(
    "block", [pytest.param(b"", id="empty"), pytest.param(oversized(), id="over 16 KiB")]
)
async def test_a_record_of_a_length_that_none_has_is_not_even_looked_at(block: bytes, tmp_path: Path) -> None:
    async with meeting(tmp_path) as (daemon, mallory, witness):
        link = await introduced(mallory, daemon)
        beside = note("Beside it")
        await push(mallory, link, daemon, beside.block, block)
        assert await told(link) is CloseCode.BAD_MESSAGE
        assert known(daemon) & {beside.id, dag_cbor_cid(block)} == set()
        assert witness.heard.ended == []


async def test_records_of_later_versions_and_far_times_are_refused_and_the_connection_goes_on(
    tmp_path: Path,
) -> None:
    [too_new] = [block for _, block, error in invalid_records() if error == "too-new"]
    async with meeting(tmp_path) as (daemon, mallory, witness):
        link = await introduced(mallory, daemon)
        ahead = note("From the day after tomorrow", time=daemon.now() + 2 * DAY_MS)
        tomorrow = note("By a clock that is half a day fast", time=daemon.now() + DAY_MS // 2)
        await push(mallory, link, daemon, ahead.block, too_new, tomorrow.block)
        await mallory.until(lambda: sum(isinstance(said, m.Refused) for said in mallory.heard.messages) == 2)
        refused = {said.reason: said.ids for said in mallory.heard.messages if isinstance(said, m.Refused)}
        assert refused == {
            "its time lies more than a day ahead": (ahead.id,),
            "too new": (dag_cbor_cid(too_new),),
        }
        assert known(daemon) & {ahead.id, tomorrow.id} == {tomorrow.id}
        assert await link.request(m.Ping(), timeout_s=5) == m.Pong()
        assert await is_served(witness, daemon, tomorrow)


async def get(daemon: Inside, record: Record) -> tuple[int, bytes, str]:
    """`pkn get`: status, the content, and what it said on stderr."""
    process = await asyncio.create_subprocess_exec(
        str(PKN),
        *("get", cid_text(record.id)),
        env={**os.environ, "PKN_HOME": str(daemon.folder), "NO_COLOR": "1"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await process.communicate()
    assert process.returncode is not None
    return process.returncode, output, errors.decode()


ANNOUNCED = b"Ten bytes."
LONG = b"This is not what was announced. " * 65_536


@pytest.mark.parametrize(
    ("root", "given"),
    [
        pytest.param(raw_cid(ANNOUNCED), LONG, id="over-long"),
        pytest.param(raw_cid(LONG), LONG, id="longer than the record says"),
        pytest.param(raw_cid(ANNOUNCED), ANNOUNCED[:5], id="cut off"),
        pytest.param(raw_cid(ANNOUNCED), ANNOUNCED[::-1], id="another digest"),
    ],
)
async def test_a_block_that_is_not_the_one_announced_ends_the_connection(
    root: Cid, given: bytes, tmp_path: Path
) -> None:
    async with meeting(tmp_path) as (daemon, mallory, witness):
        link = await introduced(mallory, daemon)
        record = note("Ten bytes", payload=Payload("text/plain", len(ANNOUNCED), root))
        mallory.blocks[root] = given
        await push(mallory, link, daemon, record.block)
        await until("the record", lambda: record.id in known(daemon))
        status, output, errors = await get(daemon, record)
        assert (status, output) == (1, b"")
        assert errors.count("\n") == 1, errors
        assert await told(link) is CloseCode.BAD_RECORD
        assert kept(daemon) == []
        assert await is_served(witness, daemon, record)


def kept(daemon: Inside) -> list[object]:
    """Whatever of contents is on the disk."""
    rows = daemon.env.store.read_now(lambda db: db.execute("SELECT cid FROM block").fetchall())
    return [*rows, *(path for path in (daemon.folder / "blocks").rglob("*") if path.is_file())]


@pytest.mark.parametrize("length", [BLOCK_BYTES, 1000])
async def test_a_block_whose_length_its_author_has_announced_wrongly_is_never_kept(
    length: int, tmp_path: Path
) -> None:
    block = bytes(length)
    root = raw_cid(block)
    async with meeting(tmp_path) as (daemon, mallory, witness):
        link = await introduced(mallory, daemon)
        # Shorter than is fetched into memory, and longer.
        records = [
            note(f"{size} bytes", payload=Payload("application/octet-stream", size, root), time=TIME + size)
            for size in (100, BLOCK_BYTES - 1)
        ]
        witness.blocks[root] = block
        await push(mallory, link, daemon, *(record.block for record in records))
        for record in records:
            await until("the record", lambda cid=record.id: cid in known(daemon))  # type: ignore[misc]
            for _ in range(2):
                status, output, errors = await get(daemon, record)
                assert (status, output) == (1, b"")
                assert errors.count("\n") == 1, errors
            assert kept(daemon) == []
            # Not the fault of who passes it on.
            assert await is_served(witness, daemon, record)
        honest = note("As announced", payload=Payload("application/octet-stream", length, root))
        await push(mallory, link, daemon, honest.block)
        await until("the record", lambda: honest.id in known(daemon))
        assert (await get(daemon, honest))[:2] == (0, block)
        for record in records:
            assert (await get(daemon, record))[:2] == (1, b"")


async def test_a_manifest_that_unfolds_without_bound_is_not_followed(tmp_path: Path) -> None:
    """Three levels that each name the one below 1,024 times, where the record says 2 MiB."""
    leaf = raw_cid(b"leaf")
    blocks: dict[Cid, bytes] = {}
    below = leaf
    for _ in range(3):
        entries: list[Value] = [[CborLink(below), BLOCK_BYTES] for _ in range(FAN_OUT)]
        block = encode({"entries": entries, "v": 1})
        below = dag_cbor_cid(block)
        blocks[below] = block
    async with meeting(tmp_path) as (daemon, mallory, witness):
        link = await introduced(mallory, daemon)
        record = note("A small payload", payload=Payload("text/plain", 2 * BLOCK_BYTES, below))
        mallory.blocks |= blocks
        holding(mallory)
        await push(mallory, link, daemon, record.block)
        await until("the record", lambda: record.id in known(daemon))
        status, output, errors = await get(daemon, record)
        assert (status, output) == (1, b"")
        assert errors.count("\n") == 1, errors
        assert mallory.heard.blocks == [below]
        assert kept(daemon) == []
        assert await is_served(witness, daemon, record)


async def test_a_false_chunk_costs_its_sender_the_connection_and_the_reader_nothing(tmp_path: Path) -> None:
    chunks = [bytes([number]) * BLOCK_BYTES for number in range(2)] + [b"the end"]
    root, manifests = build_tree([Entry(raw_cid(chunk), len(chunk)) for chunk in chunks])
    blocks = dict(manifests) | {raw_cid(chunk): chunk for chunk in chunks}
    async with meeting(tmp_path) as (daemon, mallory, witness):
        link = await introduced(mallory, daemon)
        size = sum(map(len, chunks))
        record = note("Three chunks", payload=Payload("application/octet-stream", size, root))
        witness.blocks |= blocks
        mallory.blocks |= blocks | {raw_cid(chunks[1]): bytes(BLOCK_BYTES)}
        holding(mallory)
        holding(witness, after=link)
        await push(mallory, link, daemon, record.block)
        await until("the record", lambda: record.id in known(daemon))
        status, output, errors = await get(daemon, record)
        assert (status, errors) == (0, "")
        assert output == b"".join(chunks)
        assert await told(link) is CloseCode.BAD_RECORD
        # The witness said that it has them when the author was cut off; what that gave before was kept.
        assert mallory.heard.blocks[0] == root
        assert raw_cid(chunks[0]) not in witness.heard.blocks
