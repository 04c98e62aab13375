"""Shapes of the long works that tell their progress: `/v1/import` and `/v1/verify`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ImportRequest:
    """`paths` are absolute files and folders; `dry_run` counts and writes nothing. `again`: also what was
    retracted since it was imported. Without `audience` a file that was imported keeps its item's."""

    paths: tuple[str, ...]
    audience: str | None = None
    dry_run: bool = False
    again: bool = False


@dataclass(frozen=True, slots=True)
class FailedFile:
    path: str
    error: str


@dataclass(frozen=True, slots=True)
class FileNote:
    """What there is to say about one file; `note` in words."""

    path: str
    note: str


@dataclass(frozen=True, slots=True)
class LeftItem:
    """An item that stays as it is, for `audience`, though its file became one for `now`: an item's audience
    cannot change. `id` is the item's."""

    path: str
    id: str
    audience: str
    now: str


@dataclass(frozen=True, slots=True)
class GoneFile:
    """A file below an imported folder that is there no more, while the item that came from it stays. `id` is
    the item's."""

    path: str
    id: str


@dataclass(frozen=True, slots=True)
class ImportSummary:
    """`imported` counts new and changed files; `by_audience` how many of those go to whom; `skipped` are
    files that were left out because what they held was retracted; `linked` counts unchanged files with a new
    version, since something they link to has become an item; `gone` are files that were imported before."""

    imported: int
    unchanged: int
    failed: tuple[FailedFile, ...]
    by_audience: Mapping[str, int]
    dry_run: bool = False
    skipped: tuple[FileNote, ...] = ()
    notes: tuple[FileNote, ...] = ()
    left: tuple[LeftItem, ...] = ()
    linked: int = 0
    gone: tuple[GoneFile, ...] = ()


@dataclass(frozen=True, slots=True)
class Progress:
    """`total` is None until it is known; `what` is a path or title to show, foreign text."""

    done: int
    total: int | None
    what: str = ""


@dataclass(frozen=True, slots=True)
class VerifyRequest:
    """One item, or everything held here."""

    item: str | None = None


@dataclass(frozen=True, slots=True)
class BadThing:
    """A record or block that is not what it claims; `problem` in words, `hint` what to do."""

    id: str
    title: str
    problem: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class VerifySummary:
    """How many records and payloads were checked, and the bad ones. `gone` counts contents of earlier
    versions whose originals have been changed or moved since, as they may."""

    records: int
    payloads: int
    bad: tuple[BadThing, ...] = ()
    gone: int = 0
