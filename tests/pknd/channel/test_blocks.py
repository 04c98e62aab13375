"""Blocks over HTTP: verified, resumed, given to whom they may be, and not asked of a false certificate."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import aiohttp
import pytest

from pkn_protocol.channel.errors import CloseCode
from pkn_protocol.records.ids import cid_text, raw_cid
from pkn_protocol.records.walk import BadBlock
from pknd.channel import bulk
from pknd.channel.blocks import parse_token, token_text
from pknd.channel.budgets import ArrivalBudgets
from pknd.channel.bulk import BulkClient
from pknd.channel.limits import Limits
from pknd.channel.pinned import Source
from pknd.channel.tls import client_context, make_certificate, server_context
from pknd.store.partials import Partials
from pknd.sync.link import LinkClosed, SourceBusy
from tests.e2e.inside import until
from tests.pknd.channel.conftest import PartyFactory
from tests.pknd.channel.party import LOOPBACK, Party, Randomness, key_of

BLOCK = bytes(range(256)) * 4096
CID = raw_cid(BLOCK)
MOST = len(BLOCK)


async def linked(make: PartyFactory, **settings: object) -> tuple[Party, Party]:
    ada, bruno = await make("ada", **settings), await make("bruno")
    await ada.dial(bruno)
    await bruno.until_linked(ada)
    bruno.blocks[CID] = ada.blocks[CID] = BLOCK
    return ada, bruno


async def test_both_the_dialling_and_the_listening_side_fetch(make: PartyFactory) -> None:
    ada, bruno = await linked(make)
    assert await ada.link_to(bruno).fetch_block(CID, most_bytes=MOST) == BLOCK
    assert await bruno.link_to(ada).fetch_block(CID, most_bytes=MOST) == BLOCK
    assert ada.link_to(bruno).bytes_out >= MOST and ada.link_to(bruno).bytes_in >= MOST


async def test_what_is_absent_and_what_may_not_be_seen_are_answered_alike(make: PartyFactory) -> None:
    ada, bruno = await linked(make)
    other = raw_cid(b"not here")
    assert await ada.link_to(bruno).fetch_block(other, most_bytes=MOST) is None
    answers = []
    for cid in (cid_text(other), "bafy", "%2e%2e%2fpknd.log"):
        async with asking(ada, bruno, cid) as response:
            answers.append((response.status, dict(response.headers) | {"Date": ""}, await response.read()))
    assert answers[0][0] == 404
    assert answers[0] == answers[1] == answers[2]


@contextlib.asynccontextmanager
async def asking(
    ada: Party, bruno: Party, cid: str, token: bytes | None = None, **headers: str
) -> AsyncIterator[aiohttp.ClientResponse]:
    """A request of Ada's to Bruno, below our own client."""
    own = ada.link_to(bruno).peer.token if token is None else token
    async with (
        aiohttp.ClientSession(headers={"Authorization": f"Bearer {token_text(own)}"}) as http,
        http.get(
            f"https://{LOOPBACK}:{bruno.port}/v1/blocks/{cid}", headers=headers, ssl=client_context()
        ) as response,
    ):
        yield response


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        ("bytes=0-", 0, MOST - 1),
        ("bytes=1000-", 1000, MOST - 1),
        ("bytes=10-19", 10, 19),
        ("bytes=10-99999999", 10, MOST - 1),
        ("bytes=-5", MOST - 5, MOST - 1),
    ],
)
async def test_a_part_of_a_block_can_be_had(asked: str, first: int, last: int, make: PartyFactory) -> None:
    ada, bruno = await linked(make)
    async with asking(ada, bruno, cid_text(CID), Range=asked) as response:
        assert response.status == 206
        assert response.headers["Content-Range"] == f"bytes {first}-{last}/{MOST}"
        assert await response.read() == BLOCK[first : last + 1]


@pytest.mark.parametrize("asked", [f"bytes={MOST}-", "bytes=9-3", "lines=1-2", "bytes=1-2,5-6"])
async def test_a_part_that_is_none_is_refused(asked: str, make: PartyFactory) -> None:
    ada, bruno = await linked(make)
    async with asking(ada, bruno, cid_text(CID), Range=asked) as response:
        assert response.status == 416
        assert response.headers["Content-Range"] == f"bytes */{MOST}"


