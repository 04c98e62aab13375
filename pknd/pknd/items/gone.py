"""Files that were imported and are no more: their items stay, until their author takes them back."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from functools import partial
from pathlib import Path

from pkn_protocol.control.work import FileNote, GoneFile
from pkn_protocol.records.ids import cid_text
from pknd.capture.files import shown
from pknd.environment import Environment
from pknd.store.records import time_of
from pknd.store.sources import Source, paths_of, sources_below


def gone_from(
    env: Environment, roots: Iterable[Path], found: AbstractSet[Path], known: AbstractSet[Path]
) -> tuple[list[GoneFile], list[FileNote]]:
    """What came from files below `roots` that are gone, and what to say of folders; blocking.

    `found` are the files that are there, `known` those that were recognised under another name. Nothing is
    said of a root that is no folder now. Where one has no files at all, they may be on a volume that is away.
    """
    lost: list[Source] = []
    notes: list[FileNote] = []
    for root in dict.fromkeys(roots):
        if not root.is_dir():
            continue
        below = env.store.read_now(partial(sources_below, folder=root))
        missing = [one for one in below if one.path not in found and one.path not in known]
        missing = [one for one in missing if _is_gone(one.path)]
        if missing and not any(path.is_relative_to(root) for path in found):
            notes.append(FileNote(shown(root), _EMPTY.format(len(missing))))
        else:
            lost += missing
    return (env.store.read_now(lambda db: _without_a_file(db, lost)) if lost else []), notes


_EMPTY = (
    "no files are there, and {} were published from it before; their items stay, since the volume of the"
    " files may be away"
)


def _is_gone(path: Path) -> bool:
    """Whether a file is known not to be there; what cannot be looked at may be."""
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False


def _without_a_file(db: sqlite3.Connection, lost: Sequence[Source]) -> list[GoneFile]:
    """Those of `lost` whose item is held and has no other file, each item once, by the file it had last."""
    others = paths_of(db, {one.item for one in lost})
    last: dict[bytes, tuple[int, Source]] = {}
    for one in lost:
        written = time_of(db, one.record)
        if written is None or not all(_is_gone(path) for path in others[one.item]):
            continue
        if one.item not in last or last[one.item][0] < written:
            last[one.item] = written, one
    ordered = sorted((one for _, one in last.values()), key=lambda one: os.fsencode(one.path))
    return [GoneFile(shown(one.path), cid_text(one.item)) for one in ordered]
