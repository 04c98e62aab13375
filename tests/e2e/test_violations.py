"""Who breaks the protocol is refused for a while, by this run of the daemon and by the next."""

from __future__ import annotations

from pathlib import Path

import pytest

from pkn_protocol.channel import messages as m
from pkn_protocol.channel.errors import ChannelError, CloseCode
from pknd.channel.conduct import FIRST_REFUSAL_MS
from pknd.daemon import Daemon
from tests.e2e.inside import Inside, until
from tests.e2e.liar import Liar


async def refusal(liar: Liar, daemon: Daemon) -> str:
    with pytest.raises(ChannelError) as refused:
        await liar.party.network.dial("127.0.0.1", daemon.network.port)
    assert refused.value.code is CloseCode.BLOCKED
    return refused.value.reason


async def test_a_violation_is_remembered_across_a_restart_and_forgotten_in_time(tmp_path: Path) -> None:
    ann, liar, honest = Inside("Ann", tmp_path), Liar("liar"), Liar("honest")
    await liar.party.start()
    await honest.party.start()
    try:
        async with ann.running() as daemon:
            link = await liar.party.network.dial("127.0.0.1", daemon.network.port)
            await liar.push(link, [])
            await link.send(m.Push(liar.hash_for(link), (b"no record",)))
            await until("the end of the connection", lambda: link.ended is not None)
            assert link.ended is not None and link.ended.code is CloseCode.BAD_RECORD
            assert "broke the protocol" in await refusal(liar, daemon)
            await honest.party.network.dial("127.0.0.1", daemon.network.port)
        async with ann.running() as daemon:
            assert "broke the protocol" in await refusal(liar, daemon)
            ann.offset = FIRST_REFUSAL_MS
            link = await liar.party.network.dial("127.0.0.1", daemon.network.port)
            assert link.peer.device == ann.env.keys.device
    finally:
        await liar.party.network.stop()
        await honest.party.network.stop()
