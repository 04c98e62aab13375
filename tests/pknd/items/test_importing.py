"""Importing more than one batch: every item is sealed for whom it is meant, and its sketch is of its text."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from pkn_cli.client import ControlClient
from pkn_protocol.records.model import Item
from pkn_protocol.text.sketch import agrees_with_text
from pknd.items.importing import BATCH
from pknd.people.circles import TRUSTED
from pknd.store.records import Filter, Held, listed
from tests.e2e.inside import Inside

FILES = 2 * BATCH + 7


def text_of(number: int) -> str:
    language = "de" if number % 5 == 0 else "en"
    audience = "private" if number % 50 == 0 else "public"
    link = f"[the one before](n{number - 1:03}.md) " if number else ""
    return f"---\nlang: {language}\naudience: {audience}\n---\n# Note {number}\n\n{link}words{number} " + (
        f"about boundary layers{number % 7} " * (number % 9 + 1)
    )


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    folder = tmp_path / "notes"
    folder.mkdir()
    for number in range(FILES):
        (folder / f"n{number:03}.md").write_text(text_of(number), encoding="utf-8")
    return folder


async def import_folder(home: Path, folder: Path) -> dict[str, Any]:
    def run() -> dict[str, Any]:
        *_, last = ControlClient(home, start_hint="").stream(
            "POST", "/v1/import", body={"paths": [str(folder)], "audience": TRUSTED}
        )
        return dict(last["summary"])

    return await asyncio.to_thread(run)


async def test_many_batches_for_several_audiences(tmp_path: Path, notes: Path) -> None:
    anna = Inside("Anna", tmp_path)
    async with anna.running():
        first = await import_folder(anna.folder, notes)
        again = await import_folder(anna.folder, notes)

        def read(db: sqlite3.Connection) -> list[Held]:
            return listed(db, Filter(now=anna.now()), limit=2 * FILES)

        held = await anna.env.store.read(read)
    private = len(range(0, FILES, 50))
    assert (first["imported"], first["failed"]) == (FILES, [])
    # Front matter narrows what was asked for, and never widens it.
    assert first["by_audience"] == {"trusted": FILES - private, "private": private}
    assert (again["imported"], again["unchanged"]) == (0, FILES)
    assert len(held) == FILES
    by_title = {}
    for one in held:
        item = one.record.body
        assert isinstance(item, Item)
        by_title[item.title] = one, item
    for number in range(FILES):
        one, item = by_title[f"Note {number}"]
        assert one.record.audience == ("private" if number % 50 == 0 else TRUSTED)
        assert one.scope != b""
        body = text_of(number).split("---\n", 2)[2].strip()
        assert item.lang == ("de" if number % 5 == 0 else "en")
        assert item.sketch is not None
        assert agrees_with_text(item.sketch, item.title, body, item.lang)
        before = [by_title[f"Note {number - 1}"][0].record.item_id] if number else []
        assert list(item.links) == before