async def test_a_token_is_good_for_its_connection_alone_and_dies_with_it(make: PartyFactory) -> None:
    ada, bruno = await linked(make)
    token = ada.link_to(bruno).peer.token
    async with asking(ada, bruno, cid_text(CID), bytes(32)) as response:
        assert response.status == 401
    async with asking(ada, bruno, cid_text(CID), token) as response:
        assert response.status == 200
    link = bruno.link_to(ada)
    await ada.network.stop()
    await link.wait_over()
    async with (
        aiohttp.ClientSession(headers={"Authorization": f"Bearer {token_text(token)}"}) as http,
        http.get(
            f"https://{LOOPBACK}:{bruno.port}/v1/blocks/{cid_text(CID)}", ssl=client_context()
        ) as response,
    ):
        assert response.status == 401


async def test_many_blocks_come_over_few_connections(
    make: PartyFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada, bruno = await linked(make)
    arrived: list[object] = []
    enter = ArrivalBudgets.enter

    def counted(budgets: ArrivalBudgets, address: str, now: float) -> str | None:
        arrived.append(address)
        return enter(budgets, address, now)

    monkeypatch.setattr(ArrivalBudgets, "enter", counted)
    texts = [f"text {number}".encode() for number in range(Limits().new_per_minute + 10)]
    bruno.blocks |= {raw_cid(text): text for text in texts}
    link = ada.link_to(bruno)
    for text in texts:
        assert await link.fetch_block(raw_cid(text), most_bytes=MOST) == text
    assert len(arrived) <= Limits().bulk_at_once


async def test_nothing_is_fetched_after_the_connection_ended(make: PartyFactory) -> None:
    ada, bruno = await linked(make)
    link = ada.link_to(bruno)
    await bruno.network.stop()
    await link.wait_over()
    with pytest.raises(LinkClosed):
        await link.fetch_block(CID, most_bytes=MOST)


async def test_one_peer_has_only_so_many_blocks_at_a_time(make: PartyFactory) -> None:
    ada, bruno = await linked(make)
    bruno.link_to(ada).blocks_being_given = Limits().bulk_at_once
    async with asking(ada, bruno, cid_text(CID)) as response:
        assert response.status == 429


async def test_only_who_asks_for_more_than_its_own_share_is_closed_for_it(make: PartyFactory) -> None:
    ada, bruno = await linked(make, limits=replace(Limits(), bulk_refusals=2, bulk_in_all=0))
    link = ada.link_to(bruno)
    for _ in range(4):
        async with asking(bruno, ada, cid_text(CID)) as response:
            assert (response.status, response.headers["Retry-After"]) == (429, "1")
    assert ada.network.links == {bruno.device: link}
    link.blocks_being_given = Limits().bulk_at_once
    for _ in range(3):
        async with asking(bruno, ada, cid_text(CID)) as response:
            assert response.status == 429
    await link.wait_over()
    assert link.ended is not None and link.ended.code is CloseCode.OVER_BUDGET


def test_a_token_survives_its_text_form_and_nothing_else_is_one() -> None:
    token = Randomness("token")(32)
    assert parse_token(f"Bearer {token_text(token)}") == token
    for text in ("", "Bearer", "Basic abc", "Bearer é", "Bearer a", "Bearer " + "a" * 500):
        assert parse_token(text) in (None, b"")


# A server below our own code: what it received, and what it answers.


@dataclass
class FalseServer:
    """A real TLS server that notes everything it is sent, and answers with what a test gives it."""

    answers: list[Callable[[asyncio.StreamWriter, str], None]] = field(default_factory=list)
    received: bytearray = field(default_factory=bytearray)
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    port: int = 0
    stays_open: bool = False

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            request = await reader.readuntil(b"\r\n\r\n")
            self.received += request
            self.asked.set()
            if self.answers:
                give = self.answers.pop(0)
                give(writer, request.decode())
                await writer.drain()
                if give is nothing or self.stays_open:
                    await reader.read()
        writer.close()


@contextlib.asynccontextmanager
async def false_server(context: ssl.SSLContext) -> AsyncIterator[FalseServer]:
    server = FalseServer()
    listening = await asyncio.start_server(server.serve, LOOPBACK, 0, ssl=context)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listening.close()
        await listening.wait_closed()


def server_of(name: str) -> tuple[ssl.SSLContext, bytes]:
    certificate = make_certificate(key_of(name))
    return server_context(certificate, random_bytes=Randomness(name)), certificate.digest


TOKEN = Randomness("secret token")(32)


def answer(status: str, headers: str, body: bytes, *, cut: int | None = None) -> Callable[..., None]:
    def write(writer: asyncio.StreamWriter, request: str) -> None:
        writer.write(f"HTTP/1.1 {status}\r\n{headers}\r\n\r\n".encode() + body[:cut])

    return write


def whole(block: bytes, *, cut: int | None = None) -> Callable[..., None]:
    return answer("200 OK", f"Content-Length: {len(block)}", block, cut=cut)


def rest(block: bytes, start: int) -> Callable[..., None]:
    headers = (
        f"Content-Length: {len(block) - start}\r\nContent-Range: bytes {start}-{len(block) - 1}/{len(block)}"
    )
    return answer("206 Partial Content", headers, block[start:])


@contextlib.asynccontextmanager
async def fetching(
    *answers: Callable[..., None],
    partials: Path | None = None,
    most_bytes: int = MOST,
    limits: Limits | None = None,
) -> AsyncIterator[tuple[FalseServer, Callable[..., Awaitable[bytes | None]]]]:
    """A server with these answers, and how to fetch from it: into memory, or over a file in `partials`."""
    context, digest = server_of("bruno")
    client = BulkClient(limits or replace(Limits(), bulk_read_seconds=0.5))
    async with false_server(context) as server:
        server.answers += answers
        source = Source(LOOPBACK, server.port, digest, TOKEN)

        async def fetch(*, alive: bool = True) -> bytes | None:
            if partials is None:
                return await client.fetch(source, CID, most_bytes=most_bytes, alive=lambda: alive)
            into = Partials(partials).open(CID, most_bytes=MOST)
            try:
                return (
                    into.path.read_bytes()
                    if await client.receive(source, CID, into, alive=lambda: alive)
                    else None
                )
            finally:
                into.close()

        try:
            yield server, fetch
        finally:
            await client.close()


async def test_a_false_certificate_never_gets_the_token() -> None:
    context, _ = server_of("somebody else")
    _, digest = server_of("bruno")
    client = BulkClient(Limits())
    async with false_server(context) as server:
        with pytest.raises(LinkClosed, match="another certificate"):
            await client.fetch(
                Source(LOOPBACK, server.port, digest, TOKEN), CID, most_bytes=MOST, alive=lambda: True
            )
        await client.close()
    assert bytes(server.received) == b""


async def test_the_right_certificate_does_get_it() -> None:
    async with fetching(whole(BLOCK)) as (server, fetch):
        assert await fetch() == BLOCK
        assert token_text(TOKEN).encode() in server.received


async def test_a_redirect_is_not_followed() -> None:
    moved = answer("302 Found", "Location: https://127.0.0.1:1/\r\nContent-Length: 0", b"")
    async with fetching(moved) as (server, fetch):
        with pytest.raises(LinkClosed, match="302"):
            await fetch()
        assert server.received.count(b"GET ") == 1


async def test_a_transfer_that_breaks_off_goes_on_where_it_stopped() -> None:
    async with fetching(whole(BLOCK, cut=300_000), rest(BLOCK, 300_000)) as (server, fetch):
        assert await fetch() == BLOCK
        assert b"Range: bytes=300000-" in server.received


async def test_a_transfer_goes_on_in_a_later_run_from_what_was_kept(tmp_path: Path) -> None:
    async with fetching(whole(BLOCK, cut=300_000), partials=tmp_path / "p") as (_, fetch):
        with pytest.raises(LinkClosed, match="broke off"):
            await fetch()
    async with fetching(rest(BLOCK, 300_000), partials=tmp_path / "p") as (server, fetch):
        assert await fetch() == BLOCK
        assert b"Range: bytes=300000-" in server.received


async def test_what_came_before_a_sender_fell_silent_is_kept(tmp_path: Path) -> None:
    silent = answer("200 OK", f"Content-Length: {MOST}", BLOCK[:100_000])
    async with fetching(silent, partials=tmp_path) as (server, fetch):
        server.stays_open = True
        with pytest.raises(LinkClosed, match="nothing came"):
            await fetch()
    assert (tmp_path / cid_text(CID)).read_bytes() == BLOCK[:100_000]


async def test_a_slow_sender_is_seen_to_send_long_before_a_piece_is_full(tmp_path: Path) -> None:
    over = asyncio.Event()

    class Slow(FalseServer):
        async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {MOST}\r\n\r\n".encode())
            for start in range(0, 200_000, 2000):
                writer.write(BLOCK[start : start + 2000])
                await writer.drain()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(over.wait(), 0.05)
            writer.close()

    context, digest = server_of("bruno")
    listening = await asyncio.start_server(Slow().serve, LOOPBACK, 0, ssl=context)
    source = Source(LOOPBACK, listening.sockets[0].getsockname()[1], digest, TOKEN)
    client = BulkClient(Limits())
    into = Partials(tmp_path).open(CID, most_bytes=MOST)
    receiving = asyncio.create_task(client.receive(source, CID, into, alive=lambda: True))
    await until("the beginning", lambda: into.length > 0)
    assert not receiving.done() and into.length < 100_000
    over.set()
    with pytest.raises(LinkClosed, match="broke off"):
        await receiving
    into.close()
    await client.close()
    listening.close()
    await listening.wait_closed()


async def test_a_block_that_came_in_full_before_a_crash_is_not_asked_for_again(tmp_path: Path) -> None:
    (tmp_path / cid_text(CID)).write_bytes(BLOCK)
    async with fetching(partials=tmp_path) as (server, fetch):
        assert await fetch() == BLOCK
        assert bytes(server.received) == b""


def nothing(writer: asyncio.StreamWriter, request: str) -> None:
    """Headers, and then no byte for longer than anybody waits."""
    writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(BLOCK)}\r\n\r\n".encode())


