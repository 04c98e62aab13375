"""What a peer, or whoever finds the port, may do wrong: each ends with a reason, and others go on."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import aiohttp
import pytest

from pkn_protocol.channel import messages as m
from pkn_protocol.channel.codec import LARGEST_MESSAGE, Stage, decode_message, encode_message
from pkn_protocol.channel.errors import ChannelError, CloseCode
from pkn_protocol.channel.handshake import GREATEST_VERSION
from pkn_protocol.records.ids import raw_cid
from pknd.channel.limits import Limits
from pknd.channel.link import Link
from pknd.channel.tls import client_context
from tests.pknd.channel.conftest import PartyFactory
from tests.pknd.channel.party import LOOPBACK, Party

Events = Callable[[str], list[dict[str, Any]]]


@contextlib.asynccontextmanager
async def websocket(party: Party) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    """A WebSocket to a party, below our own code."""
    async with (
        aiohttp.ClientSession() as http,
        http.ws_connect(
            f"https://{LOOPBACK}:{party.port}/v1/channel", ssl=client_context(), max_msg_size=0
        ) as socket,
    ):
        yield socket


async def close_of(socket: aiohttp.ClientWebSocketResponse) -> m.Close:
    """The `close` message that ends a WebSocket."""
    async with asyncio.timeout(5):
        while True:
            received = await socket.receive()
            if received.type is not aiohttp.WSMsgType.BINARY:
                raise AssertionError(f"it ended without a close message: {received}")
            message = decode_message(received.data, Stage.HANDSHAKE).message
            if isinstance(message, m.Close):
                return message


async def raw_talk(party: Party, data: bytes) -> bytes:
    """Send bytes to the port without TLS; what comes back until it is closed."""
    reader, writer = await asyncio.open_connection(LOOPBACK, party.port)
    try:
        writer.write(data)
        async with asyncio.timeout(5):
            return await reader.read()
    except ConnectionResetError:
        return b""
    finally:
        writer.close()


async def still_serves(party: Party, make: PartyFactory) -> None:
    witness = await make("witness")
    link = await witness.dial(party)
    assert await link.request(m.Ping(), timeout_s=5) == m.Pong()


async def test_garbage_on_the_port_ends_with_a_logged_reason(make: PartyFactory, events: Events) -> None:
    ada = await make("ada")
    for garbage in (b"GET / HTTP/1.1\r\n\r\n", b"\x00" * 5000, b"\xff\x16\x03", b"SSH-2.0-x\r\n"):
        await raw_talk(ada, garbage + b"\r\n" * 10)
    await still_serves(ada, make)
    refused = events("channel.refused")
    assert len(refused) == 4
    assert all("TLS" in event["reason"] for event in refused)


async def test_garbage_inside_tls_ends_with_a_logged_reason(make: PartyFactory, events: Events) -> None:
    ada = await make("ada")
    for garbage in (
        b"\x00\x01\x02\r\n\r\n",
        b"GET " + b"x" * 9000 + b" HTTP/1.1\r\n\r\n",
        b"BREW / HTTP/9\r\n\r\n",
    ):
        reader, writer = await asyncio.open_connection(LOOPBACK, ada.port, ssl=client_context())
        writer.write(garbage)
        async with asyncio.timeout(5):
            assert (await reader.read()).startswith(b"HTTP/1.")
        writer.close()
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            await writer.wait_closed()
    await still_serves(ada, make)
    assert len(events("channel.refused")) == 3


async def test_other_paths_and_methods_are_not_found(make: PartyFactory) -> None:
    ada = await make("ada")
    async with aiohttp.ClientSession() as http:
        for method, path in (("GET", "/"), ("POST", "/v1/channel"), ("GET", "/v1/"), ("PUT", "/v1/blocks/x")):
            url = f"https://{LOOPBACK}:{ada.port}{path}"
            async with http.request(method, url, ssl=client_context()) as response:
                assert response.status == 404
                assert response.headers["Server"] == "pkn"


async def test_old_tls_is_refused(make: PartyFactory) -> None:
    ada = await make("ada")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await asyncio.open_connection(LOOPBACK, ada.port, ssl=context)


@pytest.mark.parametrize("stage", ["before TLS", "before HTTP", "before the hello", "before the proof"])
async def test_a_peer_that_never_finishes_its_handshake_is_dropped(
    stage: str, make: PartyFactory, short: Limits, events: Events
) -> None:
    ada = await make("ada", limits=short)
    async with contextlib.AsyncExitStack() as stack:
        if stage.endswith(("TLS", "HTTP")):
            context = client_context() if stage.endswith("HTTP") else None
            reader, writer = await asyncio.open_connection(LOOPBACK, ada.port, ssl=context)
            stack.callback(writer.close)
            async with asyncio.timeout(5):
                with contextlib.suppress(ConnectionError):
                    assert await reader.read() == b""
        else:
            socket = await stack.enter_async_context(websocket(ada))
            if stage == "before the proof":
                bruno = Party("bruno")
                hello = bruno.network._local.hello(bytes(32))
                await socket.send_bytes(encode_message(m.Envelope(hello), GREATEST_VERSION))
            assert (await close_of(socket)).code == CloseCode.TOO_SLOW
    await ada.network.stop()
    assert len(events("channel.refused")) == 1
    assert (
        "time" in events("channel.refused")[0]["reason"] or "long" in events("channel.refused")[0]["reason"]
    )


async def test_messages_before_the_handshake_are_refused(make: PartyFactory) -> None:
    ada = await make("ada")
    async with websocket(ada) as socket:
        await socket.send_bytes(
            encode_message(m.Envelope(m.Have((raw_cid(b""),)), request=1), GREATEST_VERSION)
        )
        assert (await close_of(socket)).code == CloseCode.BAD_MESSAGE


async def test_text_and_oversized_frames_end_the_connection(make: PartyFactory) -> None:
    ada = await make("ada")
    async with websocket(ada) as socket:
        await socket.send_str("hello")
        assert "text" in (await close_of(socket)).reason
    async with websocket(ada) as socket:
        await socket.send_bytes(bytes(LARGEST_MESSAGE + 1))
        async with asyncio.timeout(5):
            received = await socket.receive()
        assert received.type is aiohttp.WSMsgType.CLOSE and received.data == 1009


async def misbehave(make: PartyFactory, frames: list[bytes], **settings: Any) -> tuple[Party, Link]:
    """Bruno connects to Ada properly, and then sends these frames."""
    ada, bruno = await make("ada", **settings), await make("bruno")
    link = await bruno.dial(ada)
    for frame in frames:
        with contextlib.suppress(Exception):
            await link._socket.send(frame)
    await ada.until(lambda: bool(ada.heard.ended))
    return ada, ada.heard.ended[0]


@pytest.mark.parametrize(
    ("frames", "code"),
    [
        ([b"\xff\xff\xff"], CloseCode.BAD_MESSAGE),
        ([b""], CloseCode.BAD_MESSAGE),
        ([encode_message(m.Envelope(m.Same(1)), GREATEST_VERSION) + b"\0"], CloseCode.BAD_MESSAGE),
        ([encode_message(m.Envelope(m.Have(())), GREATEST_VERSION)], CloseCode.BAD_MESSAGE),
        (
            [encode_message(m.Envelope(m.Welcome(bytes(64), b"x", bytes(32))), GREATEST_VERSION)],
            CloseCode.BAD_MESSAGE,
        ),
        ([b"\x81" * 3000], CloseCode.BAD_MESSAGE),
        ([bytes(LARGEST_MESSAGE)], CloseCode.BAD_MESSAGE),
        ([bytes(LARGEST_MESSAGE + 1)], CloseCode.TOO_LARGE),
        ([encode_message(m.Envelope(m.Unsupported("x" * 2000)), GREATEST_VERSION)], CloseCode.TOO_LARGE),
    ],
    ids=[
        "not CBOR",
        "empty",
        "trailing",
        "no number",
        "stage",
        "deep",
        "zeros",
        "too long",
        "long for its type",
    ],
)
async def test_a_bad_frame_ends_the_connection_and_is_remembered(
    frames: list[bytes], code: CloseCode, make: PartyFactory, events: Events
) -> None:
    ada, link = await misbehave(make, frames)
    assert link.ended is not None and link.ended.code is code
    assert [end.code for end in ada.heard.violations] == [code]
    await ada.network.stop()
    assert any(event["code"] == code.name.lower() for event in events("peer.disconnected"))


async def test_more_requests_than_agreed_are_a_violation(make: PartyFactory) -> None:
    async def answer(link: Link, message: m.Message) -> AsyncIterator[m.Message]:
        await asyncio.Event().wait()
        yield m.Pong()

    ada, bruno = await make("ada"), await make("bruno")
    ada.answer = answer
    link = await bruno.dial(ada)
    for number in range(101, 140):
        await link._put(m.Envelope(m.Have(()), request=number))
    await ada.until(lambda: bool(ada.heard.ended))
    assert [end.code for end in ada.heard.violations] == [CloseCode.OVER_BUDGET]


async def test_unknown_messages_and_late_replies_are_no_fault(make: PartyFactory) -> None:
    ada, bruno = await make("ada"), await make("bruno")
    link = await bruno.dial(ada)
    for envelope in (m.Envelope(m.Unsupported("later")), m.Envelope(m.Pong(), reply=77)):
        await link._put(envelope)
    assert await link.request(m.Unsupported("later"), timeout_s=5) == m.Unsupported("later")
    assert not ada.heard.violations and bruno.device in ada.network.links


async def test_a_peer_that_does_not_read_is_dropped_and_others_are_served(
    make: PartyFactory, short: Limits
) -> None:
    ada = await make("ada", limits=replace(short, outbox_bytes=256 * 1024))
    bruno = await make("bruno")
    link = await bruno.dial(ada)
    there = await ada.until_linked(bruno)
    # Bruno's process reads nothing any more.
    link._socket._socket._response.connection.transport.pause_reading()
    block = bytes(15_000)
    with pytest.raises(Exception, match="nothing"):
        while True:
            await there.send(m.Push(bytes(8), (block,) * 14))
    assert there.ended is not None and there.ended.code is CloseCode.TOO_SLOW
    assert not ada.heard.violations
    await still_serves(ada, make)


async def test_a_peer_whose_messages_are_worked_on_slowly_is_not_taken_for_dead(
    make: PartyFactory, short: Limits
) -> None:
    gate = asyncio.Event()
    limits = replace(short, inbox_frames=4, ping_seconds=0.05, pong_seconds=1.0)
    ada, bruno = await make("ada", limits=limits), await make("bruno")

    async def slow(link: Link, message: m.Message) -> None:
        await gate.wait()

    ada.on_message = slow
    link = await bruno.dial(ada)
    for number in range(1, 40):
        await link.send(m.Same(number))
    there = await ada.until_linked(bruno)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(1.5):
            await there.wait_over()
    assert not there.closed
    gate.set()
    await ada.until(lambda: len(ada.heard.messages) == 39)


async def test_a_vanished_peer_is_noticed_by_a_check(make: PartyFactory, short: Limits) -> None:
    ada, bruno = await make("ada", limits=replace(short, check_seconds=0.2)), await make("bruno")
    link = await ada.dial(bruno)
    there = await bruno.until_linked(ada)
    await link.request(m.Ping(), timeout_s=5)
    bruno_transport = next(iter(bruno.network._listener._guests.values())).transport
    bruno_transport.pause_reading()
    ada.network.check_all()
    await ada.until(lambda: bool(ada.heard.ended))
    assert link.ended is not None and link.ended.reason == "no answer to a ping"
    bruno_transport.resume_reading()
    await there.wait_over()


async def test_unfinished_connections_are_bounded(make: PartyFactory, short: Limits) -> None:
    ada = await make("ada", limits=replace(short, handshake_seconds=5, unfinished_per_network=3))
    waiting = [await asyncio.open_connection(LOOPBACK, ada.port, ssl=client_context()) for _ in range(3)]
    with pytest.raises((ConnectionError, ssl.SSLError)):
        await asyncio.open_connection(LOOPBACK, ada.port, ssl=client_context())
    for _, writer in waiting:
        writer.transport.abort()
    bruno = await make("bruno")

    async def connected() -> None:
        while True:
            with contextlib.suppress(ConnectionError):
                await bruno.dial(ada)
                return

    await asyncio.wait_for(connected(), 5)


async def test_strangers_have_only_so_many_places_and_near_people_always_one(
    make: PartyFactory, short: Limits
) -> None:
    ada = await make("ada", limits=replace(short, strangers=2), near=False)
    names = ["bruno", "chiara", "dora"]
    parties = [await make(name) for name in names]
    await parties[0].dial(ada)
    await parties[1].dial(ada)
    with pytest.raises(ChannelError) as raised:
        await parties[2].dial(ada)
    assert raised.value.code is CloseCode.TOO_MANY
    ada.near = True
    await parties[2].dial(ada)


async def test_a_stranger_that_sends_much_is_read_slowly(make: PartyFactory, short: Limits) -> None:
    limits = replace(short, strangers_burst=20_000, strangers_rate=100_000)
    ada, bruno = await make("ada", limits=limits, near=False), await make("bruno")
    link = await bruno.dial(ada)
    loop = asyncio.get_running_loop()
    began = loop.time()
    for _ in range(5):
        await link.send(m.Push(bytes(8), (bytes(10_000),)))
    await ada.until(lambda: len(ada.heard.messages) == 5)
    assert 0.2 < loop.time() - began < 3
    assert not ada.heard.violations
