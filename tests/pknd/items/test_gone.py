"""Files that were imported and are gone: they are told, and their items stay."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import Any

from pkn_cli.client import ControlClient
from tests.e2e.inside import Inside


async def run_import(home: Path, *paths: Path, dry_run: bool = False) -> dict[str, Any]:
    def run() -> dict[str, Any]:
        *_, last = ControlClient(home, start_hint="").stream(
            "POST", "/v1/import", body={"paths": list(map(str, paths)), "dry_run": dry_run}
        )
        return dict(last["summary"])

    return await asyncio.to_thread(run)


def names(summary: dict[str, Any]) -> list[str]:
    return [Path(one["path"]).name for one in summary["gone"]]


async def test_what_is_gone_is_told_until_it_is_retracted(tmp_path: Path) -> None:
    folder, beside = tmp_path / "notes", tmp_path / "notes2"
    for place in (folder / "deep", beside):
        place.mkdir(parents=True)
    for name in ("kept.md", "gone.md", "deep/below.md", "../notes2/other.md", ".hidden.md"):
        (folder / name).write_text(f"# {name}\n\nabout {name}")
    anna = Inside("Anna", tmp_path)
    async with anna.running() as daemon:
        first = await run_import(anna.folder, folder, beside, folder / ".hidden.md")
        assert (first["imported"], first["gone"]) == (5, [])
        (folder / "gone.md").unlink()
        shutil.rmtree(folder / "deep")
        (beside / "other.md").unlink()
        for dry_run in (True, False):
            summary = await run_import(anna.folder, folder, dry_run=dry_run)
            assert names(summary) == ["below.md", "gone.md"]
            assert (summary["unchanged"], summary["failed"]) == (1, [])
        assert names(await run_import(anna.folder, folder / "kept.md")) == []
        await daemon.items.retract(summary["gone"][0]["id"])
        assert names(await run_import(anna.folder, folder)) == ["gone.md"]


async def test_what_was_moved_or_renamed_is_not_gone(tmp_path: Path) -> None:
    folder, elsewhere = tmp_path / "notes", tmp_path / "archive"
    folder.mkdir()
    elsewhere.mkdir()
    for name in ("moved", "renamed", "away", "stays"):
        (folder / f"{name}.md").write_text(f"# About {name}")
    anna = Inside("Anna", tmp_path)
    async with anna.running():
        await run_import(anna.folder, folder)
        (folder / "deep").mkdir()
        (folder / "moved.md").rename(folder / "deep" / "moved.md")
        (folder / "renamed.md").rename(folder / "new name.md")
        (folder / "away.md").rename(elsewhere / "another name.md")
        assert names(await run_import(anna.folder, folder, dry_run=True)) == ["away.md"]
        for paths in ((elsewhere, folder), (folder,)):
            assert names(await run_import(anna.folder, *paths)) == []
        (folder / "new name.md").unlink()
        # Each item once, by the name that its file had last.
        assert names(await run_import(anna.folder, folder)) == ["new name.md"]


async def test_an_empty_folder_may_be_a_volume_that_is_away(tmp_path: Path) -> None:
    folder = tmp_path / "notes"
    folder.mkdir()
    for name in ("a.md", "b.md"):
        (folder / name).write_text(f"# {name}")
    anna = Inside("Anna", tmp_path)
    async with anna.running():
        await run_import(anna.folder, folder)
        shutil.rmtree(folder)
        assert names(await run_import(anna.folder, folder)) == []
        folder.mkdir()
        summary = await run_import(anna.folder, folder)
        assert summary["gone"] == []
        assert [(one["path"], "2 were published" in one["note"]) for one in summary["notes"]] == [
            (str(folder), True)
        ]
