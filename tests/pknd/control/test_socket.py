"""Who may speak to the control socket, and where it lies."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import aiohttp
import pytest

from pkn_protocol.control.socket_rules import (
    SOCKET_PATH_BYTES,
    UnsafeSocket,
    check_folder,
    check_peer,
    socket_path,
)
from pknd.control.server import SocketUnusable, bind, serving
from pknd.control.services import Services
from pknd.home import Home, open_home
from tests.pknd.control.conftest import Script, Server

NOBODY = 65_534
# The interpreter may lie where another user cannot read it: the child becomes that user once it runs.
_BECOME_NOBODY = f"""
import os, socket, sys
os.setgroups([])
os.setgid({NOBODY})
os.setuid({NOBODY})
"""
_CONNECT = """
client = socket.socket(socket.AF_UNIX)
try:
    client.connect(sys.argv[1])
    client.sendall(b"GET /v1/status HTTP/1.1\\r\\nHost: pkn\\r\\nConnection: close\\r\\n\\r\\n")
    print(client.makefile("rb").read().decode())
except OSError as error:
    print(type(error).__name__)
"""
_LISTEN = """
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
listener.listen()
print("listening", flush=True)
listener.accept()[0].recv(1)
"""


async def ask_as_nobody(path: Path) -> str:
    """What another user of this machine gets from the socket."""
    answer = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-I", "-S", "-c", _BECOME_NOBODY + _CONNECT, str(path)],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    return answer.stdout + answer.stderr


def open_the_way(path: Path) -> None:
    """Let others pass every folder above the socket, as if its owner had spoilt the modes."""
    for folder in path.parents:
        if folder.stat().st_uid == os.geteuid() and folder != Path("/"):
            folder.chmod(folder.stat().st_mode | 0o011)
    path.chmod(0o666)


def test_socket_and_folder_are_private_from_the_first_moment(home: Home) -> None:
    with bind(home.socket):
        assert stat.S_IMODE(home.socket.lstat().st_mode) == 0o600
        assert stat.S_IMODE(home.socket.parent.stat().st_mode) == 0o700


@pytest.mark.needs("root")
async def test_another_user_cannot_reach_the_socket(server: Server) -> None:
    assert "PermissionError" in await ask_as_nobody(server.home.socket)


@pytest.mark.needs("root")
async def test_another_user_who_got_through_is_refused_by_the_daemon(server: Server) -> None:
    open_the_way(server.home.socket)
    answer = await ask_as_nobody(server.home.socket)
    assert "403" in answer.splitlines()[0]
    assert "other-user" in answer
    assert "did:key" not in answer


@pytest.mark.needs("root")
def test_a_socket_of_another_user_is_refused_by_the_client(tmp_path: Path) -> None:
    path = tmp_path / "s"
    tmp_path.chmod(0o777)
    for folder in tmp_path.parents[:-1]:
        folder.chmod(folder.stat().st_mode | 0o011)
    with subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", _BECOME_NOBODY + _LISTEN, str(path)], stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline()
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
            with pytest.raises(UnsafeSocket, match=f"user {NOBODY}"):
                check_peer(sys.platform, client.getsockopt, os.geteuid())


def test_ones_own_socket_is_accepted(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as client:
        listener.bind(str(tmp_path / "s"))
        listener.listen()
        client.connect(str(tmp_path / "s"))
        check_peer(sys.platform, client.getsockopt, os.geteuid())


def test_a_system_that_does_not_tell_the_user_is_refused() -> None:
    with pytest.raises(UnsafeSocket, match="plan9"):
        check_peer("plan9", lambda *_: b"", 0)


@pytest.mark.parametrize(
    ("mode", "owner", "is_link"), [(0o40755, 1, False), (0o40700, 2, False), (0o120700, 1, True)]
)
def test_a_folder_that_others_could_use_is_refused(mode: int, owner: int, is_link: bool) -> None:
    with pytest.raises(UnsafeSocket):
        check_folder("/f", mode=mode, owner=owner, is_link=is_link, user_id=1)


async def test_the_socket_of_a_dead_daemon_is_replaced(home: Home, services: Services) -> None:
    with bind(home.socket):
        pass
    assert home.socket.exists()
    async with (
        serving(home, services) as path,
        aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(path))) as client,
        client.get("http://pkn/v1/status") as answer,
    ):
        assert answer.status == 200
    assert not home.socket.exists()


def test_a_file_in_the_sockets_place_is_not_deleted(home: Home) -> None:
    home.socket.write_text("mine")
    with pytest.raises(SocketUnusable):
        bind(home.socket)
    assert home.socket.read_text() == "mine"


async def test_a_home_with_a_long_path_has_its_socket_in_a_private_folder(
    tmp_path: Path, services: Services
) -> None:
    home = open_home(tmp_path / ("x" * SOCKET_PATH_BYTES))
    async with (
        serving(home, services) as path,
        aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(path))) as client,
        client.get("http://pkn/v1/status") as answer,
    ):
        assert answer.status == 200
        assert not path.is_relative_to(home.folder)
        assert len(os.fsencode(path)) <= SOCKET_PATH_BYTES
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    path.parent.rmdir()


def test_two_long_homes_have_two_sockets_and_one_has_always_the_same() -> None:
    first, second = "/a" * SOCKET_PATH_BYTES, "/b" * SOCKET_PATH_BYTES
    assert socket_path(first, 1) == socket_path(first, 1)
    assert len({socket_path(first, 1), socket_path(second, 1), socket_path(first, 2)}) == 3


def test_the_longest_path_that_fits_stays_in_the_home() -> None:
    home = "/" + "é" * 44 + "x"
    assert socket_path(home, 1) == f"{home}/control.sock"
    assert len(f"{home}/control.sock".encode()) == SOCKET_PATH_BYTES
    assert socket_path(home + "x", 1).startswith("/tmp/pkn-1-")


async def test_streams_do_not_hold_up_the_end(home: Home, services: Services, script: Script) -> None:
    script.held = asyncio.Event()
    async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(home.socket))) as client:
        async with serving(home, services):
            following = await client.get("http://pkn/v1/log?lines=0&follow=1")
            asking = await client.post("http://pkn/v1/query", json={"query": "x"})
            await asyncio.wait_for(script.begun.wait(), 5)
            started = time.monotonic()
        assert time.monotonic() - started < 2
        assert script.ended.is_set()
        following.close()
        asking.close()


async def test_garbage_on_the_socket_harms_nobody_else(server: Server) -> None:
    for garbage in (b"\x16\x03\x01" + bytes(200), b"GET\r\n\r\n", b"GET /" + b"a" * 100_000 + b"\r\n\r\n"):
        reader, writer = await asyncio.open_unix_connection(str(server.home.socket))
        writer.write(garbage)
        await asyncio.wait_for(reader.read(), 5)
        writer.close()
        await writer.wait_closed()
    assert (await server.call("GET", "/v1/status"))[0] == 200


async def test_many_clients_at_once_are_served(server: Server) -> None:
    answers = await asyncio.gather(*(server.call("GET", "/v1/status") for _ in range(100)))
    assert {status for status, _ in answers} == {200}
    assert threading.active_count() < 50
