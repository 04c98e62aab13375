"""Two devices that dial each other at once end with one connection, the same on both sides."""

from __future__ import annotations

import asyncio

import pytest

from pkn_protocol.channel import messages as m
from pkn_protocol.channel.errors import CloseCode
from pkn_protocol.records.ids import DeviceId
from pknd.channel.limits import Limits
from pknd.channel.link import VIOLATIONS
from pknd.channel.registry import Verdict, judge
from tests.pknd.channel.conftest import PartyFactory
from tests.pknd.channel.party import Party

SMALL, LARGE = DeviceId(bytes(32)), DeviceId(b"\1" * 32)


async def settled(one: Party, other: Party) -> None:
    """Until both sides hold the same single connection, and everything else is over."""

    def the_same() -> bool:
        links = one.network.links.get(other.device), other.network.links.get(one.device)
        if links[0] is None or links[1] is None or links[0].closed or links[1].closed:
            return False
        return links[0].peer.transcript == links[1].peer.transcript

    await asyncio.gather(one.until(the_same), other.until(the_same))
    for here, there in ((one, other), (other, one)):
        assert await here.link_to(there).request(m.Ping(), timeout_s=5) == m.Pong()
    assert the_same()


@pytest.mark.parametrize("dials", [(1, 1), (3, 3), (4, 1), (1, 4), (5, 0), (0, 5)])
async def test_dialling_each_other_at_once_leaves_one_connection(
    dials: tuple[int, int], make: PartyFactory
) -> None:
    ada, bruno = await make("ada"), await make("bruno")
    tries = [ada.dial(bruno) for _ in range(dials[0])] + [bruno.dial(ada) for _ in range(dials[1])]
    await asyncio.gather(*tries, return_exceptions=True)
    await settled(ada, bruno)
    for party in (ada, bruno):
        live = [link for link in party.heard.served if not link.closed]
        assert len(live) == 1
        assert not party.heard.violations
        await party.until(lambda party=party: _over(party) <= {id(link) for link in party.heard.ended})


async def test_what_is_sent_on_the_connection_that_stays_all_arrives(make: PartyFactory) -> None:
    ada, bruno = await make("ada"), await make("bruno")
    await asyncio.gather(ada.dial(bruno), bruno.dial(ada), return_exceptions=True)
    await settled(ada, bruno)
    ada.heard.messages.clear()
    bruno.heard.messages.clear()
    for number in range(1, 101):
        await ada.link_to(bruno).send(m.Same(number))
        await bruno.link_to(ada).send(m.Same(number))
    await ada.until(lambda: len(ada.heard.messages) == 100)
    await bruno.until(lambda: len(bruno.heard.messages) == 100)


@pytest.mark.parametrize("again", ["ada", "bruno"])
async def test_dialling_a_connected_device_again_gives_one_connection(again: str, make: PartyFactory) -> None:
    ada, bruno = await make("ada"), await make("bruno")
    await ada.dial(bruno)
    await bruno.until_linked(ada)
    dialler, other = (ada, bruno) if again == "ada" else (bruno, ada)
    kept = await dialler.dial(other)
    await settled(ada, bruno)
    assert kept.peer.device == other.device


async def test_a_device_that_comes_back_after_a_crash_is_taken_in(make: PartyFactory) -> None:
    ada, bruno = await make("ada"), await make("bruno")
    await bruno.dial(ada)
    old = await ada.until_linked(bruno)
    await bruno.network.stop()
    again = await make("bruno")
    await again.dial(ada)
    await settled(ada, again)
    assert old.closed


def _over(party: Party) -> set[int]:
    return {id(link) for link in party.heard.served if link.closed}


def verdict(*, mine: DeviceId, old_outbound: bool, new_outbound: bool, age: float) -> Verdict:
    return judge(
        mine=mine,
        theirs=LARGE if mine == SMALL else SMALL,
        old_outbound=old_outbound,
        old_seconds=age,
        new_outbound=new_outbound,
        limits=Limits(),
    )


@pytest.mark.parametrize(
    ("old_outbound", "new_outbound", "age", "expected"),
    [
        (True, True, 0.0, Verdict.KEEP_OLD),
        (False, True, 0.0, Verdict.KEEP_OLD),
        (True, False, 1.0, Verdict.KEEP_OLD),
        (True, False, 60.0, Verdict.TAKE_NEW),
        (False, False, 0.0, Verdict.TAKE_NEW),
        (False, False, 60.0, Verdict.TAKE_NEW),
    ],
)
def test_the_smaller_key_decides_and_the_larger_waits(
    old_outbound: bool, new_outbound: bool, age: float, expected: Verdict
) -> None:
    assert verdict(mine=SMALL, old_outbound=old_outbound, new_outbound=new_outbound, age=age) is expected
    waiting = verdict(mine=LARGE, old_outbound=old_outbound, new_outbound=new_outbound, age=age)
    assert waiting is Verdict.OTHER_SIDE_DECIDES


def test_a_duplicate_is_nobodys_fault() -> None:
    assert CloseCode.DUPLICATE not in VIOLATIONS
