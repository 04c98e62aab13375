"""What a command says when the daemon, or the way to it, is not as it should be."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from pkn_cli.home import control_socket, home_folder
from tests.cli.conftest import Run
from tests.cli.daemon import Answer, FakeDaemon
from tests.cli.shapes import STATUS


def test_without_a_daemon_the_status_is_3_and_the_line_says_what_to_do(run: Run) -> None:
    result = run("status")
    assert (result.exit_code, result.stdout) == (3, "")
    assert result.stderr == "pkn: pknd is not running; start it with: pkn up\n"


def test_the_hint_names_the_home_that_was_asked_for(run: Run, home: Path) -> None:
    result = run("--home", str(home), "status")
    assert result.stderr == f"pkn: pknd is not running; start it with: pkn --home {home} up\n"


def test_a_socket_that_a_dead_daemon_left_is_no_daemon(run: Run, daemon: FakeDaemon) -> None:
    daemon.close()
    assert run("status").exit_code == 3


def test_errors_under_json_are_json_on_stderr(run: Run) -> None:
    result = run("status", "--json")
    assert (result.exit_code, result.stdout) == (3, "")
    error = json.loads(result.stderr)["error"]
    assert set(error) == {"code", "message", "hint"} and error["code"] == "not-running"


@pytest.mark.parametrize(
    "arguments", [("query",), ("list", "--kind", "song"), ("status", "--nope"), ("list", "--since", "soon")]
)
def test_wrong_usage_is_one_line_and_status_2(run: Run, arguments: tuple[str, ...]) -> None:
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("pkn: ") and result.stderr.count("\n") == 1
    assert f"pkn {arguments[0]} --help" in result.stderr
    as_json = run(*arguments, "--json")
    assert as_json.exit_code == 2
    assert json.loads(as_json.stderr)["error"]["code"] == "usage"


def test_an_error_of_the_daemon_becomes_one_line(run: Run, daemon: FakeDaemon) -> None:
    daemon.refuse("GET", "/v1/items/h2kq7xmv", 404, "no-such-item", "there is no such item", hint="try list")
    result = run("history", "h2kq7xmv")
    assert result.exit_code == 1
    assert "no GET /v1/items/h2kq7xmv/history" in result.stderr
    result = run("show", "h2kq7xmv")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "pkn: there is no such item; try list\n"


def test_an_ambiguous_reference_lists_its_candidates(run: Run, daemon: FakeDaemon) -> None:
    candidates = [{"ref": "haXgBZDv", "label": "Bea\x1b[31m"}, {"ref": "rJVnaZke", "label": "Bea"}]
    daemon.refuse("GET", "/v1/people/Bea", 409, "ambiguous", "Bea is claimed by 2", candidates=candidates)
    result = run("trust", "Bea")
    assert result.exit_code == 1
    assert result.stderr == "pkn: Bea is claimed by 2\n  haXgBZDv  Bea�[31m\n  rJVnaZke  Bea\n"
    error = json.loads(run("trust", "Bea", "--json").stderr)["error"]
    assert [one["ref"] for one in error["candidates"]] == ["haXgBZDv", "rJVnaZke"]


def test_an_error_message_is_foreign_text_too(run: Run, daemon: FakeDaemon) -> None:
    daemon.refuse("GET", "/v1/status", 500, "internal", "a\x1b]0;x\x07\nb\u202ec")
    result = run("status")
    assert result.stderr == "pkn: a�]0;x� b�c\n"


@pytest.mark.parametrize(
    "answer",
    [
        Answer(200, b"not json"),
        Answer(200, b"[]"),
        Answer(500, b"<html>"),
        Answer(200, b'{"id"', length=4000),
        Answer(200, b"{}", length=4000),
    ],
)
def test_an_answer_that_cannot_be_read_is_one_line(run: Run, daemon: FakeDaemon, answer: Answer) -> None:
    daemon.answers["GET", "/v1/status"] = answer
    result = run("status")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("pkn: pknd") and result.stderr.count("\n") == 1


def test_an_answer_of_another_version_is_one_line(run: Run, daemon: FakeDaemon) -> None:
    daemon.on("GET", "/v1/status", {"id": "did:key:z6Mk"})
    result = run("status")
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert "the same version" in result.stderr


def test_unknown_keys_of_a_newer_daemon_are_passed_over(run: Run, daemon: FakeDaemon) -> None:
    daemon.on("GET", "/v1/status", STATUS)
    body = json.loads(daemon.answers["GET", "/v1/status"].body)
    daemon.on("GET", "/v1/status", {**body, "mood": "good"})
    assert run("status").exit_code == 0
    assert json.loads(run("status", "--json").stdout)["mood"] == "good"


def test_a_home_open_to_others_is_refused(run: Run, daemon: FakeDaemon, home: Path) -> None:
    home.chmod(0o755)
    result = run("status")
    assert result.exit_code == 1
    assert "mode 0755 where 0700" in result.stderr
    assert daemon.asked == []


@pytest.mark.needs("root")
def test_another_users_daemon_is_refused(run: Run, home: Path) -> None:
    """The folder may be ours and the socket all the same another user's: the kernel says whose."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(control_socket(home)))
    ready, done = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        # The user id of a listening socket is taken when it begins to listen (unix(7), SO_PEERCRED).
        os.setuid(65534)
        listener.listen()
        os.write(ready[1], b".")
        os.read(done[0], 1)
        os._exit(0)
    os.read(ready[0], 1)
    try:
        result = run("status")
    finally:
        os.write(done[1], b".")
        os.waitpid(child, 0)
        listener.close()
        for end in (*ready, *done):
            os.close(end)
    assert result.exit_code == 1
    assert "other end is user 65534" in result.stderr


