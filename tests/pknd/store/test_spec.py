"""The chapter on what lies on disk names each table and column that there is, and no other."""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path

from pknd.store.backups import KEPT_BACKUPS
from pknd.store.blocks import IN_ROW_BYTES
from pknd.store.database import ALWAYS_CHECKED_BYTES
from pknd.store.erasure import AT_ONCE_BYTES
from pknd.store.schema import APPLICATION_ID

CHAPTER = Path(__file__).resolve().parents[3] / "docs" / "spec" / "disk.md"


def test_the_chapter_on_disk_describes_the_schema(db: sqlite3.Connection) -> None:
    text = CHAPTER.read_text(encoding="utf-8")
    described: dict[str, set[str]] = {}
    for table, columns in re.findall(r"^\| `(\w+)` \| ((?:`\w+`(?:, )?)+) \|", text, re.MULTILINE):
        described[table] = set(re.findall(r"\w+", columns))
    about_record = text.split("**`record`**")[1].split("**Parts of records**")[0]
    rows = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \|", about_record, re.MULTILINE)
    described["record"] = {name for row in rows for name in re.findall(r"\w+", row)}
    actual = {
        table: {column for (column,) in db.execute("SELECT name FROM pragma_table_info(?)", (table,))}
        for (table,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        if not table.startswith(("sqlite_", "_sqlite"))
    }
    assert described == actual


def test_the_chapter_on_disk_states_the_figures_of_the_code() -> None:
    text = " ".join(CHAPTER.read_text(encoding="utf-8").split())
    assert f"0x{APPLICATION_ID:X}" in text
    assert f"more than {IN_ROW_BYTES // 1024} KiB" in text
    assert f"up to {ALWAYS_CHECKED_BYTES // 2**20} MiB is checked" in text
    assert f"of more than {AT_ONCE_BYTES // 2**20} MiB is written anew" in text
    assert KEPT_BACKUPS == 2 and "the latest two are kept" in text
