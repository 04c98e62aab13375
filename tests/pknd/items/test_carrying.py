"""What was said of a file beside it, when the file changes."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from pkn_cli.client import ControlClient
from pkn_protocol.control.items import PublishRequest
from pkn_protocol.control.kinds import Kind
from pkn_protocol.control.summaries import ListFilter
from pkn_protocol.records.ids import parse_cid
from pkn_protocol.records.model import Item, Record
from pknd.store.records import get
from tests.e2e.inside import Inside

GERMAN = "Die Schlehe ist ein Strauch, und ihre Früchte sind erst nach dem ersten Frost genießbar. "
ENGLISH = "The sloe is a shrub, and its fruits can be eaten only after the first frost of the year. "


async def imported(one: Inside, path: Path) -> None:
    def run() -> dict[str, Any]:
        client = ControlClient(one.folder, start_hint="")
        *_, last = client.stream("POST", "/v1/import", body={"paths": [str(path)]})
        return dict(last["summary"])

    summary = await asyncio.to_thread(run)
    assert (summary["imported"], summary["failed"]) == (1, [])


async def only_item(one: Inside) -> tuple[Record, Item]:
    [summary] = (await one.daemon.items.listed(ListFilter())).items
    cid = parse_cid(summary.id)
    held = one.env.store.read_now(lambda db: get(db, cid))
    assert held is not None and isinstance(held.record.body, Item)
    return held.record, held.record.body


@pytest.mark.parametrize("then", ["publish", "import"])
@pytest.mark.parametrize("name", ["note.md", "note.txt", "note.bin"])
async def test_what_was_said_at_its_publication_holds_for_the_next_version(
    tmp_path: Path, name: str, then: str
) -> None:
    ann, path = Inside("Ann", tmp_path), tmp_path / name
    start = b"\0" if name == "note.bin" else b""
    path.write_bytes(start + ENGLISH.encode())
    said = PublishRequest(
        path=str(path), title="Sloes", kind=Kind.QUESTION, lang="fr", dated=1_000, tags=("prunus",)
    )
    async with ann.running() as daemon:
        await daemon.items.publish(said)
        for number in range(2):
            path.write_bytes(start + GERMAN.encode() * (number + 1))
            if then == "import":
                await imported(ann, path)
            else:
                await daemon.items.publish(PublishRequest(path=str(path)))
            record, item = await only_item(ann)
            assert (item.title, record.kind, item.lang, record.dated) == ("Sloes", "question", "fr", 1_000)
            assert item.tags == ("prunus",)


@pytest.mark.parametrize("then", ["publish", "import"])
async def test_what_the_file_says_itself_counts(tmp_path: Path, then: str) -> None:
    ann, path = Inside("Ann", tmp_path), tmp_path / "note.md"
    path.write_text(f"---\ntags: [one]\nkind: question\ndated: 2020-01-01\n---\n# Sloes\n\n{ENGLISH}")
    async with ann.running() as daemon:
        await daemon.items.publish(PublishRequest(path=str(path)))
        record, item = await only_item(ann)
        assert (item.tags, record.kind, item.lang) == (("one",), "question", "en")
        path.write_text(f"# Schlehen\n\n{GERMAN}")
        if then == "import":
            await imported(ann, path)
        else:
            await daemon.items.publish(PublishRequest(path=str(path)))
        record, item = await only_item(ann)
        # It had said so itself, and says so no more.
        assert (item.tags, record.kind, record.dated) == ((), "note", None)
        assert (item.title, item.lang) == ("Schlehen", "de")


async def test_a_language_that_was_found_is_found_anew_though_a_tag_was_given(tmp_path: Path) -> None:
    ann, path = Inside("Ann", tmp_path), tmp_path / "note.md"
    path.write_text(f"# Sloes\n\n{ENGLISH}")
    async with ann.running() as daemon:
        await daemon.items.publish(PublishRequest(path=str(path), tags=("prunus",)))
        path.write_text(f"# Schlehen\n\n{GERMAN}")
        await daemon.items.publish(PublishRequest(path=str(path), tags=("frost",), kind=Kind.QUESTION))
        record, item = await only_item(ann)
        assert (item.title, item.lang, record.kind) == ("Schlehen", "de", "question")
        assert set(item.tags) == {"prunus", "frost"}
