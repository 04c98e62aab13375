"""Two networks with real TLS between them: messages, requests, refusals, ends."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from pkn_protocol.channel import messages as m
from pkn_protocol.channel.errors import ChannelError, CloseCode
from pkn_protocol.records.ids import DeviceId, raw_cid
from pknd.channel.limits import Limits
from pknd.channel.link import Link
from pknd.config import Listen
from pknd.sync.link import LinkClosed
from tests.pknd.channel.conftest import PartyFactory
from tests.pknd.channel.party import LOOPBACK, Party, key_of

Events = Callable[[str], list[dict[str, Any]]]


async def test_both_sides_know_who_the_other_is(make: PartyFactory) -> None:
    ada, bruno = await make("ada"), await make("bruno")
    link = await ada.dial(bruno, expected=bruno.device)
    there = await bruno.until_linked(ada)
    assert (link.peer.device, link.peer.author, link.outbound) == (bruno.device, bruno.author, True)
    assert (there.peer.device, there.peer.author, there.outbound) == (ada.device, ada.author, False)
    assert link.peer.transcript == there.peer.transcript
    assert there.remote[0] == LOOPBACK and there.peer.port == ada.port


async def test_who_holds_the_other_s_device_record_goes_by_that(make: PartyFactory) -> None:
    ada, bruno = await make("ada"), await make("bruno")
    ada.knows[bruno.device] = bruno.device_record
    link = await ada.dial(bruno)
    assert link.peer.device_record.block == bruno.device_record
    await bruno.until_linked(ada)


async def test_who_holds_a_record_that_no_longer_fits_the_other_is_sent_its_own(make: PartyFactory) -> None:
    ada, bruno = await make("ada"), await make("bruno")
    before = Party("bruno", device_key=bruno.device_key, author_key=key_of("bruno before"))
    ada.knows[bruno.device] = before.device_record
    link = await ada.dial(bruno)
    assert (link.peer.author, link.peer.device_record.block) == (bruno.author, bruno.device_record)


async def test_a_store_that_is_busy_delays_no_handshake(make: PartyFactory) -> None:
    ada, bruno = await make("ada", limits=Limits(handshake_seconds=5.0)), await make("bruno")
    given_up = asyncio.Event()

    async def never(device: DeviceId) -> bytes | None:
        try:
            await asyncio.Event().wait()
        finally:
            given_up.set()
        return None

    ada.look_up = never
    link = await ada.dial(bruno)
    assert link.peer.device_record.block == bruno.device_record
    assert given_up.is_set()


async def test_a_store_that_fails_ends_no_dial(make: PartyFactory, events: Events) -> None:
    ada, bruno = await make("ada"), await make("bruno")

    async def fails(device: DeviceId) -> bytes | None:
        raise OSError("the disk is gone")

    ada.look_up = fails
    link = await ada.dial(bruno)
    assert link.peer.device_record.block == bruno.device_record
    assert [str(event["error"]) for event in events("channel.fault")] == ["the disk is gone"]


async def test_messages_arrive_in_order_on_both_sides(make: PartyFactory) -> None:
    ada, bruno = await make("ada"), await make("bruno")
    link = await ada.dial(bruno)
    there = await bruno.until_linked(ada)
    for number in range(1, 301):
        await link.send(m.Same(number))
        await there.send(m.Stale(number))
    await bruno.until(lambda: len(bruno.heard.messages) == 300)
    await ada.until(lambda: len(ada.heard.messages) == 300)
    assert bruno.heard.messages == [m.Same(number) for number in range(1, 301)]
    assert ada.heard.messages == [m.Stale(number) for number in range(1, 301)]


async def test_a_request_gets_its_own_reply_when_answers_come_out_of_order(make: PartyFactory) -> None:
    ada, bruno = await make("ada"), await make("bruno")
    first_may_answer = asyncio.Event()

    async def answer(link: Link, message: m.Message) -> AsyncIterator[m.Message]:
        assert isinstance(message, m.Have)
        if len(message.cids) == 1:
            await first_may_answer.wait()
        yield m.Holds(bytes(len(message.cids)))
        first_may_answer.set()

    bruno.answer = answer
    link = await ada.dial(bruno)
    cid = raw_cid(b"x")
    one, two = await asyncio.gather(
        link.request(m.Have((cid,)), timeout_s=5), link.request(m.Have((cid, cid)), timeout_s=5)
    )
    assert (one, two) == (m.Holds(b"\0"), m.Holds(b"\0\0"))


async def test_replies_are_streamed_until_there_are_no_more(make: PartyFactory) -> None:
    ada, bruno = await make("ada"), await make("bruno")

    async def answer(link: Link, message: m.Message) -> AsyncIterator[m.Message]:
        for number in range(40):
            yield m.Records((bytes([number + 1]),), more=number < 39)

    bruno.answer = answer
    link = await ada.dial(bruno)
    replies = [reply async for reply in link.stream(m.Fetch(()), timeout_s=5)]
    assert len(replies) == 40
    assert (link.records_in, bruno.link_to(ada).records_out) == (40, 40)


async def test_leaving_a_stream_early_cancels_the_work_at_the_other_end(make: PartyFactory) -> None:
    ada, bruno = await make("ada"), await make("bruno")
    stopped = asyncio.Event()

    async def answer(link: Link, message: m.Message) -> AsyncIterator[m.Message]:
        try:
            while True:
                yield m.Answers((), 0, more=True)
        finally:
            stopped.set()

    bruno.answer = answer
    link = await ada.dial(bruno)
    replies = link.stream(m.Fetch(()), timeout_s=5)
    async with contextlib.aclosing(replies):
        async for _ in replies:
            break
    async with asyncio.timeout(5):
        await stopped.wait()
    assert isinstance(await link.request(m.Have(()), timeout_s=5), m.Answers)


async def test_a_silent_peer_is_a_timeout_and_leaves_the_connection_usable(make: PartyFactory) -> None:
    ada, bruno = await make("ada"), await make("bruno")

    async def answer(link: Link, message: m.Message) -> AsyncIterator[m.Message]:
        if isinstance(message, m.Have):
            await asyncio.Event().wait()
        yield m.Records((), more=False)

    bruno.answer = answer
    link = await ada.dial(bruno)
    with pytest.raises(TimeoutError):
        await link.request(m.Have(()), timeout_s=0.05)
    assert await link.request(m.Fetch(()), timeout_s=5) == m.Records((), more=False)


async def test_a_request_that_no_answer_comes_of_is_said_to_be_unsupported(
    make: PartyFactory, caplog: pytest.LogCaptureFixture
) -> None:
    ada, bruno = await make("ada"), await make("bruno")
    caplog.handler.pkn_allowed = {"channel.answer_failed", "traceback"}  # type: ignore[attr-defined]

    async def answer(link: Link, message: m.Message) -> AsyncIterator[m.Message]:
        if isinstance(message, m.Have):
            raise ValueError("a fault here")
        silence: tuple[m.Message, ...] = ()
        for nothing in silence:
            yield nothing

    bruno.answer = answer
    link = await ada.dial(bruno)
    assert await link.request(m.Have(()), timeout_s=5) == m.Unsupported("have")
    assert await link.request(m.Fetch(()), timeout_s=5) == m.Unsupported("fetch")


async def test_a_handler_that_waits_for_the_same_peer_does_not_block_it(make: PartyFactory) -> None:
    ada, bruno = await make("ada"), await make("bruno")

    async def answer(link: Link, message: m.Message) -> AsyncIterator[m.Message]:
        yield m.Holds(b"\1")

    async def ask_back(link: Link, message: m.Message) -> None:
        await link.request(m.Have((raw_cid(b""),)), timeout_s=5)

    ada.answer, bruno.on_message = answer, ask_back
    link = await ada.dial(bruno)
    for number in range(1, 51):
        await link.send(m.Same(number))
    await bruno.until(lambda: len(bruno.heard.messages) == 50)


async def test_more_requests_at_a_time_than_agreed_wait_on_this_side(make: PartyFactory) -> None:
    ada, bruno = await make("ada"), await make("bruno")
    open_gate, working, most = asyncio.Event(), 0, 0

    async def answer(link: Link, message: m.Message) -> AsyncIterator[m.Message]:
        nonlocal working, most
        working += 1
        most = max(most, working)
        await open_gate.wait()
        working -= 1
        yield m.Holds(b"")

    bruno.answer = answer
    link = await ada.dial(bruno)
    asking = [asyncio.ensure_future(link.request(m.Have(()), timeout_s=5)) for _ in range(100)]
    await bruno.until(lambda: True)
    await link.request(m.Ping(), timeout_s=5)
    open_gate.set()
    assert await asyncio.gather(*asking) == [m.Holds(b"")] * 100
    assert most <= Limits().answered_at_once
    assert not bruno.heard.violations


async def test_the_round_trip_time_and_the_bytes_are_known(make: PartyFactory) -> None:
    ada, bruno = await make("ada"), await make("bruno")
    link = await ada.dial(bruno)
    await link.request(m.Ping(), timeout_s=5)
    there = bruno.link_to(ada)
    assert link.rtt_ms is not None and 0 < link.rtt_ms < 5000
    assert 0 < link.bytes_out <= there.bytes_in + 100 and link.bytes_in > 0


async def test_closing_tells_the_reason_and_ends_all_that_waits(make: PartyFactory, events: Events) -> None:
    ada, bruno = await make("ada"), await make("bruno")

    async def answer(link: Link, message: m.Message) -> AsyncIterator[m.Message]:
        await asyncio.Event().wait()
        yield m.Pong()

    bruno.answer = answer
    link = await ada.dial(bruno)
    there = await bruno.until_linked(ada)
    asking = asyncio.ensure_future(link.request(m.Have(()), timeout_s=30))
    await link.request(m.Ping(), timeout_s=5)
    await there.close(CloseCode.BLOCKED, "not welcome any more")
    with pytest.raises(LinkClosed, match="not welcome any more"):
        await asking
    await ada.until(lambda: bool(ada.heard.ended))
    assert link.ended is not None and (link.ended.code, link.ended.by_peer) == (CloseCode.BLOCKED, True)
    assert ada.heard.cancelled == ["serve"]
    assert ada.network.links == {} and bruno.network.links == {}
    with pytest.raises(LinkClosed):
        await link.send(m.Same(1))
    await bruno.network.stop()
    assert {event["reason"] for event in events("peer.disconnected")} == {"not welcome any more"}


async def test_another_device_than_the_one_meant_is_refused_before_anything_is_said(
    make: PartyFactory,
) -> None:
    ada, bruno, chiara = await make("ada"), await make("bruno"), await make("chiara")
    with pytest.raises(ChannelError, match="another device") as raised:
        await ada.dial(bruno, expected=chiara.device)
    assert raised.value.code is CloseCode.WRONG_DEVICE
    assert not bruno.heard.served and not bruno.network.links


async def test_oneself_is_recognised(make: PartyFactory) -> None:
    ada = await make("ada")
    with pytest.raises(ChannelError) as raised:
        await ada.dial(ada)
    assert raised.value.code is CloseCode.SELF


async def test_an_unwelcome_peer_hears_why(make: PartyFactory) -> None:
    ada, bruno = await make("ada"), await make("bruno")
    bruno.refusal = "not welcome here"
    with pytest.raises(ChannelError, match="not welcome here") as raised:
        await ada.dial(bruno)
    assert raised.value.code is CloseCode.BLOCKED


async def test_programs_without_a_common_version_say_so(make: PartyFactory, events: Events) -> None:
    ada, bruno = await make("ada"), await make("bruno", versions=(3, 4))
    with pytest.raises(ChannelError, match="update the older program") as raised:
        await ada.dial(bruno)
    assert raised.value.code is CloseCode.NO_COMMON_VERSION
    await bruno.network.stop()
    assert any("no common protocol version" in event["reason"] for event in events("channel.refused"))


async def test_a_newer_program_that_still_speaks_ours_is_spoken_with(make: PartyFactory) -> None:
    ada, bruno = await make("ada"), await make("bruno", versions=(1, 9))
    link = await ada.dial(bruno)
    assert link.peer.version == 2


async def test_nobody_at_the_address_is_an_error_in_words(make: PartyFactory) -> None:
    ada, bruno = await make("ada"), await make("bruno")
    port = bruno.port
    await bruno.network.stop()
    with pytest.raises(ConnectionError, match="refused"):
        await ada.network.dial(LOOPBACK, port)


async def test_stopping_with_open_connections_takes_less_than_two_seconds(make: PartyFactory) -> None:
    ada, bruno = await make("ada"), await make("bruno")
    link = await ada.dial(bruno)
    await link.request(m.Ping(), timeout_s=5)
    began = time.monotonic()
    await ada.network.stop()
    assert time.monotonic() - began < 2
    await bruno.until(lambda: bool(bruno.heard.ended))
    ended = bruno.heard.ended[0].ended
    assert ended is not None and (ended.code, ended.reason) == (CloseCode.GOING_AWAY, "stopping")


async def test_a_taken_port_is_said_in_words_and_the_default_gives_way(make: PartyFactory) -> None:
    ada = await make("ada")
    bruno = Party("bruno")
    with pytest.raises(Exception, match="cannot listen on 127") as raised:
        await bruno.network.start(Listen(LOOPBACK, ada.port))
    assert getattr(raised.value, "code", "") == "port-in-use"


async def test_all_interfaces_share_one_port() -> None:
    party = Party("ada")
    await party.network.start(Listen(None, 0))
    try:
        assert {address.rpartition(":")[2] for address in party.network.addresses} == {str(party.port)}
        with pytest.raises(ChannelError) as raised:
            await party.network.dial(LOOPBACK, party.port)
        assert raised.value.code is CloseCode.SELF
    finally:
        await party.network.stop()