@pytest.fixture
def one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "_THREADS", 1)


@pytest.mark.usefixtures("one_thread")
async def test_the_wait_for_a_thread_does_not_count_as_the_senders(tmp_path: Path) -> None:
    limits = replace(Limits(), bulk_block_seconds=1.0)
    async with fetching(nothing, whole(BLOCK), limits=limits) as (_, fetch):
        first, second = asyncio.ensure_future(fetch()), asyncio.ensure_future(fetch())
        with pytest.raises(LinkClosed, match="too slow"):
            await first
        assert await second == BLOCK


@pytest.mark.usefixtures("one_thread")
async def test_who_waits_for_a_thread_may_leave_at_once(tmp_path: Path) -> None:
    limits = replace(Limits(), bulk_block_seconds=60.0)
    async with fetching(nothing, limits=limits) as (server, fetch):
        first = asyncio.ensure_future(fetch())
        async with asyncio.timeout(10):
            await server.asked.wait()
            second = asyncio.ensure_future(fetch())
            await asyncio.sleep(0)
            second.cancel()
            await asyncio.wait((second,))
        assert second.cancelled() and not first.done()
        first.cancel()


async def test_what_waits_for_its_turn_is_not_asked_for_once_the_connection_is_gone(tmp_path: Path) -> None:
    async with fetching(whole(BLOCK), partials=tmp_path) as (server, fetch):
        with pytest.raises(LinkClosed, match="gone"):
            await fetch(alive=False)
        assert bytes(server.received) == b""


