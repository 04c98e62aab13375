"""The files of a folder, in a steady order, without ever leaving it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pknd.capture.captured import CaptureError
from pknd.capture.files import shown

# Deeper than any garden; a loop of mounts ends here too.
MOST_LEVELS = 64


@dataclass(frozen=True, slots=True)
class Found:
    """One file of a walk, or why it was passed over."""

    path: Path
    root: Path
    problem: CaptureError | None = None


def walk(roots: Sequence[Path]) -> Iterator[Found]:
    """The files at and below `roots`, sorted by name, each once; hidden files and folders are left out.

    Links inside a folder are not followed, and one that leads out of it is reported, so that importing a
    folder can never publish what lies elsewhere. Pipes, sockets and devices are reported.
    """
    seen: set[Path] = set()
    for root in roots:
        absolute = Path.cwd() / root
        if absolute.is_dir():
            yield from _below(absolute, absolute.resolve(), seen, 0)
        elif absolute not in seen:
            seen.add(absolute)
            yield Found(absolute, absolute.parent)


def _below(folder: Path, root: Path, seen: set[Path], level: int) -> Iterator[Found]:
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: os.fsencode(entry.name))
    except OSError as error:
        yield Found(
            folder, root, CaptureError("unreadable", f"{shown(folder)} cannot be read: {error.strerror}")
        )
        return
    for entry in entries:
        path = folder / entry.name
        if entry.name.startswith("."):
            continue
        if entry.is_symlink():
            yield from _linked(path, root)
        elif entry.is_dir(follow_symlinks=False):
            if level + 1 >= MOST_LEVELS:
                yield Found(
                    path, root, CaptureError("too-deep", f"{shown(path)} lies {MOST_LEVELS} folders deep")
                )
            else:
                yield from _below(path, root, seen, level + 1)
        elif not entry.is_file(follow_symlinks=False):
            yield Found(path, root, CaptureError("not-a-file", f"{shown(path)} is not a regular file"))
        elif path not in seen:
            seen.add(path)
            yield Found(path, root)


def _linked(path: Path, root: Path) -> Iterator[Found]:
    try:
        target = path.resolve(strict=True)
    except (OSError, RuntimeError):
        yield Found(path, root, CaptureError("broken-link", f"{shown(path)} links to nothing"))
        return
    # A link to a file inside adds nothing: the walk meets that file under its own name.
    if not target.is_relative_to(root):
        yield Found(
            path,
            root,
            CaptureError(
                "link-out", f"{shown(path)} links out of the folder", "import what it links to by name"
            ),
        )
