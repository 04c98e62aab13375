"""Signatures of many records are judged as those of one, whether a process does it or not."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pkn_protocol.records.signing import Ed25519Key, Signed
from pknd.sync.signatures import FEWEST, Signatures

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


def test_the_process_ends_with_the_daemon_however_that_ends() -> None:
    """Whose pipes are closed then."""
    command = [sys.executable, "-P", "-m", "pknd.sync.signature_process"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        process.stdin.write((10_000).to_bytes(4, "big") + b"the beginning of a request")
        process.stdin.close()
        assert process.wait(_DEADLINE_SECONDS) == 0


def test_a_batch_is_finished_while_it_is_closed(signatures: Signatures) -> None:
    signed, valid = _spoiled(_signed(3000))
    _wait_for_process(signatures)
    with ThreadPoolExecutor(1) as threads:
        judged = threads.submit(signatures.verify, signed)
        signatures.close()
        assert judged.result(_DEADLINE_SECONDS) == valid
    assert signatures.verify(signed) == valid
    assert signatures.process is None
