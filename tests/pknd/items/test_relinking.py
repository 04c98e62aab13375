"""Links that are written after all is imported."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from pkn_cli.client import ControlClient
from pkn_protocol.control.summaries import ListFilter
from pkn_protocol.records.circles import EpochKey
from pkn_protocol.records.ids import parse_cid
from pkn_protocol.records.model import Item
from pknd.errors import DomainError
from pknd.items.drafts import Analysed
from pknd.items.publisher import Draft, Made, Publisher
from pknd.items.relinking import LateLinks, parts
from pknd.store.records import get
from tests.e2e.inside import Inside

MB = 1024 * 1024


async def import_folder(home: Path, folder: Path) -> dict[str, Any]:
    def run() -> dict[str, Any]:
        client = ControlClient(home, start_hint="")
        *_, last = client.stream("POST", "/v1/import", body={"paths": [str(folder)], "audience": "public"})
        return dict(last["summary"])

    return await asyncio.to_thread(run)


async def test_a_link_that_cannot_be_written_keeps_nothing_else_from_being_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "notes"
    folder.mkdir()
    for pair in ("good", "bad"):
        for one, other in ((1, 2), (2, 1)):
            text = f"# {pair} {one}\n\nsee [it]({pair}{other}.md)"
            (folder / f"{pair}{one}.md").write_text(text, encoding="utf-8")
    make = Publisher.make

    def refusing(self: Publisher, draft: Draft, analysed: Analysed, epoch: EpochKey | None) -> Made:
        if draft.item is not None and draft.captured.title.startswith("bad"):
            raise DomainError("not-captured", "this cannot become a record")
        return make(self, draft, analysed, epoch)

    monkeypatch.setattr(Publisher, "make", refusing)
    ann = Inside("Ann", tmp_path)
    async with ann.running() as daemon:
        done = await import_folder(ann.folder, folder)
        assert (done["imported"], done["failed"]) == (4, [])
        [note] = done["notes"]
        assert Path(note["path"]).name.startswith("bad") and "cannot become a record" in note["note"]
        links = {}
        for summary in (await daemon.items.listed(ListFilter())).items:
            cid = parse_cid(summary.id)
            held = ann.env.store.read_now(partial(get, cid=cid))
            assert held is not None and isinstance(held.record.body, Item)
            links[summary.title] = len(held.record.body.links)
        assert links["good 1"] == links["good 2"] == 1
        assert links["bad 1"] + links["bad 2"] == 1


def test_what_is_read_at_once_is_bounded_in_bytes(tmp_path: Path) -> None:
    late = []
    for number, size in enumerate((20, 20, 40, *[1] * 250)):
        path = tmp_path / f"{number}.md"
        with path.open("wb") as file:
            file.truncate(size * MB if number < 3 else 1000)
        late.append(LateLinks(path, (), unchanged=False))
    found = list(parts(late))
    assert [one for part in found for one in part] == late
    assert [len(part) for part in found] == [1, 1, 1, 100, 100, 50]
