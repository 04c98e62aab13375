"""Networks on loopback that are stopped in the end, and a log in which nothing may have gone wrong."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pknd.channel.limits import Limits
from tests.pknd.channel.party import Party

PartyFactory = Callable[..., Any]


@pytest.fixture
async def make(tmp_path: Path) -> AsyncIterator[PartyFactory]:
    """Makes parties that listen: `await make("ada", near=False)`."""
    parties: list[Party] = []

    async def started(name: str, **settings: Any) -> Party:
        party = Party(name, **settings)
        parties.append(party)
        return await party.start()

    yield started
    for party in parties:
        await party.network.stop()


@pytest.fixture
def short() -> Limits:
    """Times short enough to wait for."""
    return Limits(handshake_seconds=0.4, close_seconds=0.3, send_seconds=0.5, settle_seconds=0.5)


@pytest.fixture(autouse=True)
def events(caplog: pytest.LogCaptureFixture) -> Iterator[Callable[[str], list[dict[str, Any]]]]:
    """The fields of all events of a name. A test fails in which an error or a traceback was logged."""
    caplog.set_level(logging.DEBUG, "pkn")

    def of(name: str) -> list[dict[str, Any]]:
        return [record.__dict__["pkn_fields"] for record in caplog.records if record.msg == name]

    yield of
    wrong = [
        record
        for record in caplog.records
        if record.levelno >= logging.ERROR or record.exc_info or record.msg == "traceback"
    ]
    if any(record.name != "pkn" or record.msg not in _allowed(caplog) for record in wrong):
        pytest.fail(f"logged: {[record.getMessage() for record in wrong]}")


def _allowed(caplog: pytest.LogCaptureFixture) -> set[str]:
    """Events that a test said it provokes, by an attribute on caplog's handler."""
    return getattr(caplog.handler, "pkn_allowed", set())
