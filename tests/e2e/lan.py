"""Network namespaces joined by a bridge: hosts of a network that exists for one test."""

from __future__ import annotations

import contextlib
import secrets
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.e2e.harness import Node


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, timeout=20)


class Host:
    """A namespace with one interface on a bridge."""

    def __init__(self, name: str, bridge: str, address: str) -> None:
        self.name = name
        self._inside = f"{name}i"
        self._outside = f"{name}o"
        ip("netns", "add", name)
        ip("link", "add", self._outside, "type", "veth", "peer", "name", self._inside, "netns", name)
        ip("link", "set", self._outside, "master", bridge, "up")
        ip("-n", name, "link", "set", "lo", "up")
        self.give_address(address)

    def give_address(self, address: str) -> None:
        """Another address in place of those that the interface has."""
        ip("-n", self.name, "address", "flush", "dev", self._inside)
        ip("-n", self.name, "address", "add", f"{address}/24", "dev", self._inside)
        ip("-n", self.name, "link", "set", self._inside, "up")

    def add_address(self, address: str) -> None:
        """A further address, with the length of its prefix."""
        ip("-n", self.name, "address", "add", address, "dev", self._inside, "nodad")

    def join(self, bridge: str) -> None:
        ip("link", "set", self._outside, "master", bridge)

    def pull_the_plug(self) -> None:
        ip("link", "set", self._outside, "nomaster")

    def remove(self) -> None:
        with contextlib.suppress(subprocess.CalledProcessError):
            ip("netns", "delete", self.name)
        with contextlib.suppress(subprocess.CalledProcessError):
            ip("link", "delete", self._outside)


class Lan:
    """Bridges and hosts; names are short, for interfaces have at most 15 characters."""

    def __init__(self) -> None:
        self._prefix = f"p{secrets.token_hex(3)}"
        self._bridges: list[str] = []
        self.hosts: list[Host] = []

    def bridge(self) -> str:
        name = f"{self._prefix}b{len(self._bridges)}"
        ip("link", "add", name, "type", "bridge")
        self._bridges.append(name)
        ip("link", "set", name, "up")
        return name

    def host(self, bridge: str, address: str) -> Host:
        host = Host(f"{self._prefix}{len(self.hosts)}", bridge, address)
        self.hosts.append(host)
        return host

    def remove(self) -> None:
        for host in self.hosts:
            host.remove()
        for bridge in self._bridges:
            with contextlib.suppress(subprocess.CalledProcessError):
                ip("link", "delete", bridge)


class HostNode(Node):
    """A daemon within a host, on all its interfaces, with mDNS. The control socket is a file: commands are
    run as they are."""

    def __init__(self, name: str, folder: Path, host: Host) -> None:
        super().__init__(name, folder, mdns=True, listen="*:7867")
        self.command_prefix = ("ip", "netns", "exec", host.name)
        self.host = host


@contextlib.contextmanager
def local_network() -> Iterator[Lan]:
    """A network of one's own; nothing of it is left."""
    lan = Lan()
    try:
        yield lan
    finally:
        lan.remove()
