"""Connecting by address: how a peer was found, who must answer, and two that dial each other at once."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from pathlib import Path

import pytest

from pkn_protocol.channel.errors import CloseCode
from pkn_protocol.control.items import PublishRequest
from pkn_protocol.control.people import Announcement
from pkn_protocol.control.summaries import ListFilter
from pkn_protocol.records.ids import did_key
from pknd.daemon import Daemon
from tests.e2e.harness import Node, running, wait_for
from tests.e2e.inside import Inside, until, until_so
from tests.e2e.lan import HostNode, local_network
from tests.pknd.channel.party import key_of


def found(node: Node) -> list[str]:
    return [peer["found"] for peer in node.pkn("peers")["peers"]]


def test_who_dialled_us_is_not_said_to_have_been_found_by_mdns(tmp_path: Path) -> None:
    ann, ben = Node("Ann", tmp_path), Node("Ben", tmp_path)
    with running(ann, ben):
        ben.connect(ann)
        wait_for("both to be online", lambda: ann.online() == ben.online() == 1)
        assert (found(ann), found(ben)) == (["inbound"], ["manual"])
        assert "inbound" in ann.run("peers").stdout
        ben.stop()
        ben.start()
        wait_for("Ben to dial again", lambda: ben.online() == 1)
        assert (found(ann), found(ben)) == (["inbound"], ["manual"])
        # Now Ann was told of Ben as well.
        ann.connect(ben)
        assert found(ann) == ["manual"]


def test_who_dialled_us_and_has_forgotten_us_is_dialled(tmp_path: Path) -> None:
    ann, ben = Node("Ann", tmp_path), Node("Ben", tmp_path)
    with running(ann, ben):
        ben.connect(ann)
        wait_for("both to be online", lambda: ann.online() == ben.online() == 1)
        ben.listen = ben.address
        ben.stop()
        wait_for("Ann to see it", lambda: ann.online() == 0)
        with contextlib.closing(sqlite3.connect(ben.home / "pkn.db")) as db, db:
            db.execute("DELETE FROM peer")
        ben.start()
        wait_for("Ann to dial", lambda: ann.online() == ben.online() == 1)
        assert found(ann) == ["inbound"]


def test_whoever_is_not_the_one_who_was_meant_is_refused_in_one_line(tmp_path: Path) -> None:
    ann, ben = Node("Ann", tmp_path), Node("Ben", tmp_path)
    with running(ann, ben):
        stranger = did_key(key_of("somebody else").public)
        device = key_of("another device").public.hex()
        for wrong in (stranger, stranger.removeprefix("did:key:"), device):
            done = ben.run("connect", ann.address, wrong)
            assert (done.returncode, done.stdout) == (1, ""), done
            assert done.stderr.count("\n") == 1 and done.stderr.startswith("pkn: "), done.stderr
            wait_for("nobody to be connected", lambda: ann.online() == ben.online() == 0)
        for right in (ann.id.removeprefix("did:key:"), ann.pkn("id")["device"]):
            assert ben.run("connect", ann.address, right).returncode == 0
            assert ben.online() == 1


async def test_two_that_dial_each_other_at_once_have_one_connection(tmp_path: Path) -> None:
    ann, ben = Inside("Ann", tmp_path), Inside("Ben", tmp_path)

    async def titles(daemon: Daemon) -> set[str]:
        return {item.title for item in (await daemon.items.listed(ListFilter())).items}

    async with ann.running() as a, ben.running() as b:
        for one, other in ((a, b), (b, a)):
            await one.people.trust(did_key(other.people.view.me), petname="friend")
        published: set[str] = set()
        for number in range(8):
            await asyncio.gather(
                a.dial("127.0.0.1", b.network.port, None), b.dial("127.0.0.1", a.network.port, None)
            )
            await until("one at both", lambda: len(a.network.links) == len(b.network.links) == 1)
            [[at_ann], [at_ben]] = ([*daemon.network.links.values()] for daemon in (a, b))
            assert at_ann.peer.transcript == at_ben.peer.transcript
            assert at_ann.outbound is not at_ben.outbound
            for daemon, name in ((a, f"Ann {number}"), (b, f"Ben {number}")):
                await daemon.items.publish(PublishRequest(text=f"# {name}\n\ntext"))
                published.add(name)
            for daemon in (a, b):
                await until_so("what both published", lambda d=daemon: titles(d), published)  # type: ignore[misc]
            assert [*a.network.links.values()] == [at_ann]
            await at_ann.close(CloseCode.GOING_AWAY, "once more")
            await at_ann.wait_over()
            await at_ben.wait_over()


@pytest.mark.needs("root")
@pytest.mark.needs("namespaces")
def test_alone_on_a_network_it_says_that_the_own_announcement_came_back_and_what_to_try(
    tmp_path: Path,
) -> None:
    with local_network() as lan:
        ann = HostNode("Ann", tmp_path, lan.host(lan.bridge(), "10.73.9.1"))
        with running(ann):
            wait_for(
                "the own announcement", lambda: ann.pkn("peers")["announcement"] == Announcement.SEEN.value
            )
            shown = ann.run("peers").stdout
            assert shown.startswith("No peers yet.")
            assert "10.73.9.1:7867" in shown
            assert "came back" in shown
            assert "pkn connect HOST:7867" in shown
