"""An edit of what came from a file: whoever edits is told of the file, and whoever imports it of the edit."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from pkn_cli.client import ControlClient
from pkn_protocol.control.items import EditRequest, PublishRequest
from tests.e2e.inside import Inside


async def imported(home: Path, *paths: Path) -> dict[str, Any]:
    def run() -> dict[str, Any]:
        client = ControlClient(home, start_hint="")
        *_, last = client.stream("POST", "/v1/import", body={"paths": list(map(str, paths))})
        return dict(last["summary"])

    return await asyncio.to_thread(run)


@pytest.mark.parametrize("how", ["import", "publish"])
async def test_an_edit_and_the_import_that_replaces_it_are_told(tmp_path: Path, how: str) -> None:
    ann, path = Inside("Ann", tmp_path), tmp_path / "sloes.md"
    path.write_text("# Sloes\n\nafter the first frost")
    async with ann.running() as daemon:
        item = (await daemon.items.publish(PublishRequest(path=str(path)))).item

        async def again() -> list[str]:
            if how == "publish":
                return list((await daemon.items.publish(PublishRequest(path=str(path)))).warnings)
            return [f"{note['path']}: {note['note']}" for note in (await imported(ann.folder, path))["notes"]]

        [warning] = (await daemon.items.edit(item, EditRequest(text="# Sloes\n\nin gin"))).warnings
        assert str(path) in warning and "importing it" in warning
        # As long as the file is what it was, the edit stays.
        assert await again() == []
        assert "in gin" in str((await daemon.items.show(item, fetch=False, timeout_s=1)).text)
        path.write_text("# Sloes\n\nafter the second frost")
        [note] = await again()
        assert f"pkn history {item}" in note
        assert "second frost" in str((await daemon.items.show(item, fetch=False, timeout_s=1)).text)
        # Nothing was edited since.
        path.write_text("# Sloes\n\nafter the third frost")
        assert await again() == []


async def test_a_file_that_was_renamed_is_named_as_it_is_called_now(tmp_path: Path) -> None:
    ann, path = Inside("Ann", tmp_path), tmp_path / "a.md"
    path.write_text("# Sloes")
    async with ann.running() as daemon:
        item = (await daemon.items.publish(PublishRequest(path=str(path)))).item
        path.rename(renamed := tmp_path / "sloes.md")
        await imported(ann.folder, renamed)
        [warning] = (await daemon.items.edit(item, EditRequest(title="Gin"))).warnings
        assert str(renamed) in warning


async def test_what_has_no_file_or_is_edited_by_it_is_not_warned_of(tmp_path: Path) -> None:
    ann, path = Inside("Ann", tmp_path), tmp_path / "sloes.md"
    path.write_text("# Sloes")
    async with ann.running() as daemon:
        typed = (await daemon.items.publish(PublishRequest(text="# Typed in"))).item
        assert (await daemon.items.edit(typed, EditRequest(text="# Typed again"))).warnings == ()
        item = (await daemon.items.publish(PublishRequest(path=str(path)))).item
        path.write_text("# Sloes and gin")
        assert (await daemon.items.edit(item, EditRequest(path=str(path)))).warnings == ()
        path.unlink()
        assert (await daemon.items.edit(item, EditRequest(title="Gin"))).warnings == ()


@pytest.mark.parametrize("how", ["file", "text"])
@pytest.mark.parametrize(
    ("before", "title", "after", "expected"),
    [
        ("# Sloes\n\nfrost", None, "# Medlars\n\nfrost", "Medlars"),
        ("# Sloes\n\nfrost", None, "no heading any more", "Sloes"),
        ("# Sloes\n\nfrost", "My sloes", "# Medlars\n\nfrost", "My sloes"),
        ("no heading", "My sloes", "another first line", "My sloes"),
        ("---\ntitle: Sloes\n---\nfrost", None, "# Medlars\n\nfrost", "Sloes"),
        ("no heading", "My sloes", "---\ntitle: Medlars\n---\n# Frost", "Medlars"),
    ],
)
async def test_an_edit_keeps_the_title_unless_the_text_says_it_anew(
    tmp_path: Path, how: str, before: str, title: str | None, after: str, expected: str
) -> None:
    ann, path, draft = Inside("Ann", tmp_path), tmp_path / "notes.md", tmp_path / "draft-x7.md"
    path.write_text(before)
    draft.write_text(after)
    async with ann.running() as daemon:
        item = (await daemon.items.publish(PublishRequest(path=str(path), title=title))).item
        change = EditRequest(path=str(draft)) if how == "file" else EditRequest(text=after)
        assert (await daemon.items.edit(item, change)).title == expected
        shown = await daemon.items.show(item, fetch=False, timeout_s=1)
        assert (shown.title, shown.name) == (expected, "notes.md")
        assert (await daemon.items.edit(item, EditRequest(path=str(draft), title="Gin"))).title == "Gin"


async def test_an_edit_of_a_page_or_of_bytes_keeps_their_title_too(tmp_path: Path) -> None:
    ann, path, draft = Inside("Ann", tmp_path), tmp_path / "sloes.html", tmp_path / "draft-x7.html"
    path.write_text("<html><head><title>Sloes</title></head><body>frost</body></html>")
    draft.write_text("<html><head><title>Medlars</title></head><body>frost</body></html>")
    picture, other = tmp_path / "sloes.bin", tmp_path / "tmp123.bin"
    picture.write_bytes(b"\0one")
    other.write_bytes(b"\0two")
    async with ann.running() as daemon:
        item = (await daemon.items.publish(PublishRequest(path=str(path)))).item
        assert (await daemon.items.edit(item, EditRequest(path=str(draft)))).title == "Medlars"
        await daemon.items.edit(item, EditRequest(title="Mine"))
        assert (await daemon.items.edit(item, EditRequest(path=str(path)))).title == "Mine"
        item = (await daemon.items.publish(PublishRequest(path=str(picture)))).item
        assert (await daemon.items.edit(item, EditRequest(path=str(other)))).title == "sloes.bin"
        assert (await daemon.items.show(item, fetch=False, timeout_s=1)).name == "sloes.bin"
