"""Texts that somebody who is trusted announces and never serves: what no text can show counts for less."""

from __future__ import annotations

from pathlib import Path

import pytest

from pkn_protocol.control.items import PublishRequest
from pkn_protocol.control.query import QueryRequest, Scope
from pkn_protocol.records.ids import did_key, raw_cid
from pkn_protocol.records.model import Payload
from pknd.daemon import Daemon
from tests.e2e.inside import Inside, until_so
from tests.e2e.liar import Liar
from tests.e2e.test_dishonest import linked, taken

TEXT = "turbulence turbulence, said twice"


async def found(daemon: Daemon) -> list[tuple[str, float]]:
    """Titles and the factor `claim`, best first."""
    request = QueryRequest(query="turbulence", scope=Scope.LOCAL, explain=True)
    last = [update async for update in daemon.queries.query(request)][-1]
    return [(hit.title, (hit.explain or {})["claim"]) for hit in last.result.hits]


async def test_a_text_that_its_author_does_not_serve_counts_for_less_until_it_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pknd.items.fetching.BACKGROUND_EVERY_S", 0.05)
    ann, liar = Inside("Ann", tmp_path), Liar("liar")
    withheld = Payload("text/plain", len(TEXT), raw_cid(TEXT.encode()))
    lie = liar.note("Claimed", words=TEXT, time=ann.now() - 1000, payload=withheld)
    async with ann.running() as daemon, linked(liar, daemon) as link:
        await daemon.people.trust(did_key(liar.party.author), petname="liar")
        await daemon.items.publish(
            PublishRequest(text="# Here\n\nSomething about turbulence, at length.", audience="public")
        )
        await liar.push(link, [lie])
        await taken(ann, lie)
        await until_so("the text to be missed", lambda: found(daemon), [("Here", 1.0), ("Claimed", 0.5)])
        assert liar.text(TEXT) == withheld
        await until_so("the text to come", lambda: found(daemon), [("Claimed", 1.0), ("Here", 1.0)])