async def test_a_wrong_beginning_is_forgotten_and_its_successor_not_blamed(tmp_path: Path) -> None:
    (tmp_path / cid_text(CID)).write_bytes(bytes(200_000))
    async with fetching(rest(BLOCK, 200_000), whole(BLOCK), partials=tmp_path) as (_, fetch):
        assert await fetch() == BLOCK


async def test_after_a_wrong_beginning_a_wrong_block_is_the_senders_fault(tmp_path: Path) -> None:
    (tmp_path / cid_text(CID)).write_bytes(bytes(200_000))
    wrong = BLOCK[:-1] + b"x"
    async with fetching(rest(BLOCK, 200_000), whole(wrong), partials=tmp_path) as (_, fetch):
        with pytest.raises(BadBlock):
            await fetch()


async def test_a_beginning_longer_than_the_block_is_forgotten(tmp_path: Path) -> None:
    (tmp_path / cid_text(CID)).write_bytes(bytes(MOST + 1))
    async with fetching(whole(BLOCK), partials=tmp_path) as (server, fetch):
        assert await fetch() == BLOCK
        assert b"Range" not in server.received


async def test_a_beginning_that_the_sender_finds_too_long_is_forgotten(tmp_path: Path) -> None:
    (tmp_path / cid_text(CID)).write_bytes(bytes(200_000))
    beyond = answer("416 Range Not Satisfiable", "Content-Length: 0", b"")
    async with fetching(beyond, whole(BLOCK), partials=tmp_path) as (_, fetch):
        with pytest.raises(LinkClosed, match="beyond"):
            await fetch()
        assert await fetch() == BLOCK


async def test_a_sender_that_has_given_enough_is_not_at_fault(tmp_path: Path) -> None:
    async with fetching(answer("429 Too Many Requests", "Content-Length: 0", b"")) as (_, fetch):
        with pytest.raises(SourceBusy):
            await fetch()


