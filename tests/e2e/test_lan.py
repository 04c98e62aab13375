"""Hosts on a network: real interfaces, real mDNS, addresses that change."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.harness import running, trust_each_other, wait_for
from tests.e2e.lan import HostNode, local_network

pytestmark = [pytest.mark.needs("root"), pytest.mark.needs("namespaces")]


def test_hosts_of_a_network_find_each_other_and_answer_each_other(tmp_path: Path) -> None:
    with local_network() as lan:
        bridge = lan.bridge()
        nodes = [
            HostNode(name, tmp_path, lan.host(bridge, f"10.73.1.{number}"))
            for number, name in enumerate(("Anna", "Bruno", "Chiara"), 1)
        ]
        with running(*nodes):
            for node in nodes:
                wait_for(f"{node.name} to see both others", lambda node=node: node.online() == 2)  # type: ignore[misc]
            trust_each_other(*nodes)
            anna, bruno, chiara = nodes
            anna.publish("# Swifts\n\nSwifts sleep on the wing.", "--to", "public")
            bruno.publish("# Bats\n\nBats sleep upside down.", "--to", "trusted")
            wait_for(
                "both answers", lambda: set(chiara.titles("who", "sleeps", "sleep")) == {"Swifts", "Bats"}
            )
            wait_for(
                "all announcements to be seen",
                lambda: all(peer["found"] == "mdns" for peer in chiara.pkn("peers")["peers"]),
            )


def test_a_host_with_a_new_address_on_another_network_is_met_again(tmp_path: Path) -> None:
    with local_network() as lan:
        first, second = lan.bridge(), lan.bridge()
        anna = HostNode("Anna", tmp_path, lan.host(first, "10.73.1.1"))
        bruno = HostNode("Bruno", tmp_path, lan.host(first, "10.73.1.2"))
        chiara = HostNode("Chiara", tmp_path, lan.host(second, "10.73.2.3"))
        with running(anna, bruno, chiara):
            wait_for("Anna and Bruno to meet", lambda: anna.online() == bruno.online() == 1)
            trust_each_other(anna, bruno, chiara)
            anna.publish("# Swifts\n\nSwifts sleep on the wing.", "--to", "public")
            wait_for("the note to come to Bruno", lambda: bruno.titles("swifts") == ["Swifts"])
            bruno.host.join(second)
            bruno.host.give_address("10.73.2.2")
            # Within 15 s the change is noticed, announced and dialled; what Bruno holds he carries there.
            wait_for("Bruno and Chiara to meet", lambda: chiara.online() == 1, seconds=25)
            wait_for("Anna's note to come to Chiara", lambda: chiara.titles("swifts") == ["Swifts"])


def test_a_host_that_gets_another_address_while_connected_is_connected_again_soon(tmp_path: Path) -> None:
    with local_network() as lan:
        bridge = lan.bridge()
        anna = HostNode("Anna", tmp_path, lan.host(bridge, "10.73.3.1"))
        bruno = HostNode("Bruno", tmp_path, lan.host(bridge, "10.73.3.2"))
        with running(anna, bruno):
            wait_for("Anna and Bruno to meet", lambda: anna.online() == bruno.online() == 1)
            trust_each_other(anna, bruno)
            bruno.host.give_address("10.73.3.9")
            # The connection died without a word: neither side would notice before its next ping.
            anna.publish("# Swifts\n\nSwifts sleep on the wing.", "--to", "public")
            wait_for("Anna's note to come to Bruno", lambda: bruno.titles("swifts") == ["Swifts"], seconds=20)
            assert bruno.events("network.changed")


def test_who_leaves_says_goodbye_and_is_dialled_no_more_under_that_name(tmp_path: Path) -> None:
    with local_network() as lan:
        bridge = lan.bridge()
        anna = HostNode("Anna", tmp_path, lan.host(bridge, "10.73.4.1"))
        bruno = HostNode("Bruno", tmp_path, lan.host(bridge, "10.73.4.2"))
        with running(anna, bruno):
            wait_for("Anna and Bruno to meet", lambda: anna.online() == bruno.online() == 1)
            # It may be Bruno who dialled, before Anna has heard of him.
            wait_for("Anna to have found Bruno", lambda: bool(anna.events("peer.found")))
            bruno.stop()
            wait_for("Anna to hear of it", lambda: bool(anna.events("peer.gone")))


def test_addresses_of_ipv6_that_others_can_use_are_told_and_those_of_one_link_are_not() -> None:
    with local_network() as lan:
        host = lan.host(lan.bridge(), "10.73.5.1")
        host.add_address("fd73::5:1/64")
        program = "from pknd.discovery.mdns import interface_addresses_6 as f; print(*f())"
        done = subprocess.run(
            ["ip", "netns", "exec", host.name, sys.executable, "-c", program],
            check=True,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.stdout.split() == ["fd73::5:1"]
