"""Signatures of many records are judged as those of one, whether a process does it or not."""

from __future__ import annotations

import hashlib
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from pkn_protocol.records.signing import Ed25519Key, Signed
from pknd.sync.signatures import FEWEST, Signatures
from tests.conftest import REPOSITORY

_KEY = Ed25519Key.from_seed(hashlib.sha256(b"a device").digest())
_DEADLINE_SECONDS = 30.0


@pytest.fixture
def signatures() -> Iterator[Signatures]:
    found = Signatures(processors=2)
    yield found
    found.close()


def _signed(count: int) -> list[Signed]:
    messages = [number.to_bytes(4, "big") * (number % 700) for number in range(count)]
    return [Signed(_KEY.public, message, _KEY.sign(message)) for message in messages]


def _spoiled(signed: list[Signed]) -> tuple[list[Signed], list[bool]]:
    """Every third message is another than was signed, every fifth key no key; and which are valid."""
    found, valid = [], []
    for number, one in enumerate(signed):
        if number % 3 == 0:
            found.append(one._replace(message=one.message + b"!"))
        elif number % 5 == 0:
            found.append(one._replace(public=bytes(32)))
        else:
            found.append(one)
        valid.append(number % 3 != 0 and number % 5 != 0)
    return found, valid


def _wait_for_process(signatures: Signatures) -> int:
    """The process that verifies, once it does."""
    ends = time.monotonic() + _DEADLINE_SECONDS
    few = _signed(FEWEST)
    while signatures.process is None:
        assert time.monotonic() < ends, "no process began to verify"
        signatures.verify(few)
    return signatures.process


def _is_running(process: int) -> bool:
    return Path(f"/proc/{process}").exists()


def test_each_is_judged_by_itself_with_and_without_a_process(signatures: Signatures) -> None:
    signed, valid = _spoiled(_signed(500))
    assert signatures.verify(signed) == valid
    _wait_for_process(signatures)
    assert signatures.verify(signed) == valid
    assert signatures.verify(signed[: FEWEST - 1]) == valid[: FEWEST - 1]


def test_no_process_for_a_few_or_where_one_processor_is_all(signatures: Signatures) -> None:
    alone = Signatures(processors=1)
    signed, valid = _spoiled(_signed(FEWEST))
    for _ in range(20):
        assert signatures.verify(signed[:-1]) == valid[:-1]
        assert alone.verify(signed) == valid
    assert signatures.process is None
    assert alone.process is None


def test_a_process_that_was_killed_is_done_without(signatures: Signatures) -> None:
    signed, valid = _spoiled(_signed(500))
    first = _wait_for_process(signatures)
    os.kill(first, signal.SIGKILL)
    assert signatures.verify(signed) == valid
    assert signatures.verify(signed) == valid
    assert _wait_for_process(signatures) != first
    assert signatures.verify(signed) == valid


def test_the_process_ends_when_it_is_closed() -> None:
    signatures = Signatures(processors=2)
    process = _wait_for_process(signatures)
    signatures.close()
    assert not _is_running(process)


def test_a_process_that_was_stopped_holds_nobody_up() -> None:
    signatures = Signatures(processors=2, patience_s=0.2)
    signed, valid = _spoiled(_signed(1000))
    stopped = _wait_for_process(signatures)
    os.kill(stopped, signal.SIGSTOP)
    with ThreadPoolExecutor(3) as threads:
        judged = [threads.submit(signatures.verify, signed) for _ in range(3)]
        assert [one.result(_DEADLINE_SECONDS) for one in judged] == [valid] * 3
    assert not _is_running(stopped)
    # And not at once the next, which might do the same.
    assert signatures.verify(signed) == valid
    assert signatures.process is None
    signatures.close()


def test_a_process_that_cannot_begin_is_not_begun_for_every_batch(tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    now = [0.0]
    command = ["sh", "-c", f"echo >> {begun}; exit 1"]
    signatures = Signatures(processors=2, clock=lambda: now[0], command=command)
    signed, valid = _spoiled(_signed(FEWEST))
    ends = time.monotonic() + _DEADLINE_SECONDS
    for times in (1, 2):
        while not begun.exists() or len(begun.read_text().splitlines()) < times:
            assert time.monotonic() < ends, f"it was not begun for the time {times}"
            assert signatures.verify(signed) == valid
        for _ in range(200):
            assert signatures.verify(signed) == valid
        assert len(begun.read_text().splitlines()) == times
        now[0] += 61.0
    signatures.close()


def test_many_open_files_cost_no_batch(signatures: Signatures) -> None:
    """Descriptors above 1,023 are more than select(2) can hold."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 2048:
        pytest.skip("this machine lets a process open too few files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2048), hard))
    signed, valid = _spoiled(_signed(500))
    with ExitStack() as files:
        for _ in range(1100):
            files.enter_context(open(os.devnull))  # noqa: PTH123
        _wait_for_process(signatures)
        assert signatures.verify(signed) == valid
        signatures.close()
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_process_that_ended_by_itself_leaves_nothing_behind(signatures: Signatures) -> None:
    process = _wait_for_process(signatures)
    os.kill(process, signal.SIGKILL)
    ends = time.monotonic() + _DEADLINE_SECONDS
    while _is_running(process):
        assert time.monotonic() < ends, "it is a zombie still"
        assert signatures.verify(_signed(1)) == [True]


def test_the_process_ends_with_one_that_was_killed() -> None:
    """As the daemon may be: nobody else holds an end of its pipes."""
    code = (
        "import sys\n"
        "from pknd.sync.signatures import Signatures\n"
        "from tests.pknd.sync.test_signatures import _wait_for_process\n"
        "print(_wait_for_process(Signatures(processors=2)), flush=True)\n"
        "sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", code]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=REPOSITORY, text=True
    ) as daemon:
        assert daemon.stdout is not None
        process = int(daemon.stdout.readline())
        assert _is_running(process)
        daemon.kill()
        daemon.wait(_DEADLINE_SECONDS)
    ends = time.monotonic() + _DEADLINE_SECONDS
    while _is_running(process):
        assert time.monotonic() < ends, "it outlives the daemon"


def test_a_batch_is_finished_while_it_is_closed(signatures: Signatures) -> None:
    signed, valid = _spoiled(_signed(3000))
    process = _wait_for_process(signatures)
    with ThreadPoolExecutor(1) as threads:
        judged = threads.submit(signatures.verify, signed)
        signatures.close()
        assert judged.result(_DEADLINE_SECONDS) == valid
    assert not _is_running(process)
    assert signatures.verify(signed) == valid
    assert signatures.process is None
