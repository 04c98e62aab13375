"""Another mDNS implementation, Avahi, sees what a daemon announces, and that it left."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.harness import running, wait_for
from tests.e2e.lan import Host, HostNode, local_network

pytestmark = [pytest.mark.needs("root"), pytest.mark.needs("namespaces"), pytest.mark.needs("avahi")]

BUS = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-BUS Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:path={socket}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/><allow own="*"/><allow send_destination="*"/><allow receive_sender="*"/>
  </policy>
</busconfig>
"""
AVAHI = """[server]
use-ipv4=yes
use-ipv6=no
[publish]
disable-publishing=yes
[wide-area]
enable-wide-area=no
"""


class Avahi:
    """An Avahi daemon on a bus of its own, within a host of the test."""

    def __init__(self, host: Host, folder: Path) -> None:
        folder.mkdir()
        self._inside = ("ip", "netns", "exec", host.name)
        self._folder = folder
        self._environment = {**os.environ, "DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={folder / 'bus'}"}
        self._started: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        folder = self._folder
        (folder / "bus.conf").write_text(BUS.format(socket=folder / "bus"))
        (folder / "avahi.conf").write_text(AVAHI)
        self._launch("dbus-daemon", "--nofork", "--nopidfile", f"--config-file={folder / 'bus.conf'}")
        wait_for("the bus", (folder / "bus").exists)
        # A mount namespace of its own: its pid file and socket are at fixed places of the machine's.
        self._launch(
            *("unshare", "--mount", "sh", "-c"),
            f"mount -t tmpfs tmpfs /run && exec avahi-daemon --file={folder / 'avahi.conf'}"
            " --no-drop-root --no-chroot --no-rlimits",
        )
        wait_for("Avahi to answer", lambda: self._browse().returncode == 0)

    def seen(self) -> list[list[str]]:
        """The fields of the services that it resolves: interface, protocol, name, …, address, port, text."""
        lines = self._browse().stdout.splitlines()
        return [line.split(";") for line in lines if line.startswith("=")]

    def stop(self) -> None:
        for process in reversed(self._started):
            process.terminate()
            process.wait(10)

    def _launch(self, *words: str) -> None:
        with (self._folder / "log").open("ab") as log:
            self._started.append(
                subprocess.Popen([*self._inside, *words], stdout=log, stderr=log, env=self._environment)
            )

    def _browse(self) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self._inside, "avahi-browse", "--resolve", "--terminate", "--parsable", "_pkn._tcp"],
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )


@contextlib.contextmanager
def avahi(host: Host, folder: Path) -> Iterator[Avahi]:
    one = Avahi(host, folder)
    try:
        one.start()
        yield one
    finally:
        one.stop()


def test_avahi_resolves_the_service_and_sees_it_leave(tmp_path: Path) -> None:
    with local_network() as lan:
        bridge = lan.bridge()
        anna = HostNode("Anna", tmp_path, lan.host(bridge, "10.78.1.1"))
        with avahi(lan.host(bridge, "10.78.1.2"), tmp_path / "avahi") as other, running(anna):
            wait_for("Avahi to see the daemon", lambda: len(other.seen()) == 1)
            [service] = other.seen()
            assert service[4] == "_pkn._tcp"
            assert service[7:9] == ["10.78.1.1", "7867"]
            assert '"v=1"' in service[9] and '"id=' in service[9]
            assert "Anna" not in " ".join(service), "who it is, is for those to know who know its key"
            anna.stop()
            wait_for("Avahi to see it leave", lambda: other.seen() == [])