@pytest.mark.parametrize(
    "bad",
    [
        whole(BLOCK[:-1] + b"x"),
        whole(BLOCK[:-1]),
        whole(BLOCK + b"x"),
        answer("200 OK", "Connection: close", BLOCK + b"x"),
        answer("206 Partial Content", f"Content-Length: {MOST}\r\nContent-Range: bytes 1-9/10", BLOCK),
    ],
    ids=["wrong byte", "short", "announced too long", "longer than allowed", "another range"],
)
async def test_what_is_not_the_block_is_the_senders_fault(bad: Callable[..., None]) -> None:
    async with fetching(bad) as (_, fetch):
        with pytest.raises(BadBlock):
            await fetch()


@pytest.mark.parametrize(
    "bad",
    [
        answer("200 OK", "X: " + "x" * 20_000, b""),
        answer("200 OK", "\r\n".join(f"X-{number}: {'x' * 900}" for number in range(30)), b""),
        answer("100 Continue\r\n\r\nHTTP/1.1 " * 900 + "200 OK", "", b""),
        answer("200 OK", "Transfer-Encoding: chunked", b"5\r\nhello\r\n0\r\n\r\n"),
        answer("200 OK", "Content-Encoding: gzip\r\nContent-Length: 3", b"abc"),
        answer("two hundred", "", b""),
        lambda writer, request: writer.write(b"\x00\xff" * 20_000),
    ],
    ids=["long header", "many headers", "endless beginnings", "chunks", "compressed", "no status", "no HTTP"],
)
async def test_what_is_no_answer_of_the_protocol_is_not_read_on(bad: Callable[..., None]) -> None:
    async with fetching(bad) as (server, fetch):
        with pytest.raises(LinkClosed, match="blocks cannot be had"):
            await fetch()
        assert server.received.count(b"GET ") == 1


async def test_a_sender_that_falls_silent_is_given_up() -> None:
    stopped = asyncio.Event()

    class Silent(FalseServer):
        async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nabc")
            await stopped.wait()
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()
            closed.release()

    closed = asyncio.Semaphore(0)
    limits = replace(Limits(), bulk_read_seconds=0.1)
    context, digest = server_of("bruno")
    listening = await asyncio.start_server(Silent().serve, LOOPBACK, 0, ssl=context)
    port = listening.sockets[0].getsockname()[1]
    client = BulkClient(limits)
    with pytest.raises(LinkClosed, match="nothing came"):
        await client.fetch(Source(LOOPBACK, port, digest, TOKEN), CID, most_bytes=MOST, alive=lambda: True)
    await client.close()
    stopped.set()
    listening.close()
    for _ in range(limits.bulk_tries):
        await closed.acquire()


def test_only_so_many_beginnings_are_kept(tmp_path: Path) -> None:
    partials = Partials(tmp_path)
    for number in range(80):
        kept = partials.open(raw_cid(bytes([number])), most_bytes=MOST)
        kept.begin()
        kept.take(memoryview(bytes(70_000)))
        kept.close()
    partials.trim()
    assert len(list(tmp_path.iterdir())) == 64


def test_a_short_beginning_is_not_worth_a_file(tmp_path: Path) -> None:
    short = Partials(tmp_path).open(CID, most_bytes=MOST)
    short.begin()
    short.take(memoryview(b"short"))
    short.close()
    assert list(tmp_path.iterdir()) == []


def test_two_who_fetch_the_same_block_do_not_write_into_one_file(tmp_path: Path) -> None:
    partials = Partials(tmp_path)
    one, other = partials.open(CID, most_bytes=MOST), partials.open(CID, most_bytes=MOST)
    for file in (one, other):
        file.begin()
        file.take(memoryview(BLOCK[:100_000]))
    for file in (one, other):
        file.take(memoryview(BLOCK[100_000:]))
        assert file.is_block(CID)
        file.close()
    assert partials.open(CID, most_bytes=MOST).path == one.path


def test_to_let_go_twice_does_not_let_go_of_what_another_has_opened_meanwhile(tmp_path: Path) -> None:
    partials = Partials(tmp_path)
    one = partials.open(CID, most_bytes=MOST)
    one.begin()
    one.close()
    other = partials.open(CID, most_bytes=MOST)
    one.close()
    assert partials.open(CID, most_bytes=MOST).path != other.path


def test_a_beginning_is_gone_on_with_by_the_next_who_opens_it(tmp_path: Path) -> None:
    partials = Partials(tmp_path)
    for end in (100_000, MOST):
        file = partials.open(CID, most_bytes=MOST)
        file.begin()
        file.take(memoryview(BLOCK[file.length : end]))
        file.close()
    assert (file.had, file.is_block(CID)) == (100_000, True)