def test_a_daemon_that_ends_before_it_answers_is_told(run: Run, home: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(control_socket(home)))
        listener.listen()

        def hang_up() -> None:
            connection, _ = listener.accept()
            connection.recv(100)
            connection.close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        result = run("status")
        thread.join()
    assert result.exit_code == 1
    assert "ended before it had answered" in result.stderr


def test_a_reader_who_has_seen_enough_ends_it_quietly(daemon: FakeDaemon, home: Path) -> None:
    daemon.on("GET", "/v1/tags", {"tags": [{"tag": f"tag{n}", "items": n} for n in range(20_000)]})
    reader, writer = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-m", "pkn_cli", "tags"],
        stdout=writer,
        stderr=subprocess.PIPE,
        env={**os.environ, "PKN_HOME": str(home)},
    )
    os.close(writer)
    os.read(reader, 10)
    os.close(reader)
    assert process.communicate()[1] == b""
    assert process.returncode == 141


def test_ctrl_c_ends_it_quietly(home: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(control_socket(home)))
        listener.listen()
        process = subprocess.Popen(
            [sys.executable, "-m", "pkn_cli", "log", "--follow"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "PKN_HOME": str(home)},
        )
        connection, _ = listener.accept()
        with connection:
            connection.recv(1000)
            connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            line = json.dumps({"line": "event=first"}).encode() + b"\n"
            connection.sendall(b"%x\r\n%s\r\n" % (len(line), line))
            assert process.stdout is not None
            assert process.stdout.readline() == b"event=first\n"
            process.send_signal(2)
            assert process.wait(timeout=30) == 130
    _, errors = process.communicate()
    assert errors.strip() == b""


def test_the_home_is_the_one_given_then_pkn_home_then_the_data_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "there")
    monkeypatch.setenv("PKN_HOME", str(tmp_path / "link"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert home_folder(str(tmp_path / "given")) == tmp_path / "given"
    assert home_folder(None) == tmp_path / "there"
    monkeypatch.delenv("PKN_HOME")
    assert home_folder(None).name == "pkn"
